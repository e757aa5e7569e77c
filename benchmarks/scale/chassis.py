"""A chassis without a switch: an agent's session with the northbound, driven as `agent.agent` drives it.

Its switch has every flow at once, so that what is left is what the northbound has to do for an agent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import ovs.timeval
from load import PHYSNET
from process import now_s

import trunkline
from trunkline.agent.reporter import Reporter
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import Uplink, Vif
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.report import Report
from trunkline.ovsdb.touched import Touched

BRIDGE_BY_PHYSNET = {PHYSNET: "br-phys"}
Saw = Callable[[str], None]


def network_sight(name: str, vlan_id: int | None) -> str:
    """Return what a chassis says that it saw when it is told that the network has this VLAN id."""
    return f"network {name} {vlan_id}"


def port_sight(name: str) -> str:
    """Return what a chassis says that it saw when a port comes that it did not know."""
    return f"port {name}"


class Chassis:
    """The session of the chassis called *name*, which has a VIF for each of the ports *port_names*.

    Call `run` whenever what `nb.wait` asked for has come. *saw* is told of networks and of ports that come
    once all is loaded.
    """

    def __init__(self, remotes: str, name: str, port_names: Sequence[str], saw: Saw) -> None:
        self.nb = NorthboundReplica(remotes, name)
        self.inventory = Inventory(name)
        self.inventory.change(Changes(uplinks={PHYSNET: Uplink(PHYSNET, BRIDGE_BY_PHYSNET[PHYSNET], 1)}))
        self.settled_at_s: float | None = None
        self.refusals: list[str] = []
        self._saw = saw
        self._reporter = Reporter()
        self._revision = 0
        self._lost_connection = 0
        self._is_whole = False
        self._port_names: set[str] = set()
        self._port_id_by_name: dict[str, UUID] = {}
        self.plug(port_names)

    def plug(self, port_names: Sequence[str]) -> None:
        """Have a VIF for each of *port_names* too."""
        start = len(self._port_names) + 2
        vifs: dict[str, tuple[Vif, ...]] = {
            name: (Vif(name, name, ofport),) for ofport, name in enumerate(port_names, start)
        }
        self._port_names |= vifs.keys()
        self.inventory.change(Changes(vifs=vifs))
        for name in port_names:
            self.nb.set_vif(name, is_here=True)
        known = {self._port_id_by_name[name] for name in port_names if name in self._port_id_by_name}
        self._take(self.nb.changes(Touched({"Port": known})))
        self.nb.request_rows()
        self.settled_at_s = None

    def expect_loss(self) -> None:
        """Be settled only when the connection has been another one than now."""
        self._lost_connection = self.connection_count
        self.settled_at_s = None

    def run(self) -> None:
        """Take in what the northbound sent, and report."""
        nb = self.nb
        touched = nb.run()
        if not nb.is_synced or nb.identity is None:
            return
        changes = nb.changes(touched)
        is_complete = nb.are_conditions_met and not nb.request_rows()
        if changes.networks or changes.ports:
            self._take(changes)
            is_complete = is_complete and not nb.request_rows()
        self._is_whole |= is_complete
        self._report()
        if self.settled_at_s is None and self.is_settled:
            self.settled_at_s = now_s()

    def _take(self, changes: Changes) -> None:
        # Ports elsewhere become flows, and nothing else: of them the report depends on nothing.
        self._port_id_by_name |= {port.name: id_ for id_, port in changes.ports.items() if port is not None}
        ports = {
            id_: port
            for id_, port in changes.ports.items()
            if id_ in self.inventory.ports or (port is not None and port.name in self._port_names)
        }
        self.inventory.change(Changes(networks=changes.networks, ports=ports))
        self._revision += 1
        self._reporter.mark(ports.keys(), self._revision)
        if not self._is_whole:
            return
        for network in changes.networks.values():
            if network is not None:
                self._saw(network_sight(network.name, network.vlan_id))
        for port in changes.ports.values():
            if port is not None and port.chassis is None:
                self._saw(port_sight(port.name))

    def _report(self) -> None:
        nb = self.nb
        self._reporter.settle(nb)
        refusal = self._reporter.refusals.reason
        if refusal is not None and refusal not in self.refusals:
            self.refusals.append(refusal)
        if (
            nb.is_writing
            or self._reporter.refusals.is_held
            or not nb.are_conditions_met
            or not self._is_whole
        ):
            return
        bindings = self._reporter.bindings(nb, self.inventory, self._revision, lambda _: True)
        self._reporter.write(
            nb,
            bindings,
            Report(
                hostname="host",
                version=trunkline.__version__,
                bridge_mappings=BRIDGE_BY_PHYSNET,
                integration_bridge="br-int",
                datapath_type="system",
                iface_types=frozenset({"internal", "patch", "system"}),
                faults={},
                nb_cfg=nb.nb_cfg if self._reporter.is_done_by(bindings) else None,
            ),
        )

    @property
    def is_settled(self) -> bool:
        """Whether all is loaded, every VIF's port is reported up, and the latest request is answered."""
        nb = self.nb
        return (
            nb.are_conditions_met
            and self._is_whole
            and not nb.has_deferred_rows
            and not nb.is_writing
            and self._reporter.is_done_by({})
            and len(self.inventory.ports) == len(self._port_names)
            and nb.reported_nb_cfg == nb.nb_cfg
            and self.connection_count > self._lost_connection
        )

    @property
    def row_count(self) -> int:
        """How many rows it has loaded."""
        return sum(len(self.nb.rows(table)) for table in ("NB_Global", "Network", "Port", "Chassis"))

    @property
    def received_bytes(self) -> int:
        """How much the server has sent over the present connection."""
        rpc = self.nb._idl._session.rpc
        return 0 if rpc is None else int(rpc.received_bytes)

    @property
    def connection_count(self) -> int:
        """How often it has connected up to now."""
        stats = self.nb._idl._session.reconnect.get_stats(ovs.timeval.msec())
        return int(stats.n_successful_connections)
