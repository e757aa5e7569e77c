"""The integration bridge as it should be: secure, open to the agent, and without a will of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.vswitch import SwitchReplica

BRIDGE_MARK = "trunkline-created"
"""The key of `external_ids` that marks an integration bridge that the agent created."""

PROTOCOL = "OpenFlow14"
"""The version that the agent speaks, as the column `protocols` spells it; an empty one allows it."""

NO_IN_BAND = "disable-in-band"
"""The key of `other_config` by which a controller gets no hidden flows.

Those switch what a VM sends in the controller's name like a plain switch, past our flows and into every
network (ovs-vswitchd.conf.db(5); `bridge/dump-flows` of ovs-appctl(8) shows them).
"""


class Amendment(NamedTuple):
    """What to write into *column* of the bridge's row, and that in words."""

    column: str
    value: Any
    deed: str


def amendments(row: Any) -> Iterator[Amendment]:
    """Yield what keeps the integration bridge with this *row* from forwarding by our flows alone.

    A tree protocol would take ports out of use, and speak with VMs in the bridge's name.
    """
    name = one(row, "name")
    if one(row, "fail_mode") != "secure":
        yield Amendment("fail_mode", ["secure"], f"make {name} secure")
    protocols = every(row, "protocols")
    if protocols and PROTOCOL not in protocols:
        yield Amendment("protocols", sorted(protocols | {PROTOCOL}), f"allow {PROTOCOL} on {name}")
    for column in ("stp_enable", "rstp_enable"):
        if one(row, column):
            yield Amendment(column, False, f"take {column} off {name}")
    other_config = pairs(row, "other_config")
    if other_config.get(NO_IN_BAND) != "true":
        value = other_config | {NO_IN_BAND: "true"}
        yield Amendment("other_config", value, f"set {NO_IN_BAND} of {name}")


def amend(row: Any) -> list[str]:
    """Bring the bridge's *row* to what it should be, in its transaction; return the deeds in words."""
    found = list(amendments(row))
    for column, value, _ in found:
        setattr(row, column, value)
    return [amendment.deed for amendment in found]


def create(switch: SwitchReplica, transaction: Any, name: str, datapath_type: str) -> None:
    """Add the integration bridge *name* to *transaction*."""
    interface = transaction.insert(switch.table("Interface"))
    interface.name, interface.type = name, "internal"
    port = transaction.insert(switch.table("Port"))
    port.name, port.interfaces = name, [interface]
    bridge = transaction.insert(switch.table("Bridge"))
    bridge.name, bridge.ports = name, [port]
    bridge.fail_mode, bridge.datapath_type = ["secure"], datapath_type
    bridge.other_config = {NO_IN_BAND: "true"}
    bridge.external_ids = {BRIDGE_MARK: "true"}
    switch.root.addvalue("bridges", bridge.uuid)
