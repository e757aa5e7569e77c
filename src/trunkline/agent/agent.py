"""The agent: one loop that carries rows to views to flows, and back what the switch acknowledged."""

from __future__ import annotations

import os
import socket
import time
from uuid import UUID

import ovs.poller

import trunkline
from trunkline.agent.forwarding import Forwarding
from trunkline.agent.log import Log
from trunkline.agent.settings import Settings, SettingsError, settings
from trunkline.core.pipeline import Subject
from trunkline.core.snapshot import Changes, MacId, Snapshot, SubjectId
from trunkline.core.view import View
from trunkline.ovsdb.nb_replica import Binding, NorthboundReplica, Report
from trunkline.ovsdb.replica import Outcome, Touched
from trunkline.ovsdb.vswitch import SwitchChanges, SwitchReplica

log = Log("agent")

RETRY_MS = 1000
"""How long to wait after a database refused a write for good."""


class Agent:
    """The agent of the chassis whose `Open_vSwitch` database is at *ovs_remote*.

    *rundir* holds the bridges' management sockets. Call `run` whenever the poller that `wait` prepared
    wakes; nothing blocks.
    """

    def __init__(self, ovs_remote: str, rundir: str) -> None:
        self.rundir = rundir
        self.switch = SwitchReplica(ovs_remote)
        self.settings: Settings | None = None
        self.nb: NorthboundReplica | None = None
        self.snapshot = Snapshot("")
        self.forwarding: Forwarding | None = None
        self.quarantine: dict[UUID, str] = {}
        self._uplink_faults: dict[str, str] = {}
        self._setting_fault: str | None = None
        self._pipeline_fault: str | None = None
        self._is_wiring_due = False
        self._is_whole = False
        self._is_nb_new = False
        self._unreported: dict[UUID, int] = {}
        self._retry_at_ms = 0

    # -- the loop ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Take in what is new and go on as far as that is possible without waiting.

        Raises:
            SettingsError: at the start, where a setting is missing that there is no default for.
        """
        if self._retry_at_ms and _monotonic_ms() >= self._retry_at_ms:
            self._retry_at_ms = 0
            self._is_wiring_due = self.settings is not None
        self._run_switch()
        self._run_northbound()
        self._compute()
        self._forward()
        self._report()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        self.switch.wait(poller)
        if self.nb is not None:
            self.nb.wait(poller)
        if self.forwarding is not None:
            self.forwarding.wait(poller)
        if self._retry_at_ms:
            poller.timer_wait(max(0, self._retry_at_ms - _monotonic_ms()))

    def close(self) -> None:
        """End all connections; the switch goes on forwarding."""
        for part in (self.forwarding, self.nb, self.switch):
            if part is not None:
                part.close()

    # -- the local switch --------------------------------------------------------------------------

    def _run_switch(self) -> None:
        changes = self.switch.changes(self.switch.run())
        if not self.switch.is_synced:
            return
        outcome = self.switch.outcome()
        if outcome is Outcome.FAILED:
            log.error("the switch's database refused a write", error=self.switch.error)
            self._retry_at_ms = _monotonic_ms() + RETRY_MS
        if outcome is not None:
            self._is_wiring_due = True
        if changes.are_settings_touched or self.settings is None:
            self._read_settings(changes)
        self._take_vifs(changes)
        if changes.is_wiring_touched:
            self._is_wiring_due = True
        if self._is_wiring_due:
            self._wire()

    def _read_settings(self, changes: SwitchChanges) -> None:
        try:
            new = settings(self.switch.external_ids)
        except SettingsError as error:
            if self.settings is None:
                raise
            if self._setting_fault != str(error):
                log.warning("a setting is missing; going on with the last ones", error=error)
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
        self._is_wiring_due = True
        if old is None or old.wiring.bridge != new.wiring.bridge:
            changes.vifs |= self.switch.watch(new.wiring.bridge).vifs
            if self.forwarding is not None:
                self.forwarding.close()
            self.forwarding = Forwarding(f"unix:{os.path.join(self.rundir, new.wiring.bridge)}.mgmt")
            self.forwarding.update(
                {subject: self.snapshot.view(subject) for subject in self.snapshot.subjects()}
            )
        if old is None or old.chassis != new.chassis:
            self._be(new.chassis)
        if self.nb is None or old is None or (old.nb_remotes, old.chassis) != (new.nb_remotes, new.chassis):
            self._follow(new)

    def _be(self, chassis: str) -> None:
        """Be the chassis of that name from now on: what was computed was for another."""
        old = self.snapshot
        self.snapshot = Snapshot(chassis)
        self.snapshot.change(Changes(vifs=old.vifs, uplinks=dict(old.uplinks)))
        if self.forwarding is not None:
            self.forwarding.update(dict.fromkeys(old.subjects()))
        self._is_whole = False

    def _follow(self, new: Settings) -> None:
        """Read the northbound that *new* names from now on; what is known stays until that one is read."""
        if self.nb is not None:
            self.nb.close()
        self.nb = NorthboundReplica(new.nb_remotes, new.chassis)
        for iface_id in {*self.snapshot.vifs}:
            self.nb.need(iface_id, is_here=True)
        self.nb.narrow()
        self._is_nb_new = True

    def _take_vifs(self, changes: SwitchChanges) -> None:
        if not changes.vifs:
            return
        self.snapshot.change(Changes(vifs=changes.vifs))
        if self.nb is not None:
            for iface_id, vifs in changes.vifs.items():
                self.nb.need(iface_id, is_here=bool(vifs))
        for iface_id, vifs in changes.vifs.items():
            log.info("vif", iface_id=iface_id, ofports=",".join(str(vif.ofport) for vif in vifs) or "gone")

    def _wire(self) -> None:
        """Bring bridge and patch ports to the settings, and note which uplinks work."""
        if self.settings is None or not self.switch.is_connected:
            return
        wiring = self.settings.wiring
        uplinks, faults = self.switch.uplinks(wiring)
        self._uplink_faults = faults
        moved = {
            physnet: uplinks.get(physnet)
            for physnet in uplinks.keys() | self.snapshot.uplinks.keys()
            if uplinks.get(physnet) != self.snapshot.uplinks.get(physnet)
        }
        if moved:
            self.snapshot.change(Changes(uplinks=moved))
            for physnet, uplink in moved.items():
                log.info("uplink", physnet=physnet, ofport=uplink.ofport if uplink is not None else "gone")
        self._is_wiring_due = False
        if not self.switch.is_wired(wiring):
            if self.switch.is_writing or self._retry_at_ms:
                self._is_wiring_due = True
            else:
                self.switch.wire(wiring)

    # -- the northbound ----------------------------------------------------------------------------

    def _run_northbound(self) -> None:
        nb = self.nb
        if nb is None:
            return
        touched = nb.run()
        changes = nb.changes(touched)
        if self._is_nb_new and nb.is_synced and nb.are_conditions_met and not nb.narrow():
            # What the last northbound said and this one does not is gone.
            self._is_nb_new = False
            for id_ in self.snapshot.networks.keys() - nb.rows("Network").keys():
                changes.networks[id_] = None
            for id_ in self.snapshot.ports.keys() - nb.rows("Port").keys():
                changes.ports[id_] = None
        if touched:
            self._release(changes)
            self.snapshot.change(changes)
            for port_id in changes.ports:
                self._unreported[port_id] = self._generation
        is_narrowing = nb.narrow()
        if not self._is_whole and nb.is_synced and nb.are_conditions_met and not is_narrowing:
            self._is_whole = True
            log.info("northbound read", networks=len(self.snapshot.networks), ports=len(self.snapshot.ports))

    def _release(self, changes: Changes) -> None:
        """Take networks whose rows changed out of quarantine, for another try."""
        if not self.quarantine:
            return
        touched = set(changes.networks)
        for port_id, port in changes.ports.items():
            old = self.snapshot.ports.get(port_id)
            touched |= {each.network_id for each in (old, port) if each is not None}
        for network_id in touched & self.quarantine.keys():
            del self.quarantine[network_id]
            self.snapshot.mark_network(network_id)

    # -- flows -------------------------------------------------------------------------------------

    @property
    def _generation(self) -> int:
        """The update that will carry what was marked up to now."""
        return (self.forwarding.generation if self.forwarding is not None else 0) + 1

    def _compute(self) -> None:
        if self.forwarding is None or not self._is_whole or self.snapshot.is_clean:
            return
        generation = self._generation
        views = self.snapshot.refresh()
        for kind, id_ in views:
            if kind is Subject.PORT and isinstance(id_, UUID):
                self._unreported[id_] = generation
        if self.quarantine:
            views = {
                subject: None if self._network_id(subject) in self.quarantine else view
                for subject, view in views.items()
            }
        self.forwarding.update(views)

    def _forward(self) -> None:
        if self.forwarding is None:
            return
        self.forwarding.run(may_send=self._is_whole and self.snapshot.is_clean)
        if self.forwarding.refused:
            self._isolate(self.forwarding.refused)
            self.forwarding.refused = {}
            self.forwarding.run(may_send=self._is_whole)

    def _isolate(self, refused: dict[SubjectId, str]) -> None:
        """Withdraw each network that has a refused flow, so that the rest goes on."""
        withdrawn: dict[SubjectId, View | None] = {}
        for subject, reason in refused.items():
            network_id = self._network_id(subject)
            if network_id is None:
                withdrawn[subject] = None
                self._pipeline_fault = reason
                continue
            network = self.snapshot.networks.get(network_id)
            log.error("network quarantined", network=network.name if network else network_id, reason=reason)
            self.quarantine[network_id] = reason
            for each in self.snapshot.subjects_of_network(network_id):
                withdrawn[each] = None
                if isinstance(each[1], UUID):
                    self._unreported[each[1]] = self._generation
        if self.forwarding is not None:
            self.forwarding.update(withdrawn)

    def _network_id(self, subject: SubjectId) -> UUID | None:
        kind, id_ = subject
        if isinstance(id_, MacId):
            return id_.network_id
        if not isinstance(id_, UUID):
            return None
        if kind is Subject.NETWORK:
            return id_
        port = self.snapshot.ports.get(id_)
        return port.network_id if port is not None else None

    # -- reports -----------------------------------------------------------------------------------

    @property
    def faults(self) -> dict[str, str]:
        """What this chassis cannot honour, and why, by subject."""
        faults = dict(self.settings.faults) if self.settings is not None else {}
        if self._setting_fault is not None:
            faults["settings"] = self._setting_fault
        if self._pipeline_fault is not None:
            faults["pipeline"] = self._pipeline_fault
        faults |= self._uplink_faults
        faults |= self.snapshot.faults
        if self.nb is not None:
            faults |= self.nb.row_faults
        for network_id, reason in self.quarantine.items():
            network = self.snapshot.networks.get(network_id)
            if network is not None:
                faults[f"network {network.name}"] = reason
        return faults

    @property
    def is_settled(self) -> bool:
        """Whether all that the databases say is in place and acknowledged."""
        return (
            self._is_whole
            and self.snapshot.is_clean
            and self.nb is not None
            and self.nb.are_conditions_met
            and self.forwarding is not None
            and self.forwarding.is_applied
            and not self._is_wiring_due
            and not self.switch.is_writing
        )

    def _report(self) -> None:
        """Write what the switch acknowledged to the northbound; one write at a time."""
        nb, settings = self.nb, self.settings
        if nb is None or settings is None or self.forwarding is None:
            return
        outcome = nb.outcome()
        if outcome is Outcome.FAILED:
            log.error("the northbound refused a write", error=nb.error)
            self._retry_at_ms = _monotonic_ms() + RETRY_MS
        if nb.is_writing or not nb.are_conditions_met or not self._is_whole or self._retry_at_ms:
            return
        bindings = self._bindings(nb)
        is_all_bound = not self._unreported and not bindings
        report = Report(
            hostname=socket.gethostname(),
            version=trunkline.__version__,
            bridge_mappings=settings.bridge_by_physnet,
            faults=self.faults,
            nb_cfg=nb.nb_cfg if self.is_settled and is_all_bound else None,
        )
        if bindings or not nb.is_reported(report):
            nb.write(report, bindings, int(time.time() * 1000))

    def _bindings(self, nb: NorthboundReplica) -> dict[UUID, Binding]:
        """Return what the database should say of the ports that were touched, where it does not yet."""
        bindings: dict[UUID, Binding] = {}
        for port_id, generation in list(self._unreported.items()):
            current = nb.binding(port_id)
            wanted = self._binding(port_id, current)
            if current is None or wanted == current:
                del self._unreported[port_id]
            elif not wanted.is_up or self._is_applied(generation):
                bindings[port_id] = wanted
        return bindings

    def _is_applied(self, generation: int) -> bool:
        return self.forwarding is not None and self.forwarding.applied >= generation

    def _binding(self, port_id: UUID, current: Binding | None) -> Binding:
        """Return who should hold the port, as far as this chassis has a say; *current* is who does."""
        port = self.snapshot.ports.get(port_id)
        chassis = self.snapshot.chassis
        if port is not None and self.snapshot.is_local(port_id):
            if port.requested_chassis and port.requested_chassis[0] != chassis:
                return current or Binding(None, is_up=False)
            return Binding(chassis, is_up=port.network_id not in self.quarantine)
        if current is not None and current.chassis == chassis:
            return Binding(None, is_up=False)
        return current or Binding(None, is_up=False)

    # -- looking into it ---------------------------------------------------------------------------

    def recompute(self) -> tuple[int, int]:
        """Compute everything anew, and have the switch's flows read again.

        Returns how many flows there should be, and how many of those that were desired differ from them: any
        is a defect of the agent's.
        """
        if self.forwarding is None or self.nb is None:
            return (0, 0)
        nb_rows = Touched({table: set(self.nb.rows(table)) for table in ("Network", "Port")})
        fresh = Snapshot(self.snapshot.chassis)
        changes = self.nb.changes(nb_rows)
        changes.vifs, changes.uplinks = dict(self.snapshot.vifs), dict(self.snapshot.uplinks)
        fresh.change(changes)
        for port_id in self.snapshot.awake:
            fresh.wake(port_id)
        before = dict(self.forwarding.desired.body_by_key)
        gone: dict[SubjectId, View | None] = dict.fromkeys(self.forwarding.desired.keys_by_subject)
        self.snapshot = fresh
        self.quarantine = {}
        self.forwarding.update(gone | fresh.refresh())
        after = self.forwarding.desired.body_by_key
        self.forwarding.reread()
        differing = sum(1 for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        return len(after), differing


def _monotonic_ms() -> int:
    return int(time.monotonic() * 1000)
