"""A translation: what ovs-vswitchd says that it would do with a frame (`ofproto/trace`, ovs-vswitchd(8)).

The text is for people, and differs a little between versions. Only what every version since 2.8 says is
read, and whatever else there is, is passed over. Frames of others are never in it, so a frame that is in it
was given to the command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from trunkline.core.error import TrunklineError
from trunkline.path.sample import tags

_BRIDGE = re.compile(r'\s*bridge\("(.*)"\)')
_RULE = re.compile(
    r"\s*(\d{1,3})\. (?:(.*?)(?:, )?priority (\d{1,5})(?:, cookie (0x[0-9a-f]{1,16}))?|No match)"
)
_ACTIONS = "Datapath actions: "
_FAILURE = "Translation failed ("
_NOTE = re.compile(r"\s+(?:->|>>+) (.*?)(?: <<+)?")
_CALL = re.compile(r"([a-z_]+)\((.*)\)", re.DOTALL)
_VLAN_ID = re.compile(r"vid=(\d{1,4})")
_SAMPLED = frozenset({"clone", "sample", "check_pkt_len"})
"""Actions that hold actions, which act on a copy of the frame."""

_NO_PORTS = frozenset({"drop", "ct_clear", "pop_eth", "pop_nsh", "dec_ttl", ""})
_MOST_NESTED = 16


class TranslationError(TrunklineError):
    """What ovs-vswitchd said is not what `ofproto/trace` says."""


class Rule(NamedTuple):
    """A flow that the frame met on *bridge*; *priority* is None if there was none: a miss.

    *match* is in the spelling of ovs-ofctl. *does* are its actions, and *notes* what happened to them.
    """

    bridge: str
    table: int
    priority: int | None
    cookie: int
    match: str
    does: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Output(NamedTuple):
    """A device that the frame leaves by, with its VLAN ids, the outer one first."""

    device: str
    vlan_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Translation:
    """What a frame would meet: *rules* in their order, *outputs* in the end; *failure* says why not all."""

    rules: tuple[Rule, ...] = ()
    outputs: tuple[Output, ...] = ()
    failure: str | None = None


@dataclass
class _Reader:
    """What was read so far."""

    bridge: str = ""
    rules: list[Rule] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    failure: str | None = None

    def take(self, line: str) -> None:
        """Read one line."""
        if found := _BRIDGE.fullmatch(line):
            self.bridge = found[1]
        elif found := _RULE.match(line):
            table, match, priority, cookie = found.groups()
            number = None if priority is None else int(priority)
            self.rules.append(Rule(self.bridge, int(table), number, int(cookie or "0", 16), match or ""))
        elif line.startswith(_ACTIONS):
            self.actions.append(line.removeprefix(_ACTIONS).strip())
        elif line.startswith(_FAILURE):
            self.failure = line.removeprefix(_FAILURE).partition(")")[0]
        elif self.rules and not self.actions and line.startswith(" "):
            self._take_action(line)

    def _take_action(self, line: str) -> None:
        rule = self.rules[-1]
        if found := _NOTE.fullmatch(line):
            self.rules[-1] = rule._replace(notes=(*rule.notes, found[1]))
        else:
            self.rules[-1] = rule._replace(does=(*rule.does, line.strip()))


def translation(text: str, frame: bytes) -> Translation:
    """Return what *text* says about *frame*; the devices were asked for by name.

    Raises:
        TranslationError: *text* says nothing of the kind.
    """
    reader = _Reader()
    for line in text.splitlines():
        reader.take(line)
    if not reader.actions and reader.failure is None:
        raise TranslationError(
            f"ovs-vswitchd says nothing of the frame, but {text[:80]!r}; is it of another kind?"
        )
    vlan_ids = tags(frame)
    # A frame that is taken up again (a bond that balances by TCP) goes on as it was.
    found = tuple(each for actions in reader.actions for each in outputs(actions, vlan_ids))
    return Translation(tuple(reader.rules), found, reader.failure)


def outputs(actions: str, vlan_ids: tuple[int, ...], depth: int = 0) -> Iterator[Output]:
    """Yield where *actions* of the datapath send a frame that has the tags *vlan_ids* before them."""
    for action in parts(actions):
        call = _CALL.fullmatch(action)
        if action == "pop_vlan":
            vlan_ids = vlan_ids[1:]
        elif call is None:
            if action not in _NO_PORTS and "(" not in action:
                yield Output(action, vlan_ids)
        elif call[1] == "push_vlan":
            vlan_ids = (*_vlan_id(call[2]), *vlan_ids)
        elif call[1] == "set" and call[2].startswith("vlan("):
            vlan_ids = (*_vlan_id(call[2]), *vlan_ids[1:])
        elif call[1] in _SAMPLED and depth < _MOST_NESTED:
            yield from outputs(call[2].partition("actions(")[2] or call[2], vlan_ids, depth + 1)


def _vlan_id(words: str) -> tuple[int, ...]:
    found = _VLAN_ID.search(words)
    return () if found is None else (int(found[1]),)


def parts(actions: str) -> Iterator[str]:
    """Yield the actions, which commas separate, but not those in brackets.

    >>> list(parts("push_vlan(vid=101,pcp=0),eth1,drop"))
    ['push_vlan(vid=101,pcp=0)', 'eth1', 'drop']
    """
    depth, begin = 0, 0
    for at, char in enumerate(actions):
        depth += (char == "(") - (char == ")")
        if char == "," and depth <= 0:
            yield actions[begin:at].strip()
            begin = at + 1
    yield actions[begin:].strip()
