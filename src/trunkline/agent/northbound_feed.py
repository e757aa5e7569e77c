"""The northbound feed: the changes that come from the northbound that the settings name."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import ovs.poller

from trunkline.agent.allegiance import Allegiance
from trunkline.agent.plumbing import Plumbing
from trunkline.agent.tenure import Tenure
from trunkline.agent.withdrawal import Withdrawal
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import Vif
from trunkline.ovsdb import tls
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.settings import Settings
from trunkline.ovsdb.touched import Touched
from trunkline.ovsdb.vswitch import SwitchReplica

PART_ROWS = 500
"""How many rows are read in one turn, if there are more: their flows are computed first. Some 15 ms."""


class NorthboundFeed:
    """The changes of the northbound that this chassis follows; *nb* is None before the settings name one.

    A northbound that is not obeyed (`Allegiance`) brings no changes: what is known stays. Nor does one in
    which another host has the name of this one (`Tenure`). If the chassis gets another name, the old one is
    withdrawn first (`Withdrawal`). *is_complete* says whether the last `read` returned the last of all that
    the VIFs here need.
    """

    def __init__(self, switch: SwitchReplica, plumbing: Plumbing) -> None:
        self.nb: NorthboundReplica | None = None
        self.is_complete = False
        self._switch, self._plumbing = switch, plumbing
        self._allegiance = Allegiance()
        self._tenure = Tenure()
        self._withdrawal: Withdrawal | None = None
        self._former: NorthboundReplica | None = None
        self._is_new = False
        self._is_obeyed = False
        self._has_missed = False
        self._parts: deque[Touched] = deque()
        self._waiting = Touched()
        self._is_unread = True
        self._hosts: set[str] = set()

    def follow(self, old: Settings | None, new: Settings, inventory: Inventory) -> None:
        """Follow the northbound that *new* names; *old* are those before, None if these are the first."""
        is_renamed = old is not None and old.nb_identity != new.nb_identity
        if is_renamed:
            self._allegiance.forget()
        is_accepted = is_renamed and self.is_disobeyed
        if old is None or _connection(old) != _connection(new) or is_accepted:
            self._connect(new, inventory)

    def _connect(self, new: Settings, inventory: Inventory) -> None:
        """Connect to that northbound. What is known stays until it is read."""
        if self.nb is not None and self.nb.chassis != new.chassis and self._begin_withdrawal(self.nb):
            return
        if self.nb is not None:
            self.nb.close()
        if new.nb_tls is not None:
            tls.use(new.nb_tls)
        self.nb = NorthboundReplica(new.nb_remotes, new.chassis, self._switch.instance, self._hosts)
        self._tenure = Tenure()
        self.set_vifs(inventory.vifs)
        self.nb.request_rows()
        self._allegiance.forget()
        self._is_new = self._is_unread = True
        self._forget_parts()

    def _begin_withdrawal(self, nb: NorthboundReplica) -> bool:
        """Begin to take the old name, that of *nb*, out of the northbound; return whether that is under way.

        If the name was changed a second time before *nb* was connected, its row was made over the former
        connection, and is taken out over that one.
        """
        if self._withdrawal is None and not nb.is_connected and self._former is not None:
            former, self._former = self._former, None
            if not former.is_connected:
                former.close()
                return False
            former.report_as(nb.chassis)
            nb.close()
            self.nb = nb = former
        if nb.is_connected:
            self._withdrawal = self._withdrawal or Withdrawal(nb)
        return nb.is_connected

    def set_vifs(self, vifs: Mapping[str, tuple[Vif, ...]]) -> None:
        """Say which VIFs are here now, by iface-id (empty: none). `read` then returns what they need."""
        if self.nb is not None:
            for iface_id, here in vifs.items():
                self.nb.set_vif(iface_id, is_here=bool(here))

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `read` has something to return."""
        if self._former is not None:
            self._former.wait(poller)
        if self.nb is not None:
            self.nb.wait(poller)
            if self.has_more:
                poller.immediate_wake()
        self._tenure.wait(poller)

    def close(self) -> None:
        """End all connections."""
        for nb in (self.nb, self._former):
            if nb is not None:
                nb.close()

    # -- reading -----------------------------------------------------------------------------------

    def read(self, settings: Settings, inventory: Inventory, *, may_begin: bool) -> Changes:
        """Return what is new, at most `PART_ROWS` rows a turn.

        *inventory* is what is known. All that came at one time is one round, and may take several turns. What
        comes meanwhile waits for the next round, which begins only if it *may_begin*.
        """
        self.is_complete = self._is_obeyed = False
        if self._withdrawal is not None:
            self._run_withdrawal(self._withdrawal, settings, inventory)
            return Changes()
        nb = self.nb
        if nb is None:
            return Changes()
        touched = nb.run()
        self._run_former(nb)
        self._follow_host(nb)
        is_ours = self._tenure.run(nb, self._switch.hostname)
        self._is_obeyed = nb.misfit is None and self._obeys(nb, settings) and is_ours
        if not self._is_obeyed:
            self._has_missed |= bool(touched) or self.has_more
            self._forget_parts()
            return Changes()
        if self._has_missed:
            touched = nb.everything
        self._has_missed = self._is_unread = False
        self._waiting.add(touched)
        if may_begin and not self._parts:
            self._parts.extend(self._waiting.parts(("Network", "Port"), PART_ROWS))
            self._waiting = Touched()
        changes = nb.changes(self._parts.popleft()) if self._parts else Changes()
        if self.has_more:
            return changes
        self.is_complete = nb.is_synced and nb.are_conditions_met and not nb.request_rows()
        if nb.whole_physnets != inventory.whole_physnets:
            changes.whole_physnets = nb.whole_physnets
        if self.is_complete and self._is_new:
            # What the last northbound had and this one does not have is gone.
            self._is_new = False
            changes.networks |= dict.fromkeys(inventory.networks.keys() - nb.rows("Network").keys())
            changes.ports |= dict.fromkeys(inventory.ports.keys() - nb.rows("Port").keys())
        return changes

    @property
    def is_claim_due(self) -> bool:
        """Whether `read` has a claim to the name of this chassis to write, and no write is under way."""
        return self._tenure.has_unwritten and self.nb is not None and not self.nb.is_writing

    @property
    def is_mid_round(self) -> bool:
        """Whether some changes of the present round were returned, and some are still to be."""
        return bool(self._parts)

    @property
    def has_more(self) -> bool:
        """Whether `read` has more to return, without waiting for anything."""
        return bool(self._parts or self._waiting)

    def _forget_parts(self) -> None:
        self._parts.clear()
        self._waiting = Touched()

    def _follow_host(self, nb: NorthboundReplica) -> None:
        """Keep the row of this chassis ours after the server of the switch's database was started anew."""
        if self._switch.instance != nb.host:
            self._hosts.add(nb.host)
            nb.change_host(self._switch.instance)

    def _run_withdrawal(self, withdrawal: Withdrawal, settings: Settings, inventory: Inventory) -> None:
        """Go on with the withdrawal; connect by the new name once the old one is out of the northbound."""
        if withdrawal.run(settings.chassis):
            self._withdrawal, self.nb = None, None
            self._connect(settings, inventory)
            self._former = withdrawal.nb

    def _run_former(self, nb: NorthboundReplica) -> None:
        """Close the former connection, which made the row of *nb*, once *nb* is connected itself."""
        if self._former is None:
            return
        self._former.run()
        if nb.is_connected or not self._former.is_connected:
            self._former.close()
            self._former = None

    def _obeys(self, nb: NorthboundReplica, settings: Settings) -> bool:
        if not nb.is_synced or nb.identity is None:
            return False
        if settings.nb_identity is None and self._allegiance.is_open and not nb.is_connected:
            # Wait for whichever northbound connects next. The rows read before are of the last one: that one
            # must not count as the first that is met.
            return False
        if self._allegiance.meet(nb.identity, settings.nb_identity):
            self._plumbing.set_nb_identity(nb.identity)
        return self._allegiance.obeys(nb.identity, settings.nb_identity)

    @property
    def are_networks_loaded(self) -> bool:
        """Whether all rows are there but for ports of networks that are there."""
        return self._is_obeyed and self.nb is not None and self.nb.are_networks_loaded

    def rows(self, inventory: Inventory) -> Iterator[Changes]:
        """Yield all networks and ports that are in force, in parts of `PART_ROWS`.

        They are read from the northbound if all that is needed of it is there and obeyed. If it is away, or
        is another one, they are those of *inventory*.
        """
        if self.is_complete and self.nb is not None:
            for part in self.nb.everything.parts(("Network", "Port"), PART_ROWS):
                yield self.nb.changes(part)
        else:
            yield Changes(networks=dict(inventory.networks), ports=dict(inventory.ports))

    @property
    def may_send_flows(self) -> bool:
        """Whether flows may be sent: not before the northbound has the row of this chassis.

        From then on `sync` asks this chassis about all that is committed: see `trunkline.northbound.sync`.
        """
        return self._is_unread or self.nb is None or self.nb.is_registered

    # -- reports -----------------------------------------------------------------------------------

    @property
    def is_disobeyed(self) -> bool:
        """Whether the northbound is not the one that this chassis obeys, or cannot be read."""
        return self._allegiance.fault is not None or (self.nb is not None and self.nb.misfit is not None)

    @property
    def report_target(self) -> NorthboundReplica | None:
        """The northbound that reports go to.

        None if there is none, during a withdrawal, and while another host reports by the name of this one.
        """
        return self.nb if self._withdrawal is None and self._tenure.is_held else None

    @property
    def faults(self) -> dict[str, str]:
        """Why the northbound is not obeyed or not reached, and which of its rows are invalid, by subject."""
        own = {} if self._allegiance.fault is None else {"northbound": self._allegiance.fault}
        if self.nb is not None and self.nb.misfit is not None:
            own["northbound"] = (
                f"{self.nb.misfit}; keeping what was read before. Correct trunkline-nb, upgrade the older "
                "side, or restore the northbound from a backup"
            )
        failures = self.nb.failures if self.nb is not None else {}
        if failures:
            ends = "; ".join(f"{remote}: {reason}" for remote, reason in sorted(failures.items()))
            own.setdefault(
                "northbound", f"not connected: {ends}; start the northbound, or correct trunkline-nb"
            )
        for host, reason in (self.nb.unknown_hosts if self.nb is not None else {}).items():
            own["northbound"] = (
                f"host {host} of trunkline-nb is not found: {reason}; correct it, or check the name servers "
                "of this host"
            )
        if self._tenure.fault is not None:
            own |= {"system-id": self._tenure.fault}
        return own | (self.nb.invalid_rows.faults if self.nb is not None else {})

    @property
    def invalid_vifs(self) -> list[str]:
        """The subjects of the VIFs whose ports are invalid rows."""
        return [] if self.nb is None else self.nb.invalid_rows.vifs


def _connection(settings: Settings) -> tuple[object, ...]:
    """Return the settings that a connection is made from: if they change, it is made anew."""
    return settings.nb_remotes, settings.nb_tls, settings.chassis
