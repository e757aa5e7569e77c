"""The plumbing: keeps the integration bridge, the patch pairs and the MTUs of VIFs as they should be."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from trunkline.agent.pruning import AllowedVlans
from trunkline.agent.wiring_contest import WiringContest
from trunkline.core.inventory import Inventory
from trunkline.core.model import Network, Uplink
from trunkline.core.setting import DATAPATH_TYPE
from trunkline.ovsdb import integration_bridge, way_out, wiring
from trunkline.ovsdb.nic import Vlans
from trunkline.ovsdb.settings import Settings
from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.ovsdb.wiring import Wiring, Written
from trunkline.ovsdb.write import FIRST_RETRY_S, LONGEST_RETRY_S, Outcome
from trunkline.runtime.log import Log
from trunkline.runtime.trouble import Trouble

log = Log("plumbing")


class _Width(NamedTuple):
    """Whether the uplinks let through all VLANs that are in use here, and no others."""

    is_enough: bool
    is_exact: bool


class Plumbing:
    """What the agent writes to the database of *switch*, one write at a time.

    *repairs* counts changes of `vlan-limit`, bridge and patch ports by somebody else that were put back.
    """

    def __init__(self, switch: SwitchReplica) -> None:
        self.switch = switch
        self.ways_out = way_out.UNKNOWN
        self._datapath_fault: str | None = None
        self.is_due = False
        self._is_limited = False
        self.refusals = Trouble(
            lambda error: log.error("the switch's database refused a write", error=error),
            lambda times: log.info("the switch's database accepts writes again", refused=times),
            first_s=FIRST_RETRY_S,
            longest_s=LONGEST_RETRY_S,
        )
        self.contest = WiringContest(log)
        self.repairs = 0
        self._released: frozenset[str] = frozenset()
        self._is_wide = False
        self._black_holes: frozenset[str] = frozenset()
        self._seen: tuple[Wiring, frozenset[str]] | None = None
        self._has_removed = False
        self._allowed = AllowedVlans()
        self._live: dict[str, Vlans] = {}
        self._width: _Width | None = None
        self._mtu_by_iface_id: dict[str, int | None] = {}
        self._nb_identity: str | None = None
        self._network_by_id: dict[UUID, Network] = {}
        self._fault_by_network: dict[UUID, str] = {}

    @property
    def is_refused(self) -> bool:
        """Whether the database refused the last write, and it is too early to try again."""
        return self.refusals.is_held

    # -- what is needed ----------------------------------------------------------------------------

    def set_network(self, network_id: UUID, network: Network | None, carried: Network | None) -> None:
        """Note that *network* has local ports here, or none (None); the uplinks have to carry *carried*."""
        if self._allowed.set_use(network_id, carried):
            self.is_due = True
            self._width = None
        if network is None:
            self._network_by_id.pop(network_id, None)
        else:
            self._network_by_id[network_id] = network
        self._check_network(network_id, network)

    def forget_all_but(self, network_ids: Collection[UUID]) -> None:
        """Forget all other networks: they were known under another name of the chassis."""
        for network_id in self._network_by_id.keys() - set(network_ids):
            self.set_network(network_id, None, None)

    def _check_network(self, network_id: UUID, network: Network | None) -> None:
        fault = self.ways_out.network_fault(network) if network is not None else None
        if fault is None:
            self._fault_by_network.pop(network_id, None)
        else:
            self._fault_by_network[network_id] = fault

    def request_mtus(self, iface_ids: Iterable[str], inventory: Inventory) -> None:
        """Note which MTU to request for the VIFs with *iface_ids*: that of their networks, or none."""
        for iface_id in iface_ids:
            mtu = inventory.mtu_of(iface_id)
            if mtu is None and not self.switch.has_mtu_request(iface_id):
                self._mtu_by_iface_id.pop(iface_id, None)
            else:
                self._mtu_by_iface_id[iface_id] = mtu
                self.is_due = True

    def set_nb_identity(self, nb_identity: str) -> None:
        """Have the identity of the northbound written that the chassis obeys from now on."""
        self._nb_identity = nb_identity
        self.is_due = True

    def set_black_holes(self, bridges: frozenset[str]) -> None:
        """Note which provider bridges drop every frame."""
        self.is_due |= bridges != self._black_holes
        self._black_holes = bridges

    def set_wide(self, is_wide: bool) -> None:
        """Have the uplinks let all VLANs through for a while, even if they are to be pruned."""
        if is_wide != self._is_wide:
            self._is_wide, self.is_due, self._width = is_wide, True, None

    def _is_pruned(self, settings: Settings) -> bool:
        return settings.is_pruned and not self._is_wide

    def set_released(self, bridges: frozenset[str]) -> None:
        """Have the former integration bridges *bridges*, which have no flows of ours, made what they were."""
        self.is_due |= bridges != self._released
        self._released = bridges

    # -- doing it ----------------------------------------------------------------------------------

    def read(self, settings: Settings) -> dict[str, Uplink] | None:
        """Read how the switch is wired; return the uplinks that work now, None if nothing changed."""
        outcome = self.switch.outcome()
        if outcome is Outcome.FAILED:
            self.refusals.note(self.switch.error or "no reason")
        elif outcome is Outcome.DONE:
            self.refusals.over()
        if outcome is not None:
            self.is_due = True
        # Not only in the database: ovs-vswitchd must have acted upon it, too.
        self._is_limited = wiring.is_limited(self.switch) and (self._is_limited or self.switch.is_realized)
        if not self.is_due or not self.switch.is_connected:
            return None
        before = self.ways_out
        uplinks, fault_by_physnet = wiring.uplinks(self.switch, settings.wiring, self._black_holes)
        bridge = self.switch.row("Bridge", settings.wiring.bridge)
        self._datapath_fault = (
            None
            if bridge is None
            else integration_bridge.datapath_fault(bridge, settings.wiring.datapath_type)
        )
        self._live = {
            mapping.physnet: wiring.trunks(self.switch, mapping)
            for mapping in settings.wiring.mappings
            if mapping.physnet in uplinks
        }
        self._width = None
        self.ways_out = way_out.ways_out(self.switch, settings, uplinks, fault_by_physnet)
        if self.ways_out != before:
            for network_id, network in self._network_by_id.items():
                self._check_network(network_id, network)
        return uplinks

    def write(self, settings: Settings, *, are_flows_applied: bool) -> None:
        """Write what differs between *settings* with all that is needed, and what was read last.

        *are_flows_applied* says that the switch has the flows for all that is needed, and no others.
        """
        if not self.is_due or not self.switch.is_connected:
            return
        target = self._target(settings, are_flows_applied=are_flows_applied)
        if wiring.is_wired(self.switch, target):
            self._mtu_by_iface_id.clear()
            self._nb_identity = None
            # An uplink that lets too much through is narrowed once the flows are gone: `narrow_uplinks`.
            self.is_due = False
            self._seen = self._lasting(target)
            self.contest.rest()
        elif (
            self.switch.root is not None
            and not (self.switch.is_writing or self.is_refused or self._must_wait(target, are_flows_applied))
            and (not self._is_drift(target) or self.contest.take_turn())
        ):
            written = wiring.wire(self.switch, target)
            self._has_removed = written.has_removed
            self._log_written(target, written)

    def _log_written(self, target: Wiring, written: Written) -> None:
        """Log what was *written* for *target*, and count what somebody else had changed before."""
        changes = "; ".join(written.changes + written.others)
        if written.changes and self._seen == self._lasting(target):
            self.repairs += len(written.changes)
            if not self.contest.is_on:
                log.warning("wiring drifted", changes=changes)
        else:
            log.info("wiring", changes=changes)

    def _is_drift(self, target: Wiring) -> bool:
        """Whether somebody else changed what was as *target* says; MTUs of VIFs do not count."""
        lasting = self._lasting(target)
        return self._seen == lasting and not wiring.is_wired(self.switch, lasting[0])

    def _lasting(self, target: Wiring) -> tuple[Wiring, frozenset[str]]:
        """Return the part of *target* that only settings, networks and provider bridges change."""
        return dataclasses.replace(target, mtu_by_iface_id={}, nb_identity=None), frozenset(
            self.ways_out.fault_by_physnet
        )

    def narrow_uplinks(self, settings: Settings) -> None:
        """Have uplinks narrowed that let unused VLANs through; the flows are all in place."""
        self.is_due |= not self._width_of(settings).is_exact

    def is_ready(self, settings: Settings) -> bool:
        """Whether the switch is ready for the flows, so that they may be sent.

        That is: it parses one tag, the uplinks let through all that the flows will carry, and the ofports in
        the database are current. A write that the database refuses does not hold up flows: it is a fault.
        """
        if self.is_refused:
            return True
        if self.switch.is_replaced or not self._is_limited:
            return False
        if not self._is_pruned(settings):
            return True
        return self._width_of(settings).is_enough and (self.switch.is_realized or not self._live)

    def _width_of(self, settings: Settings) -> _Width:
        """Return how wide the uplinks are; that is computed again only after a change."""
        if self._width is None:
            self._width = _Width(
                self._allowed.are_covered(self._live),
                all(
                    vlans == (self._allowed.wanted(physnet) if self._is_pruned(settings) else None)
                    for physnet, vlans in self._live.items()
                ),
            )
        return self._width

    def are_uplinks_known(self, settings: Settings, uplinks: Mapping[str, Uplink]) -> bool:
        """Return whether each mapping has an uplink in *uplinks*, or a fault."""
        return all(
            mapping.physnet in uplinks or mapping.physnet in self.ways_out.fault_by_physnet
            for mapping in settings.wiring.mappings
        )

    def _must_wait(self, target: Wiring, are_flows_applied: bool) -> bool:
        """Whether *target* must not be written yet.

        What the last write removed must first be gone from the switch: see `wiring.wire`. And the identity of
        the northbound is written together with something else, or when all flows are in place: the switch
        goes through all of its ports for each write.
        """
        if self._has_removed and not (self.switch.is_realized or self.switch.must_bump_next_cfg):
            return True
        without_identity = dataclasses.replace(target, nb_identity=None)
        return not are_flows_applied and wiring.is_wired(self.switch, without_identity)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to write, and the switch has acted upon all that was written."""
        return not self.is_due and not self.switch.is_writing and self.switch.is_realized

    def _target(self, settings: Settings, *, are_flows_applied: bool) -> Wiring:
        trunks: dict[str, Vlans] = {}
        if self._is_pruned(settings):
            # A patch port that has yet to be created starts with the VLANs in use, not with all.
            live = {mapping.physnet: frozenset[int]() for mapping in settings.wiring.mappings} | self._live
            trunks = self._allowed.target(live, are_flows_applied=are_flows_applied)
        return dataclasses.replace(
            settings.wiring,
            trunks=trunks,
            mtu_by_iface_id=dict(self._mtu_by_iface_id),
            nb_identity=self._nb_identity,
            released=self._released,
        )

    # -- faults ------------------------------------------------------------------------------------

    @property
    def faults(self) -> dict[str, str]:
        """The faults of networks, mappings, NICs, misplaced VIFs, the bridge and its contest, by subject."""
        networks = self._network_by_id
        faults = {f"network {networks[id_].name}": fault for id_, fault in self._fault_by_network.items()}
        faults |= self.ways_out.faults
        if self._datapath_fault is not None:
            faults[f"setting {DATAPATH_TYPE}"] = self._datapath_fault
        return faults | wiring.limit_faults(self.switch) | self.contest.faults
