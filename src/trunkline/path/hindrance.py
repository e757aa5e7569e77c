"""Hindrances: settings of the switch by which frames go elsewhere than its flows send them.

What a bridge does with frames besides its flows is in `ofproto-dpif-xlate.c` of Open vSwitch: what
`may_receive`, `process_special` and `check_output_prerequisites` ask. Settings that matter to NORMAL alone
are none of it (tag, trunks, flood_vlans, mcast_snooping_enable, bonds, forward-bpdu).

A proof asks for all of them (`trunkline.path.isolation`), and so does a check (`trunkline.health.hindered`).
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from trunkline.insight import daemon, vswitchd
from trunkline.insight.interception import Interception, MirrorOutput, interceptions
from trunkline.insight.waiting import Work, finished
from trunkline.openflow.message import FRAGMENTS_SHOWN
from trunkline.openflow.port import NO_FORWARD, NO_RECEIVE
from trunkline.ovsdb import patch_pair
from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.integration_bridge import NO_IN_BAND
from trunkline.ovsdb.switch_row import RESTORE_WAIT, BridgeRow, PortRow

if TYPE_CHECKING:
    from uuid import UUID

    from trunkline.core.model import Network, Uplink, Vif
    from trunkline.core.model import Port as NbPort
    from trunkline.insight.connection import Connection
    from trunkline.openflow.port import Port
    from trunkline.ovsdb.patch_pair import BridgeMapping
    from trunkline.ovsdb.reading import Reading
    from trunkline.ovsdb.vswitch import SwitchReplica
    from trunkline.ovsdb.wiring import Wiring
    from trunkline.proof.intent import Intent

_LONGEST_NAME = 15
"""What OpenFlow has room for; a longer name is cut, and `ovs-ofctl` does not know it."""

MOST_SUBJECTS = 50
"""Of how many ports a hindrance says that it is about them; beyond, it is about their network."""

SWITCH = "switch"
"""The subject of what concerns all ports."""


class Kind(Enum):
    """What is set."""

    RESTORE_WAIT = auto()
    SPANNING_TREE = auto()
    CONTROLLER = auto()
    FRAGMENTS = auto()
    FLAG = auto()
    DOWN = auto()
    PROTECTED = auto()
    TAKEN = auto()
    MIRROR = auto()
    PATCH = auto()


class Hindrance(NamedTuple):
    """What becomes of which frames, and why: *text*; and the command that ends it: *remedy*.

    *subjects* are what it is about, called as those of faults are: ports by whose VIF the frames come or go,
    the mapping whose patch ports they pass, or the switch. *network_ids* are the networks whose frames these
    are, None for all.
    """

    kind: Kind
    text: str
    remedy: str
    subjects: tuple[str, ...] = (SWITCH,)
    network_ids: frozenset[UUID] | None = None


class Replies(NamedTuple):
    """What the switch replies of what the agent's replica does not have.

    *ports* are those of the bridge, *fragments* how it handles fragments, as `ovs-ofctl get-frags` says.
    *taken* and *outputs* are what `interceptions` returns.
    """

    ports: Sequence[Port] = ()
    fragments: str = FRAGMENTS_SHOWN
    taken: Sequence[Interception] = ()
    outputs: Sequence[MirrorOutput] = ()


def replies(connection: Connection, remote: str, timeout_s: float = daemon.PATIENCE_S) -> Work[Replies]:
    """Ask the bridge at *connection*, and for *timeout_s* its database at *remote*.

    Raises:
        SwitchError: the switch does not answer.
        UnreachableError: its database does not.
    """
    ports = yield from connection.reading_ports()
    fragments = yield from connection.reading_fragment_handling()
    return Replies(ports, fragments, *(yield from interceptions(remote, timeout_s)))


def hindrances(reading: Reading, connection: Connection, rundir: str, intent: Intent) -> list[Hindrance]:
    """Return the hindrances at the bridge of *reading*, which is at *connection*, for frames by *intent*.

    *rundir* has the sockets of Open vSwitch.

    Raises:
        SwitchError: the switch does not answer.
        UnreachableError: its database does not.
    """
    place = Place(reading.switch, reading.settings.wiring, intent.networks)
    for (ofport, vlan_id), port in intent.port_by_outlet.items():
        place.add(ofport, vlan_id, port, reading.inventory.vifs.get(port.iface_id, ()))
    said = finished(replies(connection, reading.switch.remotes))
    found = [each for each in place.hindrances(said, intent.uplinks) if each is not None]
    return sorted(
        [*_waits(reading.switch, rundir), *found], key=lambda each: (each.network_ids is not None, each.text)
    )


def _waits(switch: SwitchReplica, rundir: str) -> Iterator[Hindrance]:
    if switch.waits_for_flows and not _has_revalidators(rundir):
        yield Hindrance(
            Kind.RESTORE_WAIT,
            f"ovs-vswitchd handles no new frames while {RESTORE_WAIT} is set",
            f"ovs-vsctl remove Open_vSwitch . other_config {RESTORE_WAIT}",
        )


def _has_revalidators(rundir: str) -> bool:
    """Return whether ovs-vswitchd handles frames: while it waits for flows, it has no thread that does.

    `upcall/show` has a line for each revalidator, with a number first (`ofproto-dpif-upcall.c`).
    """
    said = vswitchd.ask(rundir, "upcall/show")
    return any(line.strip().partition(":")[0].isdecimal() for line in said.splitlines())


def _bridge(switch: SwitchReplica, bridge: str) -> Iterator[Hindrance]:
    """Yield what settings of the *bridge* do."""
    row = switch.row("Bridge", bridge)
    if row is None:
        return
    for column in (BridgeRow.stp_enable, BridgeRow.rstp_enable):
        if one(row, column):
            yield Hindrance(
                Kind.SPANNING_TREE,
                f"{bridge} has {column} on: it keeps ports from forwarding, and takes and sends BPDUs",
                f"ovs-vsctl set Bridge {shlex.quote(bridge)} {column}=false",
            )
    if not every(row, BridgeRow.controller):
        return
    if one(row, BridgeRow.fail_mode) != "secure":
        yield Hindrance(
            Kind.CONTROLLER,
            f"{bridge} has a controller and is not secure: without it, hidden flows switch all frames",
            f"ovs-vsctl set-fail-mode {shlex.quote(bridge)} secure",
        )
    if pairs(row, BridgeRow.other_config).get(NO_IN_BAND) != "true":
        yield Hindrance(
            Kind.CONTROLLER,
            f"{bridge} has a controller, and frames in its name go by hidden flows, past all others",
            f"ovs-vsctl set Bridge {shlex.quote(bridge)} other_config:{NO_IN_BAND}=true",
        )


def _fragments(bridge: str, handling: str) -> Iterator[Hindrance]:
    if handling != FRAGMENTS_SHOWN:
        what = "drops fragments" if handling == "drop" else "hides from its flows what first fragments are"
        yield Hindrance(
            Kind.FRAGMENTS,
            f"{bridge} {what}: it handles them as {handling}",
            f"ovs-ofctl -O OpenFlow14 set-frags {shlex.quote(bridge)} {FRAGMENTS_SHOWN}",
        )


class Place:
    """Where frames come in and leave, by the rows, and what hinders them there.

    Each port is told by `add`; *networks* has theirs.
    """

    def __init__(self, switch: SwitchReplica, wiring: Wiring, networks: Mapping[UUID, Network]) -> None:
        self._switch, self._wiring, self._networks = switch, wiring, networks
        self._interface: dict[int, str] = {}
        self._name: dict[int, str] = {}
        self._subject: dict[int, str] = {}
        self._port_by_network: dict[int, dict[UUID, NbPort]] = defaultdict(dict)
        self._network_ids: dict[int, set[UUID]] = defaultdict(set)
        self._here: set[UUID] = set()

    def add(self, ofport: int, vlan_id: int | None, port: NbPort, vifs: Sequence[Vif]) -> None:
        """Take note that *port* is at *ofport*, with the tag *vlan_id* if it is a sub-port.

        *vifs* are those with its iface-id.
        """
        self._network_ids[ofport].add(port.network_id)
        self._port_by_network[ofport][port.network_id] = port
        self._here.add(port.network_id)
        for vif in vifs if vlan_id is None else ():
            if vif.ofport == ofport:
                self._interface[ofport] = vif.interface
                self._name[ofport] = f"{port.name} ({vif.interface})"
                self._subject[ofport] = f"port {port.name}"

    def hindrances(self, said: Replies, uplinks: Mapping[str, Uplink]) -> Iterator[Hindrance | None]:
        """Yield what hinders frames, by the rows and by what the switch *said*; None after each step.

        *uplinks* are by physical network.
        """
        mappings = {
            mapping: frozenset(
                each
                for each in self._here
                if each in self._networks and self._networks[each].physnet == mapping.physnet
            )
            for mapping in self._wiring.mappings
        }
        for mapping, network_ids in mappings.items():
            uplink = uplinks.get(mapping.physnet)
            if uplink is not None and network_ids:
                self._network_ids[uplink.ofport] |= network_ids
                self._interface[uplink.ofport] = self._name[uplink.ofport] = mapping.inner
                self._subject[uplink.ofport] = f"mapping {mapping.physnet}"
        yield from _bridge(self._switch, self._wiring.bridge)
        yield from _fragments(self._wiring.bridge, said.fragments)
        for port in said.ports:
            yield from self._flags(port)
            yield None
        yield from self._rows(said)
        yield from self._patches(mappings)

    def _flags(self, port: Port) -> Iterator[Hindrance]:
        """Yield what the configuration of *port* does, if it is one of these."""
        if port.ofport not in self._interface:
            return
        name = self._name[port.ofport]
        for kind, is_set, text, word in (
            (
                Kind.FLAG,
                port.flags & NO_RECEIVE,
                f"all that comes in by {name} is dropped: it has no-receive",
                "receive",
            ),
            (
                Kind.FLAG,
                port.flags & NO_FORWARD,
                f"all that leaves by {name} is dropped: it has no-forward",
                "forward",
            ),
            (Kind.DOWN, port.is_down, f"nothing passes {name}: it is set down", "up"),
        ):
            if is_set:
                yield self._at(kind, port.ofport, text, self._mod_port(port.ofport, word))

    def _at(self, kind: Kind, ofport: int, text: str, remedy: str) -> Hindrance:
        """Return a hindrance of all that passes *ofport*."""
        return Hindrance(kind, text, remedy, (self._subject[ofport],), frozenset(self._network_ids[ofport]))

    def _mod_port(self, ofport: int, word: str) -> str:
        name = self._interface[ofport]
        place = shlex.quote(name) if len(name) <= _LONGEST_NAME else str(ofport)
        return f"ovs-ofctl -O OpenFlow14 mod-port {shlex.quote(self._wiring.bridge)} {place} {word}"

    def _rows(self, said: Replies) -> Iterator[Hindrance | None]:
        """Yield what the rows of ports do, and the frames that Open vSwitch takes for itself."""
        yield from self._taken(said.taken)
        mirror_by_port = {output.port_id: output.mirror for output in said.outputs}
        protected: dict[UUID, dict[str, int]] = defaultdict(dict)
        for ofport in self._interface:
            yield None
            row = self._switch.port_of(self._interface[ofport])
            if row is None:
                continue
            if one(row, PortRow.protected):
                for network_id in self._network_ids[ofport]:
                    protected[network_id][one(row, PortRow.name)] = ofport
            if one(row, PortRow.lacp) in ("active", "passive"):
                yield self._at(
                    Kind.TAKEN,
                    ofport,
                    "the switch itself takes LACP frames (type 0x8809) that come in by "
                    f"{self._name[ofport]}: lacp is set",
                    f"ovs-vsctl clear Port {shlex.quote(one(row, PortRow.name))} lacp",
                )
            mirror = mirror_by_port.get(str(row.uuid))
            if mirror is not None:
                yield self._at(
                    Kind.MIRROR,
                    ofport,
                    f"all that comes in by {self._name[ofport]} is dropped: it is the output of a mirror",
                    f"ovs-vsctl clear Mirror {shlex.quote(mirror)} output_port",
                )
        for network_id, ofports in protected.items():
            yield from self._protected(network_id, ofports)

    def _taken(self, taken: Sequence[Interception]) -> Iterator[Hindrance]:
        ofports = {interface: ofport for ofport, interface in self._interface.items()}
        for each in taken:
            ofport = ofports.get(each.interface)
            if ofport is not None:
                yield self._at(
                    Kind.TAKEN,
                    ofport,
                    f"the switch itself takes {each.what} that come in by {self._name[ofport]}: "
                    f"{each.column} is set",
                    f"ovs-vsctl clear Interface {shlex.quote(each.interface)} {each.column}",
                )

    def _protected(self, network_id: UUID, ofports: Mapping[str, int]) -> Iterator[Hindrance]:
        """Yield that none of the protected *ofports*, by name of their ports, gets a frame from another."""
        network = self._networks.get(network_id)
        if len(ofports) < 2 or network is None:
            return
        (first, one_ofport), (_, other), *more = sorted(ofports.items())
        names = self._name[one_ofport], self._name[other]
        among = f"{names[0]} and {names[1]}" if not more else f"{len(ofports)} ports, such as {names[0]},"
        at = (self._port_by_network[ofport].get(network_id) for ofport in ofports.values())
        subjects = tuple(sorted(f"port {port.name}" for port in at if port is not None))
        yield Hindrance(
            Kind.PROTECTED,
            f"frames of {network.name} between {among} are dropped: they are protected ports",
            f"ovs-vsctl set Port {shlex.quote(first)} protected=false",
            subjects if 0 < len(subjects) <= MOST_SUBJECTS else (f"network {network.name}",),
            frozenset({network_id}),
        )

    def _patches(self, mappings: Mapping[BridgeMapping, frozenset[UUID]]) -> Iterator[Hindrance]:
        """Yield the patch ports that do not lead where they should."""
        for mapping, network_ids in mappings.items():
            if not network_ids or patch_pair.mapping_fault(self._switch, self._wiring.bridge, mapping):
                # That no frame leaves is what should be, then.
                continue
            for end in self._wiring.ends(mapping):
                peer = patch_pair.peer(self._switch, end)
                if peer != end.peer:
                    yield Hindrance(
                        Kind.PATCH,
                        f"no frame passes {end.name}: it leads to {peer or 'nowhere'}, not to {end.peer}",
                        f"ovs-vsctl set Interface {end.name} type=patch options:peer={end.peer}",
                        (f"mapping {mapping.physnet}",),
                        network_ids,
                    )
