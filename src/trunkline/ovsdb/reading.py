"""A reading: what the agent of a chassis reads from both databases, read once more, agent up or not.

It uses the agent's own replicas, so the same rows are asked for, and each row means the same.
"""

from __future__ import annotations

import ovs.poller
import ovs.timeval

from trunkline.core.error import TimedOutError, TrunklineError
from trunkline.core.inventory import Changes, Inventory
from trunkline.northbound.rpc import Tls, UnreachableError
from trunkline.ovsdb import tls, wiring
from trunkline.ovsdb.active_settings import ActiveSettings
from trunkline.ovsdb.assumed import Assumed, AssumingReplica
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.settings import ANY_NB, Settings
from trunkline.ovsdb.vswitch import SwitchChanges, SwitchReplica

PATIENCE_S = 10.0
"""How long both databases may take to answer. The rows of 10,000 ports take a second."""


def read_switch(ovs_remote: str) -> tuple[SwitchReplica, Settings]:
    """Return the `Open_vSwitch` database at *ovs_remote* as it is now, and the settings in force; close it.

    Raises:
        SettingsError: a setting of the chassis is missing, or invalid.
        UnreachableError: the database does not answer.
    """
    switch = SwitchReplica(ovs_remote, lock=None)
    active = ActiveSettings(switch)
    end_ms = ovs.timeval.msec() + int(PATIENCE_S * 1000)
    try:
        while active.settings is None:
            changes = switch.changes(switch.run())
            if switch.is_synced:
                active.read(changes)
            elif ovs.timeval.msec() >= end_ms:
                raise UnreachableError(f"{switch.remotes}: no answer within {PATIENCE_S:g} s")
            else:
                poller = ovs.poller.Poller()
                switch.wait(poller)
                poller.timer_wait_until(end_ms)
                poller.block()
    except BaseException:
        switch.close()
        raise
    switch.watch(active.settings.wiring.bridge)
    return switch, active.settings


