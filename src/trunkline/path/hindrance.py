"""Hindrances: settings of the switch by which frames go elsewhere than its flows send them.

What a bridge does with frames besides its flows is in `ofproto-dpif-xlate.c` of Open vSwitch: what
`may_receive`, `process_special` and `check_output_prerequisites` ask. Settings that matter to NORMAL alone
are none of it (tag, trunks, flood_vlans, mcast_snooping_enable, bonds, forward-bpdu).
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from trunkline.insight import vswitchd
from trunkline.insight.interception import interceptions
from trunkline.openflow.message import FRAGMENTS_SHOWN
from trunkline.openflow.port import NO_FORWARD, NO_RECEIVE
from trunkline.ovsdb import patch_pair
from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.integration_bridge import NO_IN_BAND
from trunkline.ovsdb.switch_row import RESTORE_WAIT, BridgeRow, PortRow

if TYPE_CHECKING:
    from uuid import UUID

    from trunkline.insight.connection import Connection
    from trunkline.openflow.port import Port
    from trunkline.ovsdb.reading import Reading
    from trunkline.proof.intent import Intent

_LONGEST_NAME = 15
"""What OpenFlow has room for; a longer name is cut, and `ovs-ofctl` does not know it."""


class Hindrance(NamedTuple):
    """What becomes of which frames, and why: *text*; and the command that ends it: *remedy*.

    *network_ids* are the networks whose frames these are, None for all.
    """

    text: str
    remedy: str
    network_ids: frozenset[UUID] | None = None


def hindrances(reading: Reading, connection: Connection, rundir: str, intent: Intent) -> list[Hindrance]:
    """Return the hindrances at the bridge of *reading*, which is at *connection*, for frames by *intent*.

    *rundir* has the sockets of Open vSwitch.

    Raises:
        SwitchError: the switch does not answer.
        UnreachableError: its database does not.
    """
    ends = _Ends(reading, intent)
    found = [*_bridge(reading, rundir), *_fragments(reading, connection)]
    for port in connection.ports():
        found += ends.of_port(port)
    found += [*ends.protected(), *ends.taken(), *ends.patches()]
    return sorted(found, key=lambda each: (each.network_ids is not None, each.text))


def _bridge(reading: Reading, rundir: str) -> Iterator[Hindrance]:
    """Yield what settings of the whole switch and of the bridge do."""
    if reading.switch.waits_for_flows and not _has_revalidators(rundir):
        yield Hindrance(
            f"ovs-vswitchd handles no new frames while {RESTORE_WAIT} is set",
            f"ovs-vsctl remove Open_vSwitch . other_config {RESTORE_WAIT}",
        )
    bridge = reading.settings.wiring.bridge
    row = reading.switch.row("Bridge", bridge)
    if row is None:
        return
    for column in (BridgeRow.stp_enable, BridgeRow.rstp_enable):
        if one(row, column):
            yield Hindrance(
                f"{bridge} has {column} on: it keeps ports from forwarding, and takes and sends BPDUs",
                f"ovs-vsctl set Bridge {shlex.quote(bridge)} {column}=false",
            )
    if not every(row, BridgeRow.controller):
        return
    if one(row, BridgeRow.fail_mode) != "secure":
        yield Hindrance(
            f"{bridge} has a controller and is not secure: without it, hidden flows switch all frames",
            f"ovs-vsctl set-fail-mode {shlex.quote(bridge)} secure",
        )
    if pairs(row, BridgeRow.other_config).get(NO_IN_BAND) != "true":
        yield Hindrance(
            f"{bridge} has a controller, and frames in its name go by hidden flows, past all others",
            f"ovs-vsctl set Bridge {shlex.quote(bridge)} other_config:{NO_IN_BAND}=true",
        )


def _has_revalidators(rundir: str) -> bool:
    """Return whether ovs-vswitchd handles frames: while it waits for flows, it has no thread that does.

    `upcall/show` has a line for each revalidator, with a number first (`ofproto-dpif-upcall.c`).
    """
    said = vswitchd.ask(rundir, "upcall/show")
    return any(line.strip().partition(":")[0].isdecimal() for line in said.splitlines())


def _fragments(reading: Reading, connection: Connection) -> Iterator[Hindrance]:
    handling, bridge = connection.fragment_handling(), reading.settings.wiring.bridge
    if handling != FRAGMENTS_SHOWN:
        what = "drops fragments" if handling == "drop" else "hides from its flows what first fragments are"
        yield Hindrance(
            f"{bridge} {what}: it handles them as {handling}",
            f"ovs-ofctl -O OpenFlow14 set-frags {shlex.quote(bridge)} {FRAGMENTS_SHOWN}",
        )


class _Ends:
    """The ports that frames come in by or leave by, by the rows, and what hinders these frames."""

    def __init__(self, reading: Reading, intent: Intent) -> None:
        self._switch, self._wiring = reading.switch, reading.settings.wiring
        self._remote = reading.switch.remotes
        self._interface: dict[int, str] = {}
        self._name: dict[int, str] = {}
        self._network_ids: dict[int, set[UUID]] = defaultdict(set)
        self._networks = intent.networks
        for (ofport, vlan_id), port in intent.port_by_outlet.items():
            self._network_ids[ofport].add(port.network_id)
            vifs = reading.inventory.vifs.get(port.iface_id, ()) if vlan_id is None else ()
            for vif in vifs:
                if vif.ofport == ofport:
                    self._interface[ofport] = vif.interface
                    self._name[ofport] = f"{port.name} ({vif.interface})"
        here = {network_id for some in self._network_ids.values() for network_id in some}
        self._mappings = {
            mapping: frozenset(each for each in here if intent.networks[each].physnet == mapping.physnet)
            for mapping in self._wiring.mappings
        }
        for mapping, network_ids in self._mappings.items():
            uplink = intent.uplinks.get(mapping.physnet)
            if uplink is not None and network_ids:
                self._network_ids[uplink.ofport] |= network_ids
                self._interface[uplink.ofport] = self._name[uplink.ofport] = mapping.inner

    def of_port(self, port: Port) -> Iterator[Hindrance]:
        """Yield what the configuration of *port* does, if it is one of these."""
        if port.ofport not in self._interface:
            return
        name = self._name[port.ofport]
        for is_set, text, word in (
            (
                port.flags & NO_RECEIVE,
                f"all that comes in by {name} is dropped: it has no-receive",
                "receive",
            ),
            (port.flags & NO_FORWARD, f"all that leaves by {name} is dropped: it has no-forward", "forward"),
            (port.is_down, f"nothing passes {name}: it is set down", "up"),
        ):
            if is_set:
                yield Hindrance(text, self._mod_port(port.ofport, word), self._ids(port.ofport))

    def _mod_port(self, ofport: int, word: str) -> str:
        name = self._interface[ofport]
        place = shlex.quote(name) if len(name) <= _LONGEST_NAME else str(ofport)
        return f"ovs-ofctl -O OpenFlow14 mod-port {shlex.quote(self._wiring.bridge)} {place} {word}"

    def _ids(self, ofport: int) -> frozenset[UUID]:
        return frozenset(self._network_ids[ofport])

    def _port_row(self, ofport: int) -> PortRow | None:
        """Return the row of the port that the interface with *ofport* is of: not always one of its name."""
        interface = self._switch.row("Interface", self._interface[ofport])
        port_id = None if interface is None else self._switch.port_id_of(interface.uuid)
        return None if port_id is None else self._switch.rows("Port").get(port_id)

    def protected(self) -> Iterator[Hindrance]:
        """Yield the networks with several protected ports: none of these gets a frame from another."""
        ports_by_network: dict[UUID, dict[str, str]] = defaultdict(dict)
        for ofport in self._interface:
            row = self._port_row(ofport)
            if row is not None and one(row, PortRow.protected):
                for network_id in self._network_ids[ofport]:
                    ports_by_network[network_id][one(row, PortRow.name)] = self._name[ofport]
        for network_id, some in ports_by_network.items():
            if len(some) > 1:
                (first, one_name), (_, other), *more = sorted(some.items())
                among = f"{one_name} and {other}" if not more else f"{len(some)} ports, such as {one_name},"
                yield Hindrance(
                    f"frames of {self._networks[network_id].name} between {among} are dropped: "
                    "they are protected ports",
                    f"ovs-vsctl set Port {shlex.quote(first)} protected=false",
                    frozenset({network_id}),
                )

    def taken(self) -> Iterator[Hindrance]:
        """Yield the frames that Open vSwitch takes for itself."""
        ofports = {interface: ofport for ofport, interface in self._interface.items()}
        taken, outputs = interceptions(self._remote)
        for each in taken:
            ofport = ofports.get(each.interface)
            if ofport is not None:
                name = self._name[ofport]
                yield Hindrance(
                    f"the switch itself takes {each.what} that come in by {name}: {each.column} is set",
                    f"ovs-vsctl clear Interface {shlex.quote(each.interface)} {each.column}",
                    self._ids(ofport),
                )
        mirror_by_port = {output.port_id: output.mirror for output in outputs}
        for ofport in self._interface:
            row = self._port_row(ofport)
            if row is None:
                continue
            name = shlex.quote(one(row, PortRow.name))
            if one(row, PortRow.lacp) in ("active", "passive"):
                yield Hindrance(
                    "the switch itself takes LACP frames (type 0x8809) that come in by "
                    f"{self._name[ofport]}: lacp is set",
                    f"ovs-vsctl clear Port {name} lacp",
                    self._ids(ofport),
                )
            mirror = mirror_by_port.get(str(row.uuid))
            if mirror is not None:
                yield Hindrance(
                    f"all that comes in by {self._name[ofport]} is dropped: it is the output of a mirror",
                    f"ovs-vsctl clear Mirror {shlex.quote(mirror)} output_port",
                    self._ids(ofport),
                )

    def patches(self) -> Iterator[Hindrance]:
        """Yield the patch ports that do not lead where they should."""
        for mapping, network_ids in self._mappings.items():
            if not network_ids or patch_pair.mapping_fault(self._switch, self._wiring.bridge, mapping):
                # That no frame leaves is what should be, then.
                continue
            for end in self._wiring.ends(mapping):
                peer = patch_pair.peer(self._switch, end)
                if peer != end.peer:
                    yield Hindrance(
                        f"no frame passes {end.name}: it leads to {peer or 'nowhere'}, not to {end.peer}",
                        f"ovs-vsctl set Interface {end.name} type=patch options:peer={end.peer}",
                        network_ids,
                    )
