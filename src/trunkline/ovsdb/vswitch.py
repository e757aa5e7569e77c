"""The local switch's database: the chassis settings, the VIFs, and the bridges and patch ports of uplinks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from trunkline.core.index import Index
from trunkline.core.model import Uplink, Vif
from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.replica import Replica, Touched

PHYSNET_MARK = "trunkline-physnet"
"""The key of `external_ids` that marks a patch port as ours, and says for which physical network."""

BRIDGE_MARK = "trunkline-created"
"""The key of `external_ids` that marks an integration bridge that the agent created."""


def _optional(key: str) -> dict[str, Any]:
    return {"type": {"key": key, "min": 0, "max": 1}}


def _references(table: str) -> dict[str, Any]:
    return {"type": {"key": {"type": "uuid", "refTable": table}, "min": 0, "max": "unlimited"}}


_MAP = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
_STRING = {"type": "string"}

_SCHEMA: dict[str, Any] = {
    "name": "Open_vSwitch",
    "version": "8.0.0",
    "tables": {
        "Open_vSwitch": {
            "isRoot": True,
            "columns": {
                "bridges": _references("Bridge"),
                "external_ids": _MAP,
                "other_config": _MAP,
            },
        },
        "Bridge": {
            "columns": {
                "name": _STRING,
                "ports": _references("Port"),
                "fail_mode": _optional("string"),
                "datapath_type": _STRING,
                "external_ids": _MAP,
            },
        },
        "Port": {
            "columns": {"name": _STRING, "interfaces": _references("Interface"), "external_ids": _MAP},
        },
        "Interface": {
            "columns": {
                "name": _STRING,
                "type": _STRING,
                "options": _MAP,
                "ofport": _optional("integer"),
                "error": _optional("string"),
                "external_ids": _MAP,
            },
        },
    },
}
"""The part of the schema vswitch.ovsschema that the agent reads or writes (ovs-vswitchd.conf.db(5))."""


class Mapping(NamedTuple):
    """A bridge mapping: *physnet* is reached through the provider bridge named *bridge*."""

    physnet: str
    bridge: str

    @property
    def inner(self) -> str:
        """The name of the patch port on the integration bridge."""
        return f"int-{self.bridge}"

    @property
    def outer(self) -> str:
        """The name of the patch port on the provider bridge."""
        return f"phy-{self.bridge}"


@dataclass(frozen=True)
class Wiring:
    """What should be on the local switch: the integration bridge and an uplink for each mapping."""

    bridge: str
    datapath_type: str = ""
    mappings: tuple[Mapping, ...] = ()


@dataclass
class SwitchChanges:
    """What the touched rows mean: VIFs by iface-id (empty: none now), and which rows of the wiring moved."""

    vifs: dict[str, tuple[Vif, ...]] = field(default_factory=dict)
    are_settings_touched: bool = False
    is_wiring_touched: bool = False


class SwitchReplica(Replica):
    """The `Open_vSwitch` database at *remote*.

    It reads the VIFs of the integration bridge named by `watch`, and writes nothing but that bridge and the
    patch ports that carry `trunkline-physnet`.
    """

    def __init__(self, remote: str) -> None:
        super().__init__(
            remote,
            _SCHEMA,
            {table: list(spec["columns"]) for table, spec in _SCHEMA["tables"].items()},
        )
        self.bridge = ""
        self._id_by_name: dict[str, dict[str, UUID]] = {"Bridge": {}, "Port": {}, "Interface": {}}
        self._name_by_id: dict[UUID, str] = {}
        self._ports_by_bridge: dict[UUID, frozenset[UUID]] = {}
        self._marked_port_ids: set[UUID] = set()
        self._port_id_by_interface: dict[UUID, UUID] = {}
        self._interfaces_by_port: dict[UUID, frozenset[UUID]] = {}
        self._iface_id_by_interface: dict[UUID, str] = {}
        self._interfaces_by_iface_id: Index[str, UUID] = Index()

    # -- settings ----------------------------------------------------------------------------------

    @property
    def external_ids(self) -> dict[str, str]:
        """The `external_ids` of the `Open_vSwitch` row: the chassis settings."""
        for row in self.rows("Open_vSwitch").values():
            return pairs(row, "external_ids")
        return {}

    # -- VIFs --------------------------------------------------------------------------------------

    def watch(self, bridge: str) -> SwitchChanges:
        """Read the VIFs of *bridge* from now on; return what that changes."""
        self.bridge = bridge
        everything = Touched({table: set(self.rows(table)) for table in self._id_by_name})
        return self.changes(everything)

    def changes(self, touched: Touched) -> SwitchChanges:
        """Return what the *touched* rows mean now."""
        changes = SwitchChanges(are_settings_touched=bool(touched["Open_vSwitch"]))
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
            changes.is_wiring_touched |= self._is_patch(interface_id)
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
            name = one(row, "name")
            ids[name] = row_id
            self._name_by_id[row_id] = name

    def _note_bridge(self, bridge_id: UUID) -> set[UUID]:
        """Keep the ports of a bridge; return the interfaces that came to it or left it."""
        row = self.rows("Bridge").get(bridge_id)
        old = self._ports_by_bridge.pop(bridge_id, frozenset())
        new = frozenset() if row is None else every(row, "ports")
        if row is not None:
            self._ports_by_bridge[bridge_id] = new
        return {id_ for port_id in old ^ new for id_ in self._interfaces_by_port.get(port_id, frozenset())}

    def _ports_of(self, bridge: str) -> frozenset[UUID]:
        bridge_id = self._id_by_name["Bridge"].get(bridge)
        return frozenset() if bridge_id is None else self._ports_by_bridge.get(bridge_id, frozenset())

    def _row(self, table: str, name: str) -> Any:
        row_id = self._id_by_name[table].get(name)
        return None if row_id is None else self.rows(table).get(row_id)

    def _note_port(self, port_id: UUID) -> set[UUID]:
        """Keep the interfaces of a port; return those whose bridge may have changed by it."""
        row = self.rows("Port").get(port_id)
        old = self._interfaces_by_port.pop(port_id, frozenset())
        new = frozenset() if row is None else every(row, "interfaces")
        self._marked_port_ids.discard(port_id)
        if row is not None:
            self._interfaces_by_port[port_id] = new
            if PHYSNET_MARK in pairs(row, "external_ids"):
                self._marked_port_ids.add(port_id)
        for interface_id in old - new:
            self._port_id_by_interface.pop(interface_id, None)
        for interface_id in new:
            self._port_id_by_interface[interface_id] = port_id
        return set(old | new)

    def _note_interface(self, interface_id: UUID) -> set[str]:
        """Keep the interface's iface-id on the watched bridge; return the iface-ids that this touches."""
        row = self.rows("Interface").get(interface_id)
        new: str | None = None
        if row is not None and self._port_id_by_interface.get(interface_id) in self._ports_of(self.bridge):
            new = pairs(row, "external_ids").get("iface-id")
        old = self._iface_id_by_interface.pop(interface_id, None)
        if new is not None:
            self._iface_id_by_interface[interface_id] = new
        self._interfaces_by_iface_id.move(interface_id, old, new)
        return {iface_id for iface_id in (old, new) if iface_id is not None}

    def _is_patch(self, interface_id: UUID) -> bool:
        row = self.rows("Interface").get(interface_id)
        return row is None or one(row, "type") == "patch"

    def _vifs(self, iface_id: str) -> tuple[Vif, ...]:
        vifs = []
        for interface_id in self._interfaces_by_iface_id[iface_id]:
            row = self.rows("Interface")[interface_id]
            vifs.append(Vif(iface_id, one(row, "name"), _ofport(row), one(row, "error")))
        return tuple(sorted(vifs, key=lambda vif: (vif.ofport is None, vif.interface)))

    # -- wiring ------------------------------------------------------------------------------------

    def uplinks(self, wiring: Wiring) -> tuple[dict[str, Uplink], dict[str, str]]:
        """Return the uplinks that work now, by physnet, and a fault for each mapping that has none."""
        uplinks: dict[str, Uplink] = {}
        faults: dict[str, str] = {}
        for mapping in wiring.mappings:
            name = f"mapping {mapping.physnet}"
            fault = self._mapping_fault(mapping, wiring)
            interface = self._row("Interface", mapping.inner)
            if fault is not None:
                faults[name] = fault
            elif interface is not None:
                ofport, error = _ofport(interface), one(interface, "error")
                if ofport is not None:
                    uplinks[mapping.physnet] = Uplink(mapping.physnet, mapping.bridge, ofport)
                elif error:
                    faults[name] = f"{mapping.inner}: {error}"
        return uplinks, faults

    def _mapping_fault(self, mapping: Mapping, wiring: Wiring) -> str | None:
        if mapping.bridge == wiring.bridge:
            return f"{mapping.bridge} is the integration bridge; map {mapping.physnet} to a bridge of its own"
        if self._row("Bridge", mapping.bridge) is None:
            return f"bridge {mapping.bridge} does not exist; create it, or correct trunkline-bridge-mappings"
        for end in _ends(mapping, wiring):
            interface = self._row("Interface", end.name)
            if interface is not None and not self._is_end(interface, end):
                return (
                    f"{end.name} exists and is not the patch port from {end.bridge} to {end.peer}; rename it"
                )
        return None

    def _is_end(self, interface: Any, end: _End) -> bool:
        return (
            one(interface, "type") == "patch"
            and pairs(interface, "options").get("peer") == end.peer
            and self._port_id_by_interface.get(interface.uuid) in self._ports_of(end.bridge)
        )

    def is_wired(self, wiring: Wiring) -> bool:
        """Return whether the switch has just the bridge and the patch ports that *wiring* says."""
        bridge = self._row("Bridge", wiring.bridge)
        if bridge is None or one(bridge, "fail_mode") != "secure":
            return False
        return not self._strays(wiring) and not any(True for _ in self._missing(wiring))

    def _missing(self, wiring: Wiring) -> Iterator[_End]:
        """Yield the patch ports that are not there, or not marked."""
        for mapping in wiring.mappings:
            if self._mapping_fault(mapping, wiring) is None:
                for end in _ends(mapping, wiring):
                    port = self._row("Port", end.name)
                    if port is None or pairs(port, "external_ids").get(PHYSNET_MARK) != mapping.physnet:
                        yield end

    def _strays(self, wiring: Wiring) -> list[tuple[Any, Any]]:
        """Return the (bridge, port) rows of marked patch ports that the mappings do not ask for."""
        wanted = {
            (end.bridge, end.name)
            for mapping in wiring.mappings
            if self._row("Bridge", mapping.bridge) is not None
            for end in _ends(mapping, wiring)
        }
        strays = []
        for port_id in self._marked_port_ids:
            port, bridge = self.rows("Port").get(port_id), self._bridge_of(port_id)
            if port is None or bridge is None:
                continue
            if (one(bridge, "name"), one(port, "name")) not in wanted:
                strays.append((bridge, port))
        return strays

    def _bridge_of(self, port_id: UUID) -> Any:
        for bridge_id, port_ids in self._ports_by_bridge.items():
            if port_id in port_ids:
                return self.rows("Bridge").get(bridge_id)
        return None

    def wire(self, wiring: Wiring) -> None:
        """Begin a write that brings the switch to *wiring*.

        Patch ports of the agreed names that are already what they should be, such as those of another agent,
        are taken over: marked, and otherwise left as they are.
        """
        transaction = self.begin("trunkline agent: bridge and patch ports")
        bridge = self._row("Bridge", wiring.bridge) or self._create_bridge(transaction, wiring)
        if bridge.fail_mode != ["secure"]:
            bridge.verify("fail_mode")
            bridge.fail_mode = ["secure"]
        for stray_bridge, port in self._strays(wiring):
            _remove_port(stray_bridge, port)
        for end in list(self._missing(wiring)):
            port = self._row("Port", end.name)
            if port is None:
                self._create_end(transaction, end)
            else:
                for row in (port, *port.interfaces):
                    row.setkey("external_ids", PHYSNET_MARK, end.physnet)
        self.commit(transaction)

    def _create_bridge(self, transaction: Any, wiring: Wiring) -> Any:
        tables = self._idl.tables
        interface = transaction.insert(tables["Interface"])
        interface.name, interface.type = wiring.bridge, "internal"
        port = transaction.insert(tables["Port"])
        port.name, port.interfaces = wiring.bridge, [interface]
        bridge = transaction.insert(tables["Bridge"])
        bridge.name, bridge.ports = wiring.bridge, [port]
        bridge.fail_mode, bridge.datapath_type = ["secure"], wiring.datapath_type
        bridge.external_ids = {BRIDGE_MARK: "true"}
        for root in self.rows("Open_vSwitch").values():
            root.addvalue("bridges", bridge.uuid)
        return bridge

    def _create_end(self, transaction: Any, end: _End) -> None:
        tables = self._idl.tables
        interface = transaction.insert(tables["Interface"])
        interface.name, interface.type = end.name, "patch"
        interface.options = {"peer": end.peer}
        interface.external_ids = {PHYSNET_MARK: end.physnet}
        port = transaction.insert(tables["Port"])
        port.name, port.interfaces = end.name, [interface]
        port.external_ids = {PHYSNET_MARK: end.physnet}
        self._row("Bridge", end.bridge).addvalue("ports", port.uuid)

    def unwire(self, bridge: str) -> None:
        """Begin a write that takes out every patch port of ours, and *bridge* where the agent created it.

        A bridge that still holds ports of others, VIFs for example, stays.
        """
        transaction = self.begin("trunkline agent: clean up")
        strays = self._strays(Wiring(bridge))
        for stray_bridge, port in strays:
            _remove_port(stray_bridge, port)
        row = self._row("Bridge", bridge)
        if row is not None and BRIDGE_MARK in pairs(row, "external_ids"):
            ours = {port.uuid for _, port in strays}
            others = [port for port in row.ports if port.uuid not in ours and port.name != bridge]
            if not others:
                for root in self.rows("Open_vSwitch").values():
                    root.delvalue("bridges", row.uuid)
        self.commit(transaction)


class _End(NamedTuple):
    """One end of an uplink's patch pair."""

    bridge: str
    name: str
    peer: str
    physnet: str


def _ends(mapping: Mapping, wiring: Wiring) -> tuple[_End, _End]:
    return (
        _End(wiring.bridge, mapping.inner, mapping.outer, mapping.physnet),
        _End(mapping.bridge, mapping.outer, mapping.inner, mapping.physnet),
    )


def _remove_port(bridge: Any, port: Any) -> None:
    bridge.delvalue("ports", port.uuid)


def _ofport(interface: Any) -> int | None:
    """Return the interface's OpenFlow port; -1 says that the switch could not add it."""
    ofport = one(interface, "ofport")
    return ofport if ofport is not None and ofport > 0 else None
