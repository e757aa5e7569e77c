"""The events of a session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from trunkline.openflow import message
from trunkline.openflow.message import Counters
from trunkline.openflow.message import PacketIn as PacketIn
from trunkline.openflow.port import Port


class Refusal(NamedTuple):
    """A flow that the switch refused, by its key, and why: a name such as `OFPFMFC_TABLE_FULL`.

    *key* is empty if the switch refused the bundle itself.
    """

    key: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The switch answered and speaks OpenFlow 1.4; nothing is known of its flows yet."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection ended, after or during its handshake.

    Outstanding requests stay unanswered. Whether a bundle was applied shows when the flows are read again.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class FlowsRead:
    """The installed flows whose cookie is in the session's scope: body by key, as `message.encode` gives."""

    flow_by_key: dict[bytes, bytes]
    replies: tuple[bytes, ...] = field(default=(), repr=False)
    """The switch's replies, which `counters` reads on demand."""

    def counters(self) -> dict[bytes, Counters]:
        """Return age, packets and bytes of each flow, by key."""
        return {key: value for reply in self.replies for key, value in message.counters(reply).items()}


@dataclass(frozen=True, slots=True)
class BundleApplied:
    """The switch has all of the bundle in place; it applies to every frame that comes from now on."""

    bundle_id: int


@dataclass(frozen=True, slots=True)
class BundleRefused:
    """The switch changed nothing; *refusals*, which is never empty, names the flows at fault."""

    bundle_id: int
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class FlowsDrifted:
    """Somebody else changed flows: *changes* gives the present body at each key, None if no flow is in scope.

    It is also None if a foreign flow was added, because that may have replaced a flow in scope; if the key is
    unknown, ignore it. All events come in the order in which the switch made the changes: a change before a
    `FlowsRead` or `BundleApplied` happened before it. The session's own bundles are not reported.
    """

    changes: dict[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class FlowsUnknown:
    """Flows may have changed without a `FlowsDrifted`; read them now to see all changes."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The switch answered the latest `catch_up`. Earlier changes of flows came before it."""


@dataclass(frozen=True, slots=True)
class PortSeen:
    """A port as it is now; *is_there* is False if it was deleted.

    It comes for each port after `Connected`, and whenever a port changes, but not for changes that the
    session itself makes.
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
    | CaughtUp
    | BundleApplied
    | BundleRefused
    | PacketIn
)
