"""The difference between the flows that should be and the flows that the switch holds.

A flow is two byte strings here: its *key* (table, priority and match, which make it unique on the switch) and
its *body* (the 8 bytes of its cookie, then its instructions). Nothing else about them matters to a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass

COOKIE_BYTES = 8
"""How many bytes at the front of a body are the cookie."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What changes the installed flows into the desired ones; no key stands in two of its parts.

    A *modify* has the cookie that is installed and other instructions: the entry keeps its counters and
    age. A flow whose cookie changes is an *add* although its key is installed, as OpenFlow cannot modify a
    cookie (1.4.0 section 6.4): the switch replaces the entry. A plan is applied as a whole: deletes, then
    modifies, then adds.
    """

    adds: dict[bytes, bytes]
    """Body by key of the flows to add, or to replace where the key is there with another cookie."""

    modifies: dict[bytes, bytes]
    """New body by key of the flows that keep their cookie."""

    deletes: dict[bytes, bytes]
    """Installed body by key of the flows to delete."""

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to do."""
        return not (self.adds or self.modifies or self.deletes)

    def __len__(self) -> int:
        return len(self.adds) + len(self.modifies) + len(self.deletes)


def plan(
    desired: Mapping[bytes, bytes], installed: Mapping[bytes, bytes], keys: Iterable[bytes] | None = None
) -> Plan:
    """Return what turns *installed* into *desired*, both maps of body by key.

    With *keys*, only those are compared, and the work depends on their number alone; a key that is in
    neither map, or given twice, does no harm. The plan is that of the whole maps whenever *keys* hold every
    key in which they differ.

    >>> old = {b"a": b"cookie 1drop", b"b": b"cookie 1drop"}
    >>> plan({b"a": b"cookie 1pass", b"c": b"cookie 1drop"}, old)
    Plan(adds={b'c': b'cookie 1drop'}, modifies={b'a': b'cookie 1pass'}, deletes={b'b': b'cookie 1drop'})
    """
    adds: dict[bytes, bytes] = {}
    modifies: dict[bytes, bytes] = {}
    deletes: dict[bytes, bytes] = {}
    for key in desired.keys() | installed.keys() if keys is None else keys:
        wanted, present = desired.get(key), installed.get(key)
        if wanted == present:
            continue
        if wanted is None:
            deletes[key] = present or b""
        elif present is not None and present[:COOKIE_BYTES] == wanted[:COOKIE_BYTES]:
            modifies[key] = wanted
        else:
            adds[key] = wanted
    return Plan(adds, modifies, deletes)


def advance(installed: MutableMapping[bytes, bytes], applied: Plan) -> None:
    """Change *installed* in place into what the switch holds after *applied*; it costs the plan's length.

    It holds too where somebody else changed flows between the two: a modify takes hold only where its cookie
    still stands.
    """
    for key in applied.deletes:
        installed.pop(key, None)
    for key, body in applied.modifies.items():
        present = installed.get(key)
        if present is not None and present[:COOKIE_BYTES] == body[:COOKIE_BYTES]:
            installed[key] = body
    installed.update(applied.adds)