class Reading:
    """What the chassis whose `Open_vSwitch` database is at *ovs_remote* knows now: see *inventory*.

    *nb_remotes*, with the files *nb_tls*, are used in place of the northbound that the settings name. The
    rows *assumed* are taken to be in it. Call `read` first. Nothing is written, and no lock is taken.
    """

    def __init__(
        self,
        ovs_remote: str,
        nb_remotes: str | None = None,
        nb_tls: Tls | None = None,
        assumed: Assumed | None = None,
    ) -> None:
        self.inventory = Inventory("")
        self._switch = SwitchReplica(ovs_remote, lock=None)
        self._active = ActiveSettings(self._switch)
        self._nb: NorthboundReplica | None = None
        self._named = (nb_remotes, nb_tls)
        self.northbound: tuple[str, Tls | None] = ("", None)
        """The remotes and the files with which the northbound is read, once that has begun."""
        self._assumed = assumed or {}

    def close(self) -> None:
        """End the connections."""
        self._switch.close()
        if self._nb is not None:
            self._nb.close()

    @property
    def settings(self) -> Settings:
        """The settings in force, once they are read."""
        assert self._active.settings is not None
        return self._active.settings

    @property
    def has_settings(self) -> bool:
        """Whether there are settings: they can be there although the northbound cannot be read."""
        return self._active.settings is not None

    @property
    def invalid_rows(self) -> dict[str, str]:
        """Which rows of the northbound are invalid, and why, by subject."""
        return {} if self._nb is None else self._nb.invalid_rows.faults

    @property
    def invalid_vifs(self) -> list[str]:
        """The subjects of the VIFs whose ports are among them."""
        return [] if self._nb is None else self._nb.invalid_rows.vifs

    @property
    def switch(self) -> SwitchReplica:
        """The switch's own database."""
        return self._switch

    def read(self) -> None:
        """Return when *inventory* has all that was committed to both databases when this was called.

        Raises:
            SettingsError: a setting of the chassis is missing, or invalid.
            UnreachableError: a database does not answer.
            TrunklineError: the agent would not obey that northbound, or cannot read it.
            TimedOutError: the databases did not come to an end in time.
        """
        end_ms = ovs.timeval.msec() + int(PATIENCE_S * 1000)
        self._switch.catch_up()
        if self._nb is not None:
            self._nb.catch_up()
        while not self._is_read():
            if ovs.timeval.msec() >= end_ms:
                raise self._late()
            poller = ovs.poller.Poller()
            self._switch.wait(poller)
            if self._nb is not None:
                self._nb.wait(poller)
            poller.timer_wait_until(end_ms)
            poller.block()

    def use_vif(self, iface_id: str, ofport: int) -> None:
        """Use the VIF with *iface_id* at *ofport*, if there are several."""
        self.inventory.change(Changes(vifs=self._switch.use_vif(iface_id, ofport).vifs))

    def _is_read(self) -> bool:
        """Read what is new; return whether that is all."""
        changes = self._switch.changes(self._switch.run())
        if not self._switch.is_synced:
            return False
        before = self._active.settings
        if self._active.read(changes):
            self._apply_settings(before, changes)
        nb = self._nb
        assert nb is not None
        uplinks, _ = wiring.uplinks(self._switch, self.settings.wiring)
        gone = dict.fromkeys(self.inventory.uplinks.keys() - uplinks.keys())
        self.inventory.change(Changes(vifs=changes.vifs, uplinks={**uplinks, **gone}))
        for iface_id, vifs in changes.vifs.items():
            nb.set_vif(iface_id, is_here=bool(vifs))
        return self._is_northbound_read(nb) and self._switch.is_caught_up

    def _apply_settings(self, before: Settings | None, changes: SwitchChanges) -> None:
        now = self.settings
        if before is not None:
            raise TrunklineError("the settings of this chassis were changed meanwhile; run again")
        changes.vifs |= self._switch.watch(now.wiring.bridge).vifs
        self.inventory = Inventory(now.chassis)
        remotes, files = self._named
        files = files if remotes is not None else now.nb_tls
        if files is not None and all(files):
            tls.use(files)
        self.northbound = (remotes or now.nb_remotes, files)
        self._nb = AssumingReplica(self.northbound[0], now.chassis, self._assumed)
        self._nb.catch_up()

    def _is_northbound_read(self, nb: NorthboundReplica) -> bool:
        """Read what is new in the northbound; return whether that is all."""
        touched = nb.run()
        if nb.misfit is not None:
            raise TrunklineError(f"the northbound cannot be read: {nb.misfit}")
        if nb.has_tried_all:
            raise self._away(nb)
        if not nb.is_synced:
            return False
        obeyed = self.settings.nb_identity
        if obeyed not in (None, ANY_NB, nb.identity):
            raise TrunklineError(
                f"the northbound is {nb.identity}, and this chassis obeys {obeyed}: it changes nothing. "
                "If the new one is right, run here: trunkline chassis accept-nb"
            )
        changes = nb.changes(touched)
        is_complete = nb.are_conditions_met and not nb.request_rows() and not nb.has_deferred_rows
        if nb.whole_physnets != self.inventory.whole_physnets:
            changes.whole_physnets = nb.whole_physnets
        self.inventory.change(changes)
        return is_complete and nb.is_caught_up

    def _late(self) -> TrunklineError:
        if not self._switch.is_synced:
            return UnreachableError(f"{self._switch.remotes}: no answer within {PATIENCE_S:g} s")
        if self._nb is not None and not self._nb.is_connected:
            return self._away(self._nb)
        return TimedOutError(f"the databases were not read within {PATIENCE_S:g} s; run again")

    def _away(self, nb: NorthboundReplica) -> UnreachableError:
        ends = "; ".join(f"{remote}: {reason}" for remote, reason in sorted(nb.failures.items()))
        return UnreachableError(
            f"the northbound does not answer, so what should be is not known "
            f"({ends or f'{nb.remotes}: no answer'}); start it, or correct trunkline-nb"
        )
