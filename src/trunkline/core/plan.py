"""The difference between the desired flows and the flows that the switch holds.

Here a flow is two byte strings: its *key* (table, priority and match, which identify it on the switch) and
its *body* (the 8 bytes of its cookie, then its instructions). A plan needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass

COOKIE_BYTES = 8
"""The number of bytes of the cookie, at the front of a body."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that turn the installed flows into the desired ones; each key is in only one part.

    A *modify* has the installed cookie and other instructions, so the entry keeps its counters and age. If
    the cookie of an installed key changes, that is an *add*: OpenFlow cannot modify a cookie (1.4.0 section
    6.4), and the switch replaces the entry. A plan is applied as a whole: deletes, then modifies, then adds.
    """

    adds: dict[bytes, bytes]
    """Body by key of the flows to add, or to replace if the key is installed with another cookie."""

    modifies: dict[bytes, bytes]
    """New body by key of the flows that keep their cookie."""

    deletes: dict[bytes, bytes]
    """Installed body by key of the flows to delete."""

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to do."""
        return not (self.adds or self.modifies or self.deletes)

    def __len__(self) -> int:
        return len(self.adds) + len(self.modifies) + len(self.deletes)


def plan(
    desired: Mapping[bytes, bytes], installed: Mapping[bytes, bytes], keys: Iterable[bytes] | None = None
) -> Plan:
    """Return the plan that turns *installed* into *desired*; both are maps of body by key.

    With *keys*, only those are compared, and the work depends only on their number. A key that is in neither
    map, or given twice, does no harm. If *keys* include every key in which the maps differ, the plan is the
    same as without them.

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
    """Change *installed* in place to what the switch holds after *applied*; the cost is the plan's length.

    This is also right if somebody else changed flows meanwhile: a modify only takes effect if the entry still
    has its cookie.
    """
    for key in applied.deletes:
        installed.pop(key, None)
    for key, body in applied.modifies.items():
        present = installed.get(key)
        if present is not None and present[:COOKIE_BYTES] == body[:COOKIE_BYTES]:
            installed[key] = body
    installed.update(applied.adds)
