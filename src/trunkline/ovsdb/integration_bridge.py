"""The integration bridge: which bridge may become it, how it should be, and what it was before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from trunkline.core.setting import DEFAULT_INTEGRATION_BRIDGE
from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.switch_row import USE_MARK, BridgeRow, InterfaceRow, PortRow
from trunkline.ovsdb.vswitch import SwitchReplica

BRIDGE_MARK = "trunkline-created"
"""The key of `external_ids` that marks an integration bridge that the agent created."""

PROTOCOL = "OpenFlow14"
"""The version that the agent speaks, as in the column `protocols`; an empty column allows it, too."""

NO_IN_BAND = "disable-in-band"
"""The key of `other_config` that keeps Open vSwitch from making hidden flows for a controller.

These flows would forward frames that a VM sends in the name of the controller, past our flows and into every
network (ovs-vswitchd.conf.db(5); `bridge/dump-flows` of ovs-appctl(8) shows them).
"""


# -- which bridge ------------------------------------------------------------------------------------


def refusal(switch: SwitchReplica, name: str, physnet_by_bridge: Mapping[str, str]) -> str | None:
    """Return why the bridge *name* may not become the integration bridge; None if it may.

    It may if it is the integration bridge already, is not there yet, is called br-int, or has no ports but
    VIFs and patch ports to provider bridges. It may not if it is a provider bridge, or has a port of somebody
    else.
    """
    row = switch.row("Bridge", name)
    if name == DEFAULT_INTEGRATION_BRIDGE or (row is not None and _is_ours(switch, row)):
        return None
    if name in physnet_by_bridge:
        return f"{name} is the provider bridge of {physnet_by_bridge[name]}; name another bridge"
    for interface in switch.interfaces_of(name):
        other = one(interface, InterfaceRow.name)
        if not (other == name or is_vif(interface) or _is_inner(interface)):
            return (
                f"{name} has the port {other}, which is neither a VIF nor a patch port to a provider bridge; "
                "name a bridge that nobody else uses"
            )
    return None


def is_vif(interface: InterfaceRow) -> bool:
    """Return whether the interface's row says that it is a VIF."""
    return bool(pairs(interface, InterfaceRow.external_ids).get("iface-id"))


def _is_inner(interface: InterfaceRow) -> bool:
    is_patch = one(interface, InterfaceRow.type) == "patch"
    return is_patch and one(interface, InterfaceRow.name).startswith("int-")


def in_use(switch: SwitchReplica) -> str | None:
    """Return the bridge that an agent used last; None if that cannot be told.

    A bridge that an agent left keeps its mark while it has VIFs; but it has no uplinks.
    """
    used = sorted(switch.used_bridges.values())
    with_uplinks = [name for name in used if any(map(_is_inner, switch.interfaces_of(name)))]
    return next((names[0] for names in (used, with_uplinks) if len(names) == 1), None)


def _is_ours(switch: SwitchReplica, row: BridgeRow) -> bool:
    """Whether the agent created the bridge, or uses it, or did so in a version without `USE_MARK`."""
    return not pairs(row, BridgeRow.external_ids).keys().isdisjoint({BRIDGE_MARK, USE_MARK}) or (
        not switch.marked_port_ids.isdisjoint(every(row, BridgeRow.ports))
        and any(map(_is_inner, switch.interfaces_of(one(row, BridgeRow.name))))
    )


# -- how it should be --------------------------------------------------------------------------------


class Amendment(NamedTuple):
    """What to write into *column* of the bridge's row, at *key* if it is a map; *words* says it in words."""

    column: str
    value: Any
    words: str
    key: str | None = None


