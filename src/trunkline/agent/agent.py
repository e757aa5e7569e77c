"""The agent: one loop that carries rows to views to flows, and back what the switch acknowledged."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Mapping
from uuid import UUID

import ovs.poller

from trunkline.agent.announcer import Announcer
from trunkline.agent.blackhole import BlackHoles
from trunkline.agent.following import Following
from trunkline.agent.forwarding import Forwarding
from trunkline.agent.incumbent import incumbents
from trunkline.agent.leaving import Leaving
from trunkline.agent.migration import Migration
from trunkline.agent.passage import Passage
from trunkline.agent.plumbing import Plumbing
from trunkline.agent.quarantine import Quarantine
from trunkline.agent.recomputation import Recomputation, recomputation
from trunkline.agent.reporter import Reporter
from trunkline.agent.settings import INTEGRATION_BRIDGE, Settings, SettingsError, settings
from trunkline.agent.standing import Standing
from trunkline.agent.trunk import Trunk, lets_through
from trunkline.agent.turn import Turn
from trunkline.agent.upkeep import Upkeep
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import Vif
from trunkline.core.outcome import Outcomes, outcome
from trunkline.core.subject import NetworkSubject, PortSubject, SubjectId, VifSubject
from trunkline.core.view import LocalPortView, NetworkView, View
from trunkline.openflow.event import Connected, Event, FlowsRead, PacketIn
from trunkline.ovsdb import integration_bridge
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.vswitch import SwitchChanges, SwitchReplica
from trunkline.runtime.log import Log

log = Log("agent")

VIEWS = 500
"""How many views are made between two looks at the clock: some 5 ms."""

RECOMPUTATIONS = 3
"""How often a recomputation is begun again that changes overtook."""


class Agent:
    """The agent of the chassis whose `Open_vSwitch` database is at *ovs_remote*.

    *rundir* holds the bridges' management sockets. Call `run` whenever the poller that `wait` prepared
    wakes; nothing blocks.
    """

    def __init__(self, ovs_remote: str, rundir: str) -> None:
        self.rundir = rundir
        self.switch = SwitchReplica(ovs_remote)
        self.plumbing = Plumbing(self.switch)
        self.settings: Settings | None = None
        self.inventory = Inventory("")
        self.outcomes = Outcomes(self.inventory)
        self.forwarding: Forwarding | None = None
        self.quarantine = Quarantine()
        self.reporter = Reporter()
        self.following = Following(self.switch, self.plumbing)
        self.announcer = Announcer()
        self.migration = Migration()
        self.upkeep = Upkeep(self.switch)
        self.leaving = Leaving(self.switch, rundir)
        self.passage = Passage(self.switch)
        self.black_holes = BlackHoles(self.switch, rundir)
        self.turn = Turn()
        self._setting_fault: str | None = None
        self._view_by_subject: dict[SubjectId, View | None] = {}
        self._unsized: set[str] = set()
        self._is_whole = False
        self._is_due = False
        self._has_recognised = False
        self._audited_s: float | None = None

    # -- the loop ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Take in what is new and go on as far as that is possible without waiting.

        Raises:
            SettingsError: at the start, where a setting is missing that there is no default for.
        """
        self.turn.begin()
        before = self._progress
        self._run_switch()
        self._leave()
        self._run_northbound()
        self._refresh()
        # Before the flows: the switch opens an uplink for new VLANs while the flows are computed.
        self._plumb()
        self._update()
        self._forward()
        self._pass()
        self._report()
        self._is_due = self._progress != before or self._is_cut

    @property
    def _is_cut(self) -> bool:
        """Whether the turn left work that waits for nobody."""
        if self.forwarding is None:
            return False
        return self.forwarding.has_more or (self._is_whole and not self.inventory.is_clean)

    @property
    def _progress(self) -> tuple[object, ...]:
        """What one part of a turn leaves to another, which may have had its turn before.

        The loop rests after a turn that left all of it as it was, and not before: so nothing that changes in
        the middle of a turn waits for whatever wakes the loop next.
        """
        forwarding, plumbing, nb = self.forwarding, self.plumbing, self.nb
        return (
            *(self.settings, self.inventory, self.inventory.is_clean, self._is_whole, len(self._unsized)),
            *(plumbing.is_due, plumbing.is_refused, self.switch.is_writing, self.switch.is_realized),
            *(self.following.is_complete, nb, nb is not None and (nb.is_writing, nb.are_conditions_met)),
            *((forwarding, forwarding.standing) if forwarding is not None else ()),
        )

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do; what the turn did since then belongs to it."""
        self.turn.end()
        if self._is_due:
            poller.immediate_wake()
        self.switch.wait(poller)
        self.following.wait(poller)
        self.leaving.wait(poller)
        self.black_holes.wait(poller)
        if self.forwarding is not None:
            self.forwarding.wait(poller)
        self.plumbing.refusals.wait(poller)
        self.reporter.refusals.wait(poller)
        for due_s in (
            *(self.announcer.next_s, self._audit_at_s, self.plumbing.contest.next_s),
            *(self.upkeep.next_s, self.passage.next_s, self.black_holes.next_s),
        ):
            if due_s is not None:
                poller.timer_wait(max(0, int((due_s - time.monotonic()) * 1000) + 1))

    def close(self) -> None:
        """End all connections; the switch goes on forwarding."""
        for part in (self.forwarding, self.leaving, self.black_holes, self.following, self.switch):
            if part is not None:
                part.close()

    @property
    def nb(self) -> NorthboundReplica | None:
        """The northbound that the settings name, None before they are read."""
        return self.following.nb

    # -- the local switch --------------------------------------------------------------------------

    def _run_switch(self) -> None:
        changes = self.switch.changes(self.switch.run())
        if not self.switch.is_synced:
            return
        is_held = self.settings is not None and f"setting {INTEGRATION_BRIDGE}" in self.settings.faults
        if changes.are_settings_touched or self.settings is None or (is_held and changes.is_wiring_touched):
            self._read_settings(changes)
        self._take_vifs(changes)
        self.plumbing.is_due |= changes.is_wiring_touched or changes.are_settings_touched

    def _read_settings(self, changes: SwitchChanges) -> None:
        try:
            new = self._allowed(settings(self.switch.external_ids, self.switch.tls))
        except SettingsError as error:
            if self.settings is None:
                raise
            if self._setting_fault != str(error):
                log.warning("settings cannot be followed; going on with the last ones", error=error)
            self._setting_fault = str(error)
            return
        self._setting_fault = None
        old, self.settings = self.settings, new
        if old == new:
            return
        log.info(
            "settings read",
            chassis=new.chassis,
            nb=new.nb_remotes,
            bridge=new.wiring.bridge,
            mappings=",".join(f"{physnet}:{bridge}" for physnet, bridge in new.bridge_by_physnet.items()),
        )
        if old is None or old.wiring.bridge != new.wiring.bridge:
            self._move_to(new.wiring.bridge, changes)
        if old is None or old.chassis != new.chassis:
            self._be(new.chassis)
        self.following.follow(old, new, self.inventory)

    def _allowed(self, new: Settings) -> Settings:
        """Return *new*, but with the integration bridge of now where the one that it names may not be it.

        That is the one that the agent before this one used, at the start. Raises `SettingsError` where there
        is none to go on with.
        """
        bridge = new.wiring.bridge
        used = self.settings.wiring.bridge if self.settings else integration_bridge.in_use(self.switch)
        reason = integration_bridge.refusal(self.switch, bridge, new.wiring.physnet_by_bridge)
        if reason is None or bridge == used:
            return new
        if used is None:
            raise SettingsError(f"{INTEGRATION_BRIDGE} cannot be followed: {reason}")
        return new.staying(used, reason)

    def _leave(self) -> None:
        if self.settings is not None and self.switch.is_synced:
            self.leaving.run(self.settings.wiring.bridge)
            self.plumbing.release(self.leaving.released)
            self.black_holes.run(self.settings.bridge_by_physnet.values())
            self.plumbing.drop(self.black_holes.bridges)

    def _move_to(self, bridge: str, changes: SwitchChanges) -> None:
        """Work on *bridge* from now on."""
        changes.vifs |= self.switch.watch(bridge).vifs
        old, self.forwarding = self.forwarding, Forwarding(f"unix:{os.path.join(self.rundir, bridge)}.mgmt")
        if old is not None:
            # Ports wait for the generation that carries them: it counts on.
            self.forwarding.generation, self.forwarding.repairs = old.generation, old.repairs
            old.close()
        views = {subject: outcome(self.inventory, subject)[0] for subject in self.inventory.subjects()}
        self.forwarding.update(views, may_go=self._may_compute)

    def _be(self, chassis: str) -> None:
        """Be the chassis of that name from now on: what was computed was for another."""
        old = self.inventory
        self.inventory = Inventory(chassis)
        self.outcomes = Outcomes(self.inventory)
        self.inventory.change(Changes(vifs=old.vifs, uplinks=dict(old.uplinks)))
        if self.forwarding is not None:
            self.forwarding.update(dict.fromkeys(old.subjects()), may_go=self._may_compute)
        self._is_whole = False

    def _take_vifs(self, changes: SwitchChanges) -> None:
        if not changes.vifs:
            return
        linked = {iface_id for iface_id, vifs in changes.vifs.items() if vifs and vifs[0].link_fault is None}
        back = {iface_id for iface_id in linked if self.inventory.is_cut_off(iface_id)}
        self.inventory.change(Changes(vifs=changes.vifs))
        for iface_id in back:
            self._look_again(self.inventory.carried_by(iface_id), are_back=True)
        # Somebody may have requested another MTU, which is all the same to the inventory.
        self._unsized.update(changes.vifs)
        self.following.need(changes.vifs)
        log.each("vif", changes.vifs, lambda id_: {"iface_id": id_, "ofports": _ofports(changes.vifs[id_])})

    def _plumb(self) -> None:
        """Bring bridge, patch ports and VIFs to the settings and networks; note which uplinks work."""
        if self.settings is None:
            return
        if self._is_whole:
            self.plumbing.size(self._unsized, self.inventory)
            self._unsized.clear()
        before_passing = self.plumbing.passing
        uplinks = self.plumbing.run(
            self.settings, are_flows_applied=self.standing.are_flows_applied and not self._view_by_subject
        )
        self._look_at_uplinks(before_passing)
        if uplinks is None or uplinks == self.inventory.uplinks:
            return
        before = self.inventory.uplinks
        moved = {
            physnet: uplinks.get(physnet)
            for physnet in uplinks.keys() | before.keys()
            if uplinks.get(physnet) != before.get(physnet)
        }
        for physnet, uplink in moved.items():
            log.info("uplink", physnet=physnet, ofport=uplink.ofport if uplink is not None else "gone")
        self.inventory.change(Changes(uplinks=moved))
        self._refresh()

    def _look_at_uplinks(self, before: Mapping[str, Trunk]) -> None:
        """Look again at ports whose frames got out *before*, and do not now, or the other way round."""
        after = self.plumbing.passing
        moved = [id_ for id_ in before.keys() | after.keys() if before.get(id_) != after.get(id_)]
        ports_by_passage: dict[bool, list[UUID]] = {False: [], True: []}
        for port_id in self.inventory.local_ports(moved):
            network = self.inventory.networks[self.inventory.ports[port_id].network_id]
            passes = self.plumbing.carries(network)
            if passes != lets_through(before.get(network.physnet), network.vlan_id):
                ports_by_passage[passes].append(port_id)
        for passes, port_ids in ports_by_passage.items():
            self._look_again(port_ids, are_back=passes)

    # -- the northbound ----------------------------------------------------------------------------

    def _run_northbound(self) -> None:
        if self.settings is None:
            return
        # What came before is computed first: it goes into one bundle, and that is not to wait without end.
        may_begin = self.inventory.is_clean or not self._is_whole
        if self.forwarding is not None:
            may_begin &= not self.forwarding.has_more
        parts = self.following.changes(self.settings, self.inventory, self.turn, may_begin=may_begin)
        for number, changes in enumerate(parts):
            if number:
                self._begin()
            self._take_rows(changes)
        if self.following.is_complete and not self._is_whole:
            self._is_whole = True
            if self.forwarding is not None and self.forwarding.installed is not None:
                self._recognise(self.forwarding.installed)
            log.info(
                "northbound read", networks=len(self.inventory.networks), ports=len(self.inventory.ports)
            )
        if not self.following.is_complete:
            self._begin()

    def _take_rows(self, changes: Changes) -> None:
        self.quarantine.release(changes, self.inventory)
        self.inventory.change(changes)
        for port_id in changes.ports:
            self.reporter.mark(port_id, self._generation)

    # -- flows -------------------------------------------------------------------------------------

    @property
    def _generation(self) -> int:
        """The update that will carry what was marked up to now."""
        return (self.forwarding.generation if self.forwarding is not None else 0) + 1

    def _refresh(self) -> None:
        """Look anew at the subjects that changed, once all is known, and tell all but the forwarding."""
        if self._is_whole:
            self._look()

    def _look(self) -> None:
        while self.forwarding is not None and not self.inventory.is_clean and self.turn.grants("views"):
            views = self.quarantine.admitted(self.outcomes.refresh(VIEWS), self.inventory)
            self._spread(views)
            self._view_by_subject |= views

    def _begin(self) -> None:
        """Let the switch read the first flows of a large change, while the rest of its rows are read.

        Not before networks and uplinks are there: all that depends on them would be computed again.
        """
        if self.settings is None or not self.following.are_networks_there:
            return
        self._hear()
        self._plumb()
        if self.plumbing.is_plumbed(self.settings, self.inventory.uplinks):
            self._look()
            self._plumb()
            self._update(is_first=True)

    def _update(self, *, is_first: bool = False) -> None:
        """Tell the forwarding of the subjects that were looked at; where *is_first*, more will follow."""
        if self.forwarding is not None:
            is_first |= self.following.is_amid or not self.inventory.is_clean
            self.forwarding.update(self._view_by_subject, is_first=is_first, may_go=self._may_compute)
        self._view_by_subject = {}

    def _may_compute(self) -> bool:
        return self.turn.grants("flows")

    def _spread(self, view_by_subject: Mapping[SubjectId, View | None]) -> None:
        """Tell everybody else that works by views what has changed."""
        for subject, view in view_by_subject.items():
            match subject:
                case VifSubject(iface_id):
                    self._unsized.add(iface_id)
                case PortSubject(id_):
                    self.reporter.mark(id_, self._generation)
                    local = view if isinstance(view, LocalPortView) else None
                    self.announcer.say(id_, local, self._generation)
                case NetworkSubject(id_):
                    network = self.inventory.carried(id_) if isinstance(view, NetworkView) else None
                    self.plumbing.need(id_, network)

    def _hear(self) -> None:
        """Take in what the switch says, and send on what it had no room for."""
        if self.forwarding is not None:
            for event in self.forwarding.run():
                self._take(event)
                self.upkeep.take(event, self.forwarding.session)

    def _forward(self) -> None:
        forwarding, settings = self.forwarding, self.settings
        if forwarding is None or settings is None:
            return
        was_applied = forwarding.is_applied
        self._hear()
        self._refresh()
        self._update()
        is_all_there = self._is_whole and self.inventory.is_clean and not self.following.is_amid
        if is_all_there and self.following.may_take_hold and self.plumbing.is_ready(settings):
            forwarding.send()
            if forwarding.refused:
                withdrawn = self.quarantine.isolate(forwarding.refused, self.inventory)
                forwarding.refused = {}
                self._spread(dict.fromkeys(withdrawn))
                forwarding.update(dict.fromkeys(withdrawn))
                forwarding.send()
        self._audit(forwarding)
        self.upkeep.run(forwarding.session, {uplink.ofport for uplink in self.inventory.uplinks.values()})
        self.announcer.run(time.monotonic(), forwarding.applied, forwarding.session)
        self.migration.run(forwarding.applied, forwarding.session)
        if forwarding.is_applied and not was_applied:
            self.plumbing.settle(settings)
            self._plumb()
            self._update()

    def _audit(self, forwarding: Forwarding) -> None:
        """Have all flows compared now and then, and what they rest on.

        The first time is an interval after the flows were read.
        """
        now_s, due_s = time.monotonic(), self._audit_at_s
        if not forwarding.is_connected:
            self._audited_s = None
        elif self._audited_s is None:
            self._audited_s = now_s
        elif due_s is not None and now_s >= due_s:
            self._audited_s = now_s
            forwarding.audit()
            self.upkeep.audit(forwarding.session)

    @property
    def _audit_at_s(self) -> float | None:
        """When the flows are compared next, by the monotonic clock; None where they are not."""
        interval_s = self.settings.audit_interval_s if self.settings is not None else 0
        return self._audited_s + interval_s if interval_s and self._audited_s is not None else None

    def _take(self, event: Event) -> None:
        match event:
            case Connected():
                self.quarantine.clear(self.inventory)
                self.announcer.repeat(self.forwarding.generation if self.forwarding is not None else 0)
            case PacketIn():
                self.migration.take(event, self.inventory, self._generation)
            case FlowsRead(flow_by_key=flow_by_key):
                self._recognise(flow_by_key)

    def _recognise(self, installed: dict[bytes, bytes]) -> None:
        """Take from the flows that are *installed* what an agent before this one knew."""
        self.migration.recognise(installed, self.inventory)
        if self._is_whole and not self._has_recognised:
            self._has_recognised = True
            for iface_id, ofport in incumbents(installed, self.inventory).items():
                self._take_vifs(self.switch.use(iface_id, ofport))

    # -- reports -----------------------------------------------------------------------------------

    @property
    def standing(self) -> Standing:
        """What can be said of the chassis now."""
        return Standing(
            self.switch,
            self.settings,
            self._setting_fault,
            self.inventory,
            self.outcomes,
            self._is_whole,
            self.forwarding,
            self.following,
            self.plumbing,
            self.quarantine,
            self.passage,
            self.reporter,
        )

    @property
    def faults(self) -> dict[str, str]:
        """What this chassis cannot honour, and why, by subject."""
        return self.standing.faults

    @property
    def is_settled(self) -> bool:
        """Whether all that the databases say is in place and acknowledged."""
        return self.standing.is_settled

    @property
    def hold(self) -> str | None:
        """Why no flow is changed now, whatever `plan` says; None if nothing is in the way."""
        return self.standing.hold

    @property
    def repairs(self) -> int:
        """How much of what somebody else had changed was put back."""
        flows = self.forwarding.repairs if self.forwarding is not None else 0
        return self.plumbing.repairs + self.upkeep.repairs + flows

    def _report(self) -> None:
        if self.forwarding is None:
            return
        standing = self.standing
        # No update carries a change that asked for no flow: it is carried once nothing is pending.
        carried = self._generation if standing.are_flows_applied else self.forwarding.applied
        standing.report(carried)

    def _pass(self) -> None:
        """Look again at every port when the switch as a whole begins or ceases to forward."""
        if self.forwarding is None or self.settings is None:
            return
        are_flows_due = self._is_whole and self.following.may_take_hold
        if self.passage.look(self.forwarding, self.settings.wiring.bridge, are_flows_due=are_flows_due):
            self._look_again(self.inventory.local_ports(), are_back=self.passage.fault is None)

    def _look_again(self, port_ids: Iterable[UUID], *, are_back: bool = False) -> None:
        """Report ports whose frames pass no longer or, where *are_back*, again; those are announced."""
        ids = list(port_ids)
        for port_id in ids:
            self.reporter.mark(port_id, self._generation)
        if are_back:
            self.announcer.again(ids, self._generation)

    # -- looking into it ---------------------------------------------------------------------------

    def recompute(self) -> Generator[None, None, Recomputation | None]:
        """Compute all flows anew, and have the switch's read again; yield now and then.

        Returns what came of it; None where there is nothing to compare yet, or it changes all the time.
        """
        for _ in range(RECOMPUTATIONS):
            forwarding = self.forwarding
            if forwarding is None or not self.standing.is_computed:
                return None
            generation = forwarding.generation
            rows = self.following.rows(self.inventory)
            found = yield from recomputation(rows, self.inventory, self.quarantine, forwarding)
            if self.standing.is_computed and (self.forwarding, forwarding.generation) == (
                forwarding,
                generation,
            ):
                if found.differing:
                    log.error("flows differ from a fresh computation", flows=found.differing)
                forwarding.look()
                return found
        return None


def _ofports(vifs: Iterable[Vif]) -> str:
    return ",".join(str(vif.ofport) for vif in vifs) or "gone"
