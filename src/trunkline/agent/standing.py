"""The standing of a chassis: what is in place there, what is a fault, and the report on both."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import trunkline
from trunkline.agent.hearing import Hearing
from trunkline.agent.northbound_feed import NorthboundFeed
from trunkline.agent.passage import Passage
from trunkline.agent.plumbing import Plumbing
from trunkline.agent.reporter import Reporter
from trunkline.bridge.forwarding import Forwarding
from trunkline.bridge.quarantine import Quarantine
from trunkline.core.inventory import Inventory
from trunkline.core.outcome import Outcomes, contradictions
from trunkline.ovsdb import release
from trunkline.ovsdb.report import Report
from trunkline.ovsdb.settings import Settings
from trunkline.ovsdb.vswitch import SwitchReplica


@dataclass(frozen=True)
class Standing:
    """How the chassis stands now; it follows from the present state of the loop's parts alone.

    *setting_fault* is why the settings that are written now are not in force. *is_whole* says that all rows
    that the VIFs here need have been read at least once.
    """

    switch: SwitchReplica
    settings: Settings | None
    setting_fault: str | None
    inventory: Inventory
    outcomes: Outcomes
    is_whole: bool
    forwarding: Forwarding | None
    feed: NorthboundFeed
    hearing: Hearing
    plumbing: Plumbing
    quarantine: Quarantine
    passage: Passage
    reporter: Reporter

    # -- what is in place --------------------------------------------------------------------------

    @property
    def is_computed(self) -> bool:
        """Whether the desired flows are computed from all that is known."""
        return (
            self.is_whole
            and self.inventory.is_clean
            and not self.feed.has_more
            and self.forwarding is not None
            and not self.forwarding.has_more
        )

    @property
    def are_flows_applied(self) -> bool:
        """Whether the switch has the flows for all that is known, and no others."""
        forwarding = self.forwarding
        return (
            self.is_computed
            and forwarding is not None
            and forwarding.is_applied
            and forwarding.revision == self.inventory.revision
        )

    @property
    def is_settled(self) -> bool:
        """Whether all that the databases say is in place, and acknowledged by the switch."""
        nb = self.feed.nb
        return (
            self.are_flows_applied
            and self.feed.is_complete
            and nb is not None
            and nb.are_conditions_met
            and not nb.has_deferred_rows
            and self.plumbing.is_settled
        )

    @property
    def is_wired(self) -> bool:
        """Whether the wiring is in place, by a database that was read after the latest request was heard."""
        return self.switch.is_caught_up and self.plumbing.is_settled

    @property
    def hold(self) -> str | None:
        """Why flows cannot be changed now, whatever `plan` says; None if they can."""
        if self.forwarding is None or self.settings is None:
            return "the switch's database is not read yet"
        if not self.is_whole:
            return "the northbound is not read yet; the switch keeps the flows that it has"
        if not self.forwarding.is_connected:
            return "the switch is not connected, or its flows are not read yet"
        if not self.plumbing.is_ready(self.settings):
            return "an uplink does not let through yet the VLANs that flows need"
        return None

    def is_working(self, network_id: UUID) -> bool:
        """Return whether frames of that network can pass the switch and its uplink."""
        network = self.inventory.networks.get(network_id)
        return (
            network is not None
            and network_id not in self.quarantine.reason_by_network
            and self.passage.fault is None
            and network.physnet in self.inventory.uplinks
            and self.plumbing.ways_out.carries(network)
        )

    # -- what is not -------------------------------------------------------------------------------

    @property
    def faults(self) -> dict[str, str]:
        """The faults of this chassis: what it cannot do of what the databases say, and why, by subject."""
        faults = dict(self.settings.faults) if self.settings is not None else {}
        if self.setting_fault is not None:
            faults["settings"] = self.setting_fault
        faults |= self.plumbing.faults
        known = release.fault(self.switch.version, self.switch.datapath_type(self.switch.bridge))
        if known is not None:
            faults["open-vswitch"] = known
        if self.plumbing.refusals.reason is not None:
            faults["wiring"] = f"the switch's database refused a write: {self.plumbing.refusals.reason}"
        faults |= self.outcomes.faults
        faults |= self.reporter.faults
        if self.forwarding is not None:
            own = self.forwarding.faults
            # One cause is one fault.
            if self.passage.fault is not None and "switch changes" not in own:
                own.pop("switch connection", None)
                faults["switch"] = self.passage.fault
            faults |= own
            faults |= contradictions(self.inventory, self.forwarding.desired.conflicts)
        for subject in self.feed.invalid_vifs:
            # One cause is one fault: that of an invalid port is enough for its VIF.
            faults.pop(subject, None)
        faults |= self.feed.faults
        return faults | dict(self.quarantine.faults(self.inventory))

    # -- the report --------------------------------------------------------------------------------

    def report(self) -> None:
        """Write to the northbound what the switch has acknowledged, one write at a time."""
        nb, settings, forwarding = self.feed.report_target, self.settings, self.forwarding
        reporter = self.reporter
        if nb is None or settings is None or forwarding is None:
            return
        reporter.settle(nb)
        if nb.is_writing or not nb.is_connected or reporter.refusals.is_held:
            return
        is_obeyed = not self.feed.is_disobeyed
        if is_obeyed and not self.is_whole and nb.is_registered and self.hearing.due is None:
            return
        # A port that is here and up is reported at once, all else only when all rows are there.
        is_all_known = nb.are_conditions_met and not self.feed.has_more
        bindings = (
            reporter.bindings(
                nb, self.inventory, forwarding.applied, self.is_working, are_others_known=is_all_known
            )
            if is_obeyed and self.is_whole
            else {}
        )
        heard = self.hearing.due
        if not (bindings or is_all_known or not nb.is_registered or heard is not None):
            return
        has_faults = is_all_known and (self.is_whole or not is_obeyed)
        is_asked = nb.nb_cfg != nb.reported_nb_cfg
        is_done = is_asked and self._is_answer_due and reporter.is_done_by(bindings)
        bridge = settings.wiring.bridge
        report = Report(
            hostname=self.switch.hostname,
            version=trunkline.__version__,
            bridge_mappings=settings.bridge_by_physnet,
            integration_bridge=bridge,
            datapath_type=self.switch.datapath_type(bridge),
            iface_types=self.switch.iface_types,
            ready_ports=self.ready_ports,
            faults=self.faults if has_faults else None,
            nb_cfg=nb.nb_cfg if is_done else None,
            nb_cfg_heard=None if is_done else heard,
        )
        reporter.write(nb, bindings, report)

    @property
    def ready_ports(self) -> frozenset[str] | None:
        """The ports that migrate here and whose VIFs are ready; None while flows are on their way.

        Their VIFs wait here for the first frame, or have sent it.
        """
        forwarding, inventory = self.forwarding, self.inventory
        if not self.is_computed or forwarding is None or forwarding.applied < inventory.revision:
            return None
        awake = filter(inventory.is_local, inventory.awake)
        ports = [inventory.ports[port_id] for port_id in (*inventory.sleeping(), *awake)]
        return frozenset(
            port.name for port in ports if inventory.has_link(port) and self.is_working(port.network_id)
        )

    @property
    def _is_answer_due(self) -> bool:
        """Whether all is in place that both databases said when the latest request was heard.

        The switch must also have answered since then: one that hangs has applied nothing new.
        """
        forwarding = self.forwarding
        return (
            not self.feed.is_disobeyed
            and self.is_wired
            and self.hearing.is_switch_asked
            and forwarding is not None
            and forwarding.is_caught_up
            and self.is_settled
        )
