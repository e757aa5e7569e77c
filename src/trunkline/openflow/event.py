"""What a session has to tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from trunkline.openflow import message
from trunkline.openflow.message import Counters
from trunkline.openflow.message import PacketIn as PacketIn
from trunkline.openflow.port import Port


class Refusal(NamedTuple):
    """A flow that the switch refused, by its key, and why: a name such as `OFPFMFC_TABLE_FULL`.

    *key* is empty where the switch refused the bundle as such.
    """

    key: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The switch answered and speaks OpenFlow 1.4; nothing is known yet of its flows."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection ended, after or during its handshake.

    Whatever was outstanding stays unanswered: whether a bundle was applied shows when the flows are read
    again.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class FlowsRead:
    """The installed flows whose cookie is in the session's scope: body by key, as of `message.encode`."""

    flow_by_key: dict[bytes, bytes]
    replies: tuple[bytes, ...] = field(default=(), repr=False)
    """The switch's replies, which `counters` reads on demand."""

    def counters(self) -> dict[bytes, Counters]:
        """Return age, packets and bytes of each flow, by key."""
        return {key: value for reply in self.replies for key, value in message.counters(reply).items()}


@dataclass(frozen=True, slots=True)
class BundleApplied:
    """The switch has all of the bundle in place; a frame that comes from now on meets it."""

    bundle_id: int


@dataclass(frozen=True, slots=True)
class BundleRefused:
    """The switch changed nothing; *refusals*, never empty, name the flows at fault."""

    bundle_id: int
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class FlowsDrifted:
    """Somebody else changed flows: *changes* says what stands at a key now, a body in scope or None.

    None also stands where a foreign flow was added, as it may have replaced one in scope: a key that is not
    known means nothing then. Changes and the other events come in the order in which the switch made them:
    what comes before a `FlowsRead` or `BundleApplied` happened before it. The session's own bundles do not
    drift.
    """

    changes: dict[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class FlowsUnknown:
    """Flows may have changed without a `FlowsDrifted`; reading them now shows all of it."""


@dataclass(frozen=True, slots=True)
class PortSeen:
    """A port as it is now, *is_there* or not: of each one after `Connected`, and whenever one changes.

    What the session itself changes of a port is not told.
    """

    port: Port
    is_there: bool = True


@dataclass(frozen=True, slots=True)
class FragmentsRead:
    """How the switch handles fragments, as `ovs-ofctl set-frags` spells it."""

    handling: str


Event: TypeAlias = (
    Connected
    | PortSeen
    | FragmentsRead
    | Disconnected
    | FlowsRead
    | FlowsDrifted
    | FlowsUnknown
    | BundleApplied
    | BundleRefused
    | PacketIn
)
