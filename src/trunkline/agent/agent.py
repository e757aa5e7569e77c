"""The agent: one loop that carries rows to views to flows, and back what the switch acknowledged."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import partial

import ovs.poller

from trunkline.agent.audience import Audience
from trunkline.agent.blackhole import BlackHoles
from trunkline.agent.delay import Delays
from trunkline.agent.former_bridge import FormerBridges
from trunkline.agent.hearing import Hearing
from trunkline.agent.northbound_feed import NorthboundFeed
from trunkline.agent.passage import Passage
from trunkline.agent.plumbing import Plumbing
from trunkline.agent.reporter import Reporter
from trunkline.agent.restart import SwitchRestart
from trunkline.agent.standing import Standing
from trunkline.agent.turn import Turn
from trunkline.agent.vif_log import VifLog
from trunkline.bridge.announcer import Announcer
from trunkline.bridge.audit import Audit
from trunkline.bridge.forwarding import Forwarding
from trunkline.bridge.incumbent import incumbents
from trunkline.bridge.migration import Migration
from trunkline.bridge.prober import Prober
from trunkline.bridge.quarantine import Quarantine
from trunkline.bridge.upkeep import Upkeep
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.outcome import Outcomes, outcome
from trunkline.core.subject import SubjectId
from trunkline.core.view import View
from trunkline.openflow.event import Connected, Event, FlowsRead, PacketIn
from trunkline.openflow.session import Session
from trunkline.ovsdb.active_settings import ActiveSettings
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.settings import Settings
from trunkline.ovsdb.vswitch import SwitchChanges, SwitchReplica
from trunkline.runtime.log import Log

log = Log("agent")

VIEWS = 500
"""How many views are computed before the clock is looked at again: some 5 ms."""


class Agent:
    """The agent of the chassis whose `Open_vSwitch` database is at *ovs_remote*.

    *rundir* holds the bridges' management sockets. Call `run` each time that the poller prepared by `wait`
    wakes. Nothing blocks. *is_due* says whether the last turn left work that needs to wait for nobody.
    """

    def __init__(self, ovs_remote: str, rundir: str) -> None:
        self.rundir = rundir
        self.switch = SwitchReplica(ovs_remote)
        self.plumbing = Plumbing(self.switch)
        self.inventory = Inventory("")
        self.outcomes = Outcomes(self.inventory)
        self.forwarding: Forwarding | None = None
        self.quarantine = Quarantine()
        self.reporter = Reporter()
        self.feed = NorthboundFeed(self.switch, self.plumbing)
        self.hearing = Hearing()
        self.announcer = Announcer()
        self.audience = Audience(self.reporter, self.announcer, self.plumbing)
        self.migration = Migration()
        self.prober = Prober(self.plumbing.set_wide)
        self.upkeep = Upkeep(self.switch.is_vif)
        self.former_bridges = FormerBridges(self.switch, rundir)
        self.passage = Passage(self.switch)
        self.restart = SwitchRestart(self.switch)
        self.black_holes = BlackHoles(self.switch, rundir)
        self.turn = Turn()
        self.delays = Delays()
        self.audit = Audit()
        self.vif_log = VifLog(log)
        self._active_settings = ActiveSettings(self.switch)
        self._stale: dict[SubjectId, View | None] = {}
        self._is_whole = False
        self.is_due = False
        self._progress_before: tuple[object, ...] = ()
        self._is_wiring_due = False
        self._has_recovered = False

    # -- the loop ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Read what is new, and go on as far as that is possible without waiting.

        Raises:
            SettingsError: at the start, if a required setting is missing.
        """
        self.turn.begin()
        self._read()
        views = self._compute()
        self._write(views)
        self._ask_switch()
        applied = self.forwarding.applied if self.forwarding is not None else -1
        self.delays.settle(self.inventory, applied, self.turn.began_s, is_complete=self.feed.is_complete)
        self.standing.report()
        before, self._progress_before = self._progress_before, self._progress
        self.is_due = self._progress_before != before or self._has_unfinished_work

    @property
    def _has_unfinished_work(self) -> bool:
        """Whether the turn left work that it could go on with at once."""
        if self.forwarding is not None and (self.forwarding.has_more or self.forwarding.refused):
            return True
        are_views_due = self._are_views_due and not self.inventory.is_clean
        return are_views_due or self._is_wiring_due or self.feed.is_claim_due

    @property
    def _progress(self) -> tuple[object, ...]:
        """What one step of a turn sets, and an earlier step reads.

        The loop rests only after a turn that left all of it unchanged, so that a change in the middle of a
        turn does not wait for whatever wakes the loop next. What only later steps read is not in it, nor is
        what a peer will answer: for these, a turn would find nothing to do.
        """
        forwarding, plumbing = self.forwarding, self.plumbing
        return (
            *(self.settings, self.inventory, self.inventory.is_clean, self._is_whole, self.passage.fault),
            *(plumbing.is_due, plumbing.is_refused, self.switch.is_writing, self.switch.is_realized),
            *(len(self.audience.mtus_pending), self.nb, self.feed.may_send_flows),
            *((forwarding, forwarding.progress) if forwarding is not None else ()),
        )

    def wait(self, poller: ovs.poller.Poller) -> None:
        """End the turn, and have *poller* wake when `run` has something to do."""
        self.turn.end()
        if self.is_due:
            poller.immediate_wake()
        self.switch.wait(poller)
        self.feed.wait(poller)
        self.former_bridges.wait(poller)
        self.black_holes.wait(poller)
        if self.forwarding is not None:
            self.forwarding.wait(poller)
        self.plumbing.refusals.wait(poller)
        self.reporter.refusals.wait(poller)
        bridge = (self.announcer, self.audit, self.upkeep, self.passage, self.prober)
        others = (self.plumbing.contest, self.black_holes, self.hearing, self.vif_log, self.restart)
        due_s = min((s for part in (*bridge, *others) if (s := part.next_s) is not None), default=None)
        if due_s is not None:
            poller.timer_wait(max(0, int((due_s - time.monotonic()) * 1000) + 1))

    def close(self) -> None:
        """End all connections; the switch goes on forwarding."""
        for part in (self.forwarding, self.former_bridges, self.black_holes, self.feed, self.switch):
            if part is not None:
                part.close()

    @property
    def nb(self) -> NorthboundReplica | None:
        """The northbound that the settings name; None before they are read."""
        return self.feed.nb

    @property
    def settings(self) -> Settings | None:
        """The chassis settings in force; None before the first ones are read."""
        return self._active_settings.settings

    # -- read --------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read what both databases and the switch say, and bring the inventory up to date."""
        self._read_switch()
        self._read_uplinks()
        self._poll_switch()
        self._read_northbound()
        self._read_passage()

    def _read_switch(self) -> None:
        """Read settings and VIFs."""
        self.vif_log.settle()
        changes = self.switch.changes(self.switch.run())
        if not self.switch.is_synced:
            return
        old = self.settings
        if self._active_settings.read(changes) and self.settings is not None:
            self._apply_settings(old, self.settings, changes)
        self._apply_vifs(changes)
        self.plumbing.is_due |= changes.is_wiring_touched or changes.are_settings_touched
        if self.settings is not None:
            self.black_holes.run(self.settings.bridge_by_physnet.values())
            self.plumbing.set_black_holes(self.black_holes.bridges)

    def _apply_settings(self, old: Settings | None, new: Settings, changes: SwitchChanges) -> None:
        """Apply the *new* settings; the *old* ones were in force, None if there were none."""
        if old is None or old.wiring.bridge != new.wiring.bridge:
            self._use_bridge(new.wiring.bridge, changes)
        if old is None or old.chassis != new.chassis:
            self._restart_as(new.chassis)
        self.feed.follow(old, new, self.inventory)

    def _use_bridge(self, bridge: str, changes: SwitchChanges) -> None:
        """Work on *bridge* from now on."""
        changes.vifs |= self.switch.watch(bridge).vifs
        old, self.forwarding = self.forwarding, Forwarding(f"unix:{os.path.join(self.rundir, bridge)}.mgmt")
        if old is not None:
            self.forwarding.repairs = old.repairs
            old.close()
        self._stale |= {subject: outcome(self.inventory, subject)[0] for subject in self.inventory.subjects()}

    def _restart_as(self, chassis: str) -> None:
        """Be the chassis of that name from now on: all views are computed again, for that one."""
        old = self.inventory
        self.inventory = Inventory(chassis, old.revision)
        self.outcomes = Outcomes(self.inventory)
        self.inventory.change(Changes(vifs=old.vifs, uplinks=dict(old.uplinks)))
        self._stale |= dict.fromkeys(old.subjects())
        self._is_whole = False

    def _apply_vifs(self, changes: SwitchChanges) -> None:
        if not changes.vifs:
            return
        linked = {iface_id for iface_id, vifs in changes.vifs.items() if vifs and vifs[0].link_fault is None}
        back = {iface_id for iface_id in linked if self.inventory.is_cut_off(iface_id)}
        if self._is_whole:
            self.delays.plug(changes.vifs, self.inventory.vifs.keys(), self.turn.began_s)
        self.inventory.change(Changes(vifs=changes.vifs))
        for iface_id in back:
            self.audience.report_passage(self.inventory.carried_by(iface_id), self.inventory, are_back=True)
        # Somebody may have requested another MTU; the inventory does not show that.
        self.audience.mtus_pending.update(changes.vifs)
        self.feed.set_vifs(changes.vifs)
        self.vif_log.report(changes.vifs)

    def _read_uplinks(self) -> None:
        """Read how the switch is wired, and which uplinks work now."""
        if self.settings is None:
            return
        was_passing = self.plumbing.ways_out.passing
        uplinks = self.plumbing.read(self.settings)
        self.audience.report_uplinks(was_passing, self.inventory)
        if uplinks is None or uplinks == self.inventory.uplinks:
            return
        changed = {**dict.fromkeys(self.inventory.uplinks), **uplinks}
        for physnet, uplink in changed.items():
            if uplink != self.inventory.uplinks.get(physnet):
                log.info("uplink", physnet=physnet, ofport="gone" if uplink is None else uplink.ofport)
        self.inventory.change(Changes(uplinks=changed))

    def _poll_switch(self) -> None:
        """Read what the switch says of flows, ports and frames; send what it had no room for before."""
        if self.forwarding is not None:
            for event in self.forwarding.run():
                self._on_event(event, self.forwarding.session)
                self.upkeep.on_event(event, self.forwarding.session)

    def _read_northbound(self) -> None:
        forwarding = self.forwarding
        if self.settings is None or forwarding is None:
            return
        # What came before is computed and sent first, in one bundle, so that it does not wait without end.
        may_begin = (self.inventory.is_clean or not self._is_whole) and not forwarding.has_more
        changes = self.feed.read(self.settings, self.inventory, may_begin=may_begin)
        if self.hearing.hear(self.nb):
            # The answer covers what was written to the switch's database before the request, too.
            self.switch.catch_up()
        self.quarantine.release(changes, self.inventory)
        before = self.inventory.revision if self._is_whole else None
        self.inventory.change(changes)
        self.delays.read(before, self.inventory.revision, self.turn.began_s)
        self.reporter.mark(changes.ports.keys(), self.inventory.revision)
        if self.feed.is_complete and not self._is_whole:
            self._is_whole = True
            self.plumbing.forget_all_but(self.inventory.networks.keys())
            if forwarding.installed is not None:
                self._recover(forwarding.installed)
            log.info(
                "northbound read", networks=len(self.inventory.networks), ports=len(self.inventory.ports)
            )

    def _on_event(self, event: Event, session: Session) -> None:
        match event:
            case Connected():
                self.quarantine.clear(self.inventory)
                self.announcer.repeat_all(self.inventory.revision)
            case PacketIn():
                if not self.prober.on_packet_in(event, time.monotonic(), self.inventory, session):
                    self.migration.on_packet_in(event, self.inventory)
            case FlowsRead(flow_by_key=flow_by_key):
                self._recover(flow_by_key)

    def _recover(self, installed: dict[bytes, bytes]) -> None:
        """Learn from the *installed* flows what the agent before this one knew: ports awake, VIFs in use."""
        self.migration.recover(installed, self.inventory)
        if self._is_whole and not self._has_recovered:
            self._has_recovered = True
            for iface_id, ofport in incumbents(installed, self.inventory).items():
                self._apply_vifs(self.switch.use_vif(iface_id, ofport))

    def _read_passage(self) -> None:
        """Report all local ports again if the switch as a whole has begun or stopped forwarding."""
        if self.forwarding is None or self.settings is None:
            return
        are_flows_due = self._is_whole and self.feed.may_send_flows
        if self.passage.update(self.forwarding, self.settings.wiring.bridge, are_flows_due=are_flows_due):
            is_open = self.passage.fault is None
            self.audience.report_passage(self.inventory.local_ports(), self.inventory, are_back=is_open)

    # -- compute -----------------------------------------------------------------------------------

    @property
    def _are_views_due(self) -> bool:
        """Whether views may be computed: once all is known or, earlier, all networks and uplinks are.

        Most views depend on these, and would be computed a second time when they come.
        """
        if self.forwarding is None or self.settings is None:
            return False
        return self._is_whole or (
            self.feed.are_networks_loaded
            and self.plumbing.are_uplinks_known(self.settings, self.inventory.uplinks)
        )

    def _compute(self) -> dict[SubjectId, View | None]:
        """Return the views of the subjects that changed; announcer, reporter and plumbing are told here."""
        views: dict[SubjectId, View | None] = {}
        if self.forwarding is not None and self.forwarding.refused:
            views |= dict.fromkeys(self.quarantine.isolate(self.forwarding.refused, self.inventory))
            self.forwarding.refused = {}
        while self._are_views_due and not self.inventory.is_clean and self.turn.grants("views"):
            views |= self.quarantine.admitted(self.outcomes.refresh(VIEWS), self.inventory)
        self.audience.publish(views, self.inventory)
        stale, self._stale = self._stale, {}
        return stale | views

    # -- write -------------------------------------------------------------------------------------

    def _write(self, views: Mapping[SubjectId, View | None]) -> None:
        """Bring the switch to what was computed, as far as that is possible without waiting."""
        settings, forwarding = self.settings, self.forwarding
        self._is_wiring_due = False
        if settings is None or forwarding is None:
            return
        standing = self.standing
        were_flows_applied = standing.are_flows_applied
        self._write_wiring(settings, are_flows_applied=were_flows_applied)
        self._write_flows(settings, forwarding, views)
        self.restart.run(forwarding, standing, is_busy=self.is_due)
        if standing.are_flows_applied:
            self.plumbing.narrow_uplinks(settings)
            # What waited for the flows, the next turn can write.
            self._is_wiring_due = self.plumbing.is_due and not were_flows_applied
        self.audit.run(forwarding, self.upkeep, settings.audit_interval_s)
        self.upkeep.run(forwarding.session, {uplink.ofport for uplink in self.inventory.uplinks.values()})
        self.announcer.run(time.monotonic(), forwarding.applied, forwarding.session)
        self.migration.run(forwarding.applied, forwarding.session)
        self.prober.run(time.monotonic(), self.inventory, forwarding.session)
        forwarding.session.flush()

    def _write_wiring(self, settings: Settings, *, are_flows_applied: bool) -> None:
        """Write bridge, patch ports and MTUs; an uplink opens for new VLANs while flows are computed."""
        if self.switch.is_synced:
            self.former_bridges.run(settings.wiring.bridge)
            self.plumbing.set_released(self.former_bridges.released)
        if self._is_whole:
            self.audience.request_mtus(self.inventory)
        self.plumbing.write(settings, are_flows_applied=are_flows_applied)

    def _write_flows(
        self, settings: Settings, forwarding: Forwarding, views: Mapping[SubjectId, View | None]
    ) -> None:
        is_all_there = self._is_whole and self.inventory.is_clean and not self.feed.is_mid_round
        may_go = partial(self.turn.grants, "flows")
        forwarding.update(views, self.inventory.revision, is_whole=is_all_there, may_go=may_go)
        if is_all_there and self.feed.may_send_flows and self.plumbing.is_ready(settings):
            forwarding.send()

    def _ask_switch(self) -> None:
        """Ask the switch for its answer to the latest request, once its wiring is in place."""
        if self.forwarding is not None and self.hearing.must_ask_switch(is_wired=self.standing.is_wired):
            self.forwarding.catch_up()

    # -- reports -----------------------------------------------------------------------------------

    @property
    def standing(self) -> Standing:
        """What is in place on the chassis now, and what is not."""
        known = (self.inventory, self.outcomes, self._is_whole, self.forwarding, self.feed, self.hearing)
        written = (self.plumbing, self.quarantine, self.passage, self.reporter)
        return Standing(self.switch, self.settings, self._active_settings.fault, *known, *written)

    @property
    def is_settled(self) -> bool:
        """Whether all that the databases say is in place, and acknowledged by the switch."""
        return self.standing.is_settled

    @property
    def repairs(self) -> int:
        """How many changes by somebody else were put back."""
        flows = self.forwarding.repairs if self.forwarding is not None else 0
        return self.plumbing.repairs + self.upkeep.repairs + self.black_holes.repairs + flows