def amendments(row: BridgeRow) -> Iterator[Amendment]:
    """Yield what must change for the integration bridge with this *row* to forward by our flows alone.

    A spanning tree protocol would block ports, and send frames of its own to VMs.
    """
    name = one(row, BridgeRow.name)
    if USE_MARK not in pairs(row, BridgeRow.external_ids):
        yield Amendment("external_ids", _before(row), f"take {name}", USE_MARK)
    if one(row, BridgeRow.fail_mode) != "secure":
        yield Amendment("fail_mode", ["secure"], f"make {name} secure")
    protocols = every(row, BridgeRow.protocols)
    if protocols and PROTOCOL not in protocols:
        yield Amendment("protocols", sorted(protocols | {PROTOCOL}), f"allow {PROTOCOL} on {name}")
    for column in (BridgeRow.stp_enable, BridgeRow.rstp_enable):
        if one(row, column):
            yield Amendment(column, False, f"turn off {column} of {name}")
    if pairs(row, BridgeRow.other_config).get(NO_IN_BAND) != "true":
        yield Amendment("other_config", "true", f"set {NO_IN_BAND} of {name}", NO_IN_BAND)


def amend(row: BridgeRow) -> list[str]:
    """Make the bridge's *row* what it should be, in the present transaction; return that in words."""
    found = list(amendments(row))
    for column, value, _, key in found:
        if key is None:
            setattr(row, column, value)
        else:
            row.setkey(column, key, value)
    return [amendment.words for amendment in found]


def datapath_fault(row: BridgeRow, datapath_type: str) -> str | None:
    """Return why the bridge of this *row* does not have the *datapath_type* that is set ('': none is).

    To change it, Open vSwitch makes the bridge anew, which cuts off every VM: the operator decides when.
    """
    name, actual = one(row, BridgeRow.name), one(row, BridgeRow.datapath_type) or "system"
    if datapath_type in ("", actual):
        return None
    return (
        f"{name} exists with datapath_type {actual}, and the agent does not change that; run: ovs-vsctl set "
        f"Bridge {name} datapath_type={datapath_type} (it cuts off all VMs for a moment), or correct it"
    )


def create(switch: SwitchReplica, transaction: Any, name: str, datapath_type: str) -> None:
    """Add the integration bridge *name* to *transaction*."""
    interface: InterfaceRow = transaction.insert(switch.table("Interface"))
    interface.name, interface.type = name, "internal"
    port: PortRow = transaction.insert(switch.table("Port"))
    port.name, port.interfaces = name, [interface]
    bridge: BridgeRow = transaction.insert(switch.table("Bridge"))
    bridge.name, bridge.ports = name, [port]
    bridge.fail_mode, bridge.datapath_type = ["secure"], datapath_type
    bridge.other_config = {NO_IN_BAND: "true"}
    bridge.external_ids = {BRIDGE_MARK: "true", USE_MARK: f"secure {NO_IN_BAND}"}
    switch.require_root().addvalue("bridges", bridge.uuid)


# -- what it was before ------------------------------------------------------------------------------


def _before(row: BridgeRow) -> str:
    """Return what `release` restores: `fail_mode`, and whether `NO_IN_BAND` was set."""
    words = [one(row, BridgeRow.fail_mode) or "none"]
    if pairs(row, BridgeRow.other_config).get(NO_IN_BAND) == "true":
        words.append(NO_IN_BAND)
    return " ".join(words)


def may_release(switch: SwitchReplica, row: BridgeRow) -> bool:
    """Return whether the bridge can be made what it was before: a plain switch would connect its VIFs."""
    return not any(map(is_vif, switch.interfaces_of(one(row, BridgeRow.name))))


def release(row: BridgeRow, *, is_whole: bool = True) -> None:
    """Make the bridge what it was before, in the present transaction; if not *is_whole*, unmark it only."""
    fail_mode, *others = pairs(row, BridgeRow.external_ids)[USE_MARK].split() or ["secure"]
    if is_whole:
        row.fail_mode = [] if fail_mode == "none" else [fail_mode]
        if NO_IN_BAND not in others:
            row.delkey("other_config", NO_IN_BAND)
    row.delkey("external_ids", USE_MARK)
