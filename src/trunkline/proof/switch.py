"""What the flows of a switch do with frames: tables of flows, looked up by what is known of a frame.

The proof knows all registers, `metadata` and the port where a frame came in, and follows all other fields
that Trunkline knows exactly, in `Space`. A flow that looks at any other field may match, or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, COOKIE_PROBE
from trunkline.core.error import TrunklineError
from trunkline.core.field import Field, Set, Term
from trunkline.core.flow import Controller, Copy, Goto, Output, PopVlan, PushVlan, Resubmit
from trunkline.core.pipeline import Band
from trunkline.openflow import foreign, message, text
from trunkline.openflow.foreign import PORT_NAMES
from trunkline.openflow.oxm import Foreign
from trunkline.proof.space import ALL, IS_FOLLOWED, Cube, cube

KNOWN = frozenset({Field.IN_PORT, Field.METADATA, *(each for each in Field if each.name.startswith("REG"))})
"""What the proof always knows of a frame."""

LAST_PORT = 0xFEFF
LOCAL = 0xFFFE
"""The bridge's own port; others above `LAST_PORT` stand for something else (OpenFlow 1.4.0, 7.2.1)."""

Action: TypeAlias = Set | Copy | PushVlan | PopVlan | Output | Controller | Resubmit | Goto


_FOR_AGENT = frozenset((band.table, band.priority) for band in (Band.SLEEPING, Band.CATCH))
"""Where flows give frames to the agent: of a VIF that waits for its migration, and of a probe."""


_NOT_TO_CHANGE = frozenset({Field.VLAN_VID, Field.ETH_TYPE, Field.IN_PORT})
"""What no flow may change in a proof. By the first two the switch would read a frame anew. No frame leaves by
the port that the last one holds, so a flow that changes it decides by which ports later flows can send."""


class NotProvableError(TrunklineError):
    """The switch has something that the proof does not understand: no proof is better than a wrong one."""


class Rule(NamedTuple):
    """A flow as the proof sees it.

    *known* is its match of what is `KNOWN`, as (value, mask) by field; *frames* that of what is followed. If
    *is_sure*, it matches nothing else.
    """

    table: int
    priority: int
    known: tuple[tuple[Field, int, int], ...]
    frames: Cube
    is_sure: bool
    actions: tuple[Action, ...]
    key: bytes
    body: bytes

    @property
    def text(self) -> str:
        """The flow as `ovs-ofctl` spells it."""
        return text.encoded_text(self.key, self.body)


def rule(key: bytes, body: bytes) -> Rule:
    """Return what the flow with *key* and *body* (`message.Encoded`) does.

    Raises:
        NotProvableError: it does something that the proof does not understand.
    """
    flow = message.decode(key, body)
    known, frames, is_sure = [], ALL, True
    for term in flow.match:
        if isinstance(term, Foreign) or term.field not in KNOWN | IS_FOLLOWED:
            is_sure = False
        elif term.field in KNOWN:
            mask = (1 << term.field.bits) - 1 if term.mask is None else term.mask
            known.append((term.field, term.value, mask))
        else:
            both = frames.meet(_followed(term))
            if both is None:
                raise _refused("a flow that matches nothing", key, body)
            frames = both
    actions: list[Action] = []
    for action in flow.actions:
        reason = _refusal(action, is_last=len(actions) + 1 == len(flow.actions))
        if reason is not None or isinstance(action, Foreign):
            raise _refused(f"a flow with {reason}", key, body)
        if not isinstance(action, Controller) or _is_for_agent(flow):
            actions.append(action)
    known.sort(key=lambda each: each[0].name)
    return Rule(flow.table, flow.priority, tuple(known), frames, is_sure, tuple(actions), key, body)


def _refused(what: str, key: bytes, body: bytes) -> NotProvableError:
    return NotProvableError(f"nothing can be proved beside {what}: {text.encoded_text(key, body)}")


def _is_for_agent(flow: message.DecodedFlow) -> bool:
    """Return whether the agent sends on what *flow* gives to the controller; of another flow, nobody does."""
    is_ours = flow.cookie == COOKIE_PROBE or flow.cookie & COOKIE_OURS_MASK == COOKIE_OURS
    return is_ours and (flow.table, flow.priority) in _FOR_AGENT


def _followed(term: Term) -> Cube:
    return cube(term.field, term.value, term.mask)


def _refusal(action: Action | Foreign, *, is_last: bool) -> str | None:
    """Return what of *action* the proof does not understand, None if it understands it."""
    match action:
        case Foreign():
            return f"the {action.kind} {foreign.words(action)}"
        case Output(ofport) if ofport > LAST_PORT and ofport != LOCAL:
            return f"the action {PORT_NAMES.get(ofport) or f'output:{ofport:#x}'}"
        case Resubmit() if not is_last:
            return "actions after a resubmit"
        case Set(field, _) if field in _NOT_TO_CHANGE:
            return f"a change of {field.value[0]}"
    return None


class Part(NamedTuple):
    """What a register holds if it was copied from a frame: the *mask* of the frame's bits from *shift* on.

    Its higher bits are still *rest*.
    """

    shift: int
    mask: int
    rest: int

    def asked(self, value: int, mask: int) -> Cube | None:
        """Return the frames with which the register has *value* under *mask*; None if there are none."""
        if (self.rest ^ value) & mask & ~self.mask:
            return None
        return Cube((value & self.mask) << self.shift, (mask & self.mask) << self.shift)


Registers: TypeAlias = Mapping[Field, int | Part]
"""The value of each of `KNOWN`. What is missing is 0; a negative one is a value that no flow mentions."""

Top: TypeAlias = int | None
"""The outermost tag: 0 if there is none, `PRESENT` and the VLAN id of a pushed one; None: the frame's own."""


def rules(flows: Iterable[tuple[bytes, bytes]]) -> list[Rule]:
    """Return the rules of *flows*, each given by its key and body; raises as `rule` does."""
    return [rule(key, body) for key, body in flows]
