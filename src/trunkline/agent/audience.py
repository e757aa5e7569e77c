"""The audience: the parts that are told of new views, and of ports whose frames can pass again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from trunkline.agent.plumbing import Plumbing
from trunkline.agent.reporter import Reporter
from trunkline.bridge.announcer import Announcer
from trunkline.core.inventory import Inventory
from trunkline.core.subject import NetworkSubject, PortSubject, SubjectId, VifSubject
from trunkline.core.view import LocalPortView, NetworkView, View
from trunkline.ovsdb.nic import Vlans, lets_through


class Audience:
    """The reporter and the announcer are told of ports, the plumbing of networks and of VIFs.

    A port waits there until the switch has the flows of the revision that the news belongs to. *mtus_pending*
    are the iface-ids whose MTU may have to be requested again.
    """

    def __init__(self, reporter: Reporter, announcer: Announcer, plumbing: Plumbing) -> None:
        self.mtus_pending: set[str] = set()
        self._reporter = reporter
        self._announcer = announcer
        self._plumbing = plumbing

    def publish(self, view_by_subject: Mapping[SubjectId, View | None], inventory: Inventory) -> None:
        """Tell each part of the views that were computed from *inventory*."""
        port_ids: list[UUID] = []
        for subject, view in view_by_subject.items():
            match subject:
                case PortSubject(id_):
                    port_ids.append(id_)
                    local = view if isinstance(view, LocalPortView) else None
                    self._announcer.schedule(id_, local, inventory.revision)
                case VifSubject(iface_id):
                    self.mtus_pending.add(iface_id)
                case NetworkSubject(id_) if isinstance(view, NetworkView):
                    self._plumbing.set_network(id_, inventory.networks.get(id_), inventory.carried(id_))
                case NetworkSubject(id_):
                    self._plumbing.set_network(id_, None, None)
        self._reporter.mark(port_ids, inventory.revision)

    def report_passage(
        self, port_ids: Iterable[UUID], inventory: Inventory, *, are_back: bool = False
    ) -> None:
        """Report ports whose frames can no longer pass; if they *are_back*, they can again: announce them."""
        ids = list(port_ids)
        self._reporter.mark(ids, inventory.revision)
        if are_back:
            self._announcer.repeat(ids, inventory.revision)

    def report_uplinks(self, before: Mapping[str, Vlans], inventory: Inventory) -> None:
        """Report ports whose frames left by the uplink *before* and no longer do, or the other way round."""
        after = self._plumbing.ways_out.passing
        if before == after:
            return
        moved = [id_ for id_ in before.keys() | after.keys() if before.get(id_) != after.get(id_)]
        ports_by_passage: dict[bool, list[UUID]] = {False: [], True: []}
        for port_id in inventory.local_ports(moved):
            network = inventory.networks[inventory.ports[port_id].network_id]
            passes = self._plumbing.ways_out.carries(network)
            if passes != lets_through(before.get(network.physnet), network.vlan_id):
                ports_by_passage[passes].append(port_id)
        for passes, port_ids in ports_by_passage.items():
            self.report_passage(port_ids, inventory, are_back=passes)

    def request_mtus(self, inventory: Inventory) -> None:
        """Request the MTUs that are pending."""
        self._plumbing.request_mtus(self.mtus_pending, inventory)
        self.mtus_pending.clear()
