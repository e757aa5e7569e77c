"""The database of the local switch: chassis settings, VIFs, and bridges and patch ports of uplinks."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any, Literal, overload
from uuid import UUID, uuid4

from trunkline.core.index import Index
from trunkline.core.model import Vif
from trunkline.northbound.rpc import Tls
from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.interface import ofport_of, vif_of
from trunkline.ovsdb.replica import Replica
from trunkline.ovsdb.row import columns
from trunkline.ovsdb.switch_row import (
    MTU_MARK,
    PHYSNET_MARK,
    RESTORE_WAIT,
    ROWS,
    SCHEMA,
    USE_MARK,
    BridgeRow,
    InterfaceRow,
    PortRow,
    RootRow,
    Rows,
    SslRow,
)
from trunkline.ovsdb.touched import Touched
from trunkline.ovsdb.write import Outcome

LOCK = "trunkline_agent"
"""The lock of the switch's database, held by the agent that works on the switch: one at a time.

Its name has to be an identifier (RFC 7047 section 3.1, `<id>`).
"""


@dataclass
class SwitchChanges:
    """What changed: the VIFs by iface-id (empty: none now), and whether settings or wiring did."""

    vifs: dict[str, tuple[Vif, ...]] = field(default_factory=dict)
    are_settings_touched: bool = False
    is_wiring_touched: bool = False


class SwitchReplica(Replica):
    """The `Open_vSwitch` database at *remote*, for the agent that holds its `LOCK`.

    It reads the VIFs of the integration bridge that `watch` names. What is written to it: see
    `trunkline.ovsdb.wiring`. Without a *lock* it is for somebody who only reads.
    """

    rows: Rows

    def __init__(self, remote: str, lock: str | None = LOCK) -> None:
        super().__init__(
            remote,
            SCHEMA,
            {table: columns(kind) for table, kind in ROWS.items()},
            lock,
        )
        self.bridge = ""
        self._instance = str(uuid4())
        self._instance_session: int | None = None
        self._awaited_cfg = 0
        self._seen: tuple[UUID, int] | None = None
        self._has_bumped = False
        self.is_replaced = False
        """Whether the database was replaced by another one, which ovs-vswitchd has yet to act upon.

        Until then, all that comes from ovs-vswitchd, such as ofports, is out of date.
        """
        self._id_by_name: dict[str, dict[str, UUID]] = {"Bridge": {}, "Port": {}, "Interface": {}}
        self._name_by_id: dict[UUID, str] = {}
        self._ports_by_bridge: dict[UUID, frozenset[UUID]] = {}
        self.marked_port_ids: set[UUID] = set()
        self.used_bridges: dict[UUID, str] = {}
        self._port_id_by_interface: dict[UUID, UUID] = {}
        self._interfaces_by_port: dict[UUID, frozenset[UUID]] = {}
        self._iface_id_by_interface: dict[UUID, str] = {}
        self._mtu_interfaces: set[UUID] = set()
        self._interfaces_by_iface_id: Index[str, UUID] = Index()
        self._used_by_iface_id: dict[str, UUID] = {}

    # -- settings ----------------------------------------------------------------------------------

    @property
    def external_ids(self) -> dict[str, str]:
        """The `external_ids` of the `Open_vSwitch` row: the chassis settings."""
        return {} if self.root is None else pairs(self.root, RootRow.external_ids)

    @property
    def hostname(self) -> str:
        """The name of the host for people, as `ovs-ctl` writes it; if it does not, that of the system."""
        return self.external_ids.get("hostname") or socket.gethostname()

    @property
    def iface_types(self) -> frozenset[str]:
        """The types of interfaces that ovs-vswitchd knows; none before it has said so."""
        return frozenset() if self.root is None else every(self.root, RootRow.iface_types)

    @property
    def version(self) -> str:
        """The version of Open vSwitch, as `ovs-ctl` has written it; empty if it has not."""
        return "" if self.root is None else one(self.root, RootRow.ovs_version) or ""

    def datapath_type(self, bridge: str) -> str:
        """Return the datapath type of that bridge, by default `system` (ovs-vswitchd.conf.db(5))."""
        row = self.row("Bridge", bridge)
        return (one(row, BridgeRow.datapath_type) if row is not None else "") or "system"

    @property
    def instance(self) -> str:
        """What tells this switch from a copy of it: the server of its database has a new one at each start.

        It is the UUID of the server's own row for that database (ovsdb-server(5)), which is on no disk.
        """
        if self._instance_session != self.session:
            self._instance_session = self.session
            self._instance = str(self._idl.database_ids.get("Open_vSwitch", self._instance))
        return self._instance

    @property
    def tls(self) -> Tls | None:
        """The files of `ovs-vsctl set-ssl`; None if they are not set."""
        ssl_id = None if self.root is None else one(self.root, RootRow.ssl)
        row = None if ssl_id is None else self.rows("SSL").get(ssl_id)
        if row is None:
            return None
        return Tls(one(row, SslRow.private_key), one(row, SslRow.certificate), one(row, SslRow.ca_cert))

    @property
    def root(self) -> RootRow | None:
        """The `Open_vSwitch` row; None before it is read."""
        for row in self.rows("Open_vSwitch").values():
            return row
        return None

    def require_root(self) -> RootRow:
        """Return the `Open_vSwitch` row, for a write; it is there once the database is read."""
        return next(iter(self.rows("Open_vSwitch").values()))

    @property
    def is_idle(self) -> bool:
        """Whether ovs-vswitchd has acted upon every write that asked for an answer, whoever made it."""
        return self.root is not None and one(self.root, RootRow.cur_cfg) >= one(self.root, RootRow.next_cfg)

    @property
    def waits_for_flows(self) -> bool:
        """Whether the database tells ovs-vswitchd to forward nothing when it starts."""
        root = self.root
        return root is not None and pairs(root, RootRow.other_config).get(RESTORE_WAIT, "").lower() == "true"

    @property
    def is_realized(self) -> bool:
        """Whether ovs-vswitchd has acted upon all that was written here.

        Rows may show a write before its answer says which `cur_cfg` to wait for. That is never more than the
        database itself asks for: it may have been replaced by an older one.
        """
        root = self.root
        if root is None or self.is_writing or self.must_bump_next_cfg:
            return False
        return bool(one(root, RootRow.cur_cfg) >= min(self._awaited_cfg, one(root, RootRow.next_cfg)))

    @property
    def must_bump_next_cfg(self) -> bool:
        """Whether the database was replaced, and nothing was written since that ovs-vswitchd answers."""
        return self.is_replaced and not self._has_bumped

    def commit(self, transaction: Any) -> None:
        """Send *transaction*, and let `is_realized` tell when ovs-vswitchd has acted upon it."""
        self.require_root().increment("next_cfg")
        super().commit(transaction)

    def outcome(self) -> Outcome | None:
        """Return how the write ended, once; None while it is under way and when there is none."""
        transaction = self._transaction
        outcome = super().outcome()
        # A write that changed nothing did not count up `next_cfg`.
        if outcome is Outcome.DONE and transaction.commit() == transaction.SUCCESS:
            number = transaction.get_increment_new_value()
            if number:
                self._awaited_cfg, self._has_bumped = number, True
        self.is_replaced = self.is_replaced and not self.is_realized
        return outcome

    def bump_next_cfg(self) -> None:
        """Count up `next_cfg` in the present transaction, even if it changes nothing else."""
        root = self.require_root()
        root.next_cfg = one(root, RootRow.next_cfg) + 1

    def _note_root(self) -> None:
        """Notice if the database was replaced: then its row is another one, or has a smaller `next_cfg`."""
        root = self.root
        if root is None:
            return
        now = (root.uuid, one(root, RootRow.next_cfg))
        if self._seen is not None and (now[0] != self._seen[0] or now[1] < self._seen[1]):
            self.is_replaced, self._has_bumped = True, False
        self._seen = now
        self.is_replaced = self.is_replaced and not self.is_realized

    # -- rows --------------------------------------------------------------------------------------

    @overload
    def row(self, table: Literal["Bridge"], name: str) -> BridgeRow | None: ...
    @overload
    def row(self, table: Literal["Port"], name: str) -> PortRow | None: ...
    @overload
    def row(self, table: Literal["Interface"], name: str) -> InterfaceRow | None: ...
    def row(self, table: str, name: str) -> Any:
        """Return the row of *table* with that name; None if there is none."""
        row_id = self._id_by_name[table].get(name)
        return None if row_id is None else self.rows(table).get(row_id)

    def bridge_of(self, port_id: UUID) -> BridgeRow | None:
        """Return the bridge that has the port with *port_id*; None if no bridge has it."""
        for bridge_id, port_ids in self._ports_by_bridge.items():
            if port_id in port_ids:
                return self.rows("Bridge").get(bridge_id)
        return None

    def port_id_of(self, interface_id: UUID) -> UUID | None:
        """Return the port that has the interface with *interface_id*; None if no port has it."""
        return self._port_id_by_interface.get(interface_id)

    def port_of(self, interface: str) -> PortRow | None:
        """Return the row of the port that *interface* is of: not always one of its name."""
        row = self.row("Interface", interface)
        port_id = None if row is None else self.port_id_of(row.uuid)
        return None if port_id is None else self.rows("Port").get(port_id)

    def interfaces_of(self, bridge: str) -> list[InterfaceRow]:
        """Return the interfaces of the bridge of that name."""
        ids = (id_ for port in self.ports_of(bridge) for id_ in self._interfaces_by_port.get(port, ()))
        return [row for row in map(self.rows("Interface").get, ids) if row is not None]

    def vif_rows(self, iface_id: str) -> list[InterfaceRow]:
        """Return the interfaces of the watched bridge that have *iface_id*."""
        return [self.rows("Interface")[id_] for id_ in self._interfaces_by_iface_id[iface_id]]

    def is_vif(self, name: str, ofport: int) -> bool:
        """Return whether the interface of that name and OpenFlow port is a VIF of the watched bridge."""
        row = self.row("Interface", name)
        return row is not None and row.uuid in self._iface_id_by_interface and ofport_of(row) == ofport

    def has_mtu_request(self, iface_id: str) -> bool:
        """Return whether we requested an MTU for an interface of the watched bridge with *iface_id*."""
        return not self._mtu_interfaces.isdisjoint(self._interfaces_by_iface_id[iface_id])

    # -- VIFs --------------------------------------------------------------------------------------

    def watch(self, bridge: str) -> SwitchChanges:
        """Read the VIFs of *bridge* from now on; return what that changes."""
        self.bridge = bridge
        everything = Touched({table: set(self.rows(table)) for table in self._id_by_name})
        return self.changes(everything)

    def changes(self, touched: Touched) -> SwitchChanges:
        """Return what the *touched* rows mean now."""
        are_settings_touched = bool(touched["Open_vSwitch"] or touched["SSL"])
        changes = SwitchChanges(are_settings_touched=are_settings_touched)
        self._note_root()
        for table in self._id_by_name:
            for row_id in touched[table]:
                self._note_name(table, row_id)
        interface_ids = set(touched["Interface"])
        for port_id in touched["Port"]:
            interface_ids |= self._note_port(port_id)
        for bridge_id in touched["Bridge"]:
            interface_ids |= self._note_bridge(bridge_id)
        iface_ids: set[str] = set()
        for interface_id in interface_ids:
            iface_ids |= self._note_interface(interface_id)
            changes.is_wiring_touched |= self._is_wiring(interface_id)
        changes.is_wiring_touched |= bool(touched["Bridge"])
        changes.vifs = {iface_id: self._vifs(iface_id) for iface_id in iface_ids}
        return changes

    def _note_name(self, table: str, row_id: UUID) -> None:
        ids = self._id_by_name[table]
        row = self.rows(table).get(row_id)
        old = self._name_by_id.pop(row_id, None)
        if old is not None and ids.get(old) == row_id:
            del ids[old]
        if row is not None:
            name = one(row, BridgeRow.name)
            ids[name] = row_id
            self._name_by_id[row_id] = name

    def _note_bridge(self, bridge_id: UUID) -> set[UUID]:
        """Note which ports a bridge has; return the interfaces that came to it or left it."""
        row = self.rows("Bridge").get(bridge_id)
        old = self._ports_by_bridge.pop(bridge_id, frozenset())
        new = frozenset() if row is None else every(row, BridgeRow.ports)
        self.used_bridges.pop(bridge_id, None)
        if row is not None:
            self._ports_by_bridge[bridge_id] = new
            if USE_MARK in pairs(row, BridgeRow.external_ids):
                self.used_bridges[bridge_id] = one(row, BridgeRow.name)
        return {id_ for port_id in old ^ new for id_ in self._interfaces_by_port.get(port_id, frozenset())}

    def ports_of(self, bridge: str) -> frozenset[UUID]:
        """Return the ports of the bridge of that name; none if there is no such bridge."""
        bridge_id = self._id_by_name["Bridge"].get(bridge)
        return frozenset() if bridge_id is None else self._ports_by_bridge.get(bridge_id, frozenset())

    def _note_port(self, port_id: UUID) -> set[UUID]:
        """Note which interfaces a port has; return those whose bridge may have changed."""
        row = self.rows("Port").get(port_id)
        old = self._interfaces_by_port.pop(port_id, frozenset())
        new = frozenset() if row is None else every(row, PortRow.interfaces)
        self.marked_port_ids.discard(port_id)
        if row is not None:
            self._interfaces_by_port[port_id] = new
            if PHYSNET_MARK in pairs(row, PortRow.external_ids):
                self.marked_port_ids.add(port_id)
        for interface_id in old - new:
            self._port_id_by_interface.pop(interface_id, None)
        for interface_id in new:
            self._port_id_by_interface[interface_id] = port_id
        return set(old | new)

    def _note_interface(self, interface_id: UUID) -> set[str]:
        """Note the iface-id of an interface of the watched bridge; return the iface-ids concerned."""
        row = self.rows("Interface").get(interface_id)
        new: str | None = None
        external_ids: dict[str, str] = {}
        if row is not None and self._port_id_by_interface.get(interface_id) in self.ports_of(self.bridge):
            # An empty one counts as none: no port has that name, and the northbound refuses to look it up.
            external_ids = pairs(row, InterfaceRow.external_ids)
            new = external_ids.get("iface-id") or None
        has_mtu_request = new is not None and MTU_MARK in external_ids
        (self._mtu_interfaces.add if has_mtu_request else self._mtu_interfaces.discard)(interface_id)
        old = self._iface_id_by_interface.pop(interface_id, None)
        if new is not None:
            self._iface_id_by_interface[interface_id] = new
        self._interfaces_by_iface_id.move(interface_id, old, new)
        return {iface_id for iface_id in (old, new) if iface_id is not None}

    def _is_wiring(self, interface_id: UUID) -> bool:
        """Whether the interface may belong to an uplink, or be a VIF in the wrong place."""
        return interface_id not in self._iface_id_by_interface

    def _vifs(self, iface_id: str) -> tuple[Vif, ...]:
        """Return the VIFs with *iface_id*, first the one in use; that stays the same as long as it works."""
        used_id = self._used_by_iface_id.get(iface_id)
        vif_by_id = {row.uuid: vif_of(iface_id, row) for row in self.vif_rows(iface_id)}

        def rank(interface_id: UUID) -> tuple[bool, bool, bool, int, str]:
            vif = vif_by_id[interface_id]
            has_fault = vif.link_fault is not None
            # Of several new ones, the first that was added: Open vSwitch numbers its ports in order.
            return vif.ofport is None, has_fault, interface_id != used_id, vif.ofport or 0, vif.interface

        ranked = sorted(vif_by_id, key=rank)
        if not ranked:
            self._used_by_iface_id.pop(iface_id, None)
        elif vif_by_id[ranked[0]].ofport is not None:
            self._used_by_iface_id[iface_id] = ranked[0]
        return tuple(vif_by_id[interface_id] for interface_id in ranked)

    def use_vif(self, iface_id: str, ofport: int) -> SwitchChanges:
        """Use the VIF with *iface_id* at *ofport* from now on; return what that changes."""
        for row in self.vif_rows(iface_id):
            if ofport_of(row) == ofport:
                self._used_by_iface_id[iface_id] = row.uuid
        return SwitchChanges(vifs={iface_id: self._vifs(iface_id)})
