"""Views that unit tests start from, each of the network with key 7: tag 101 behind uplink 1."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from trunkline import apps
from trunkline.apps import App
from trunkline.core.view import LocalPortView, NetworkView, Outlet, RemotePortView, SharedMacView, View, Wire
from trunkline.openflow.text import text

VLAN = Wire(ofport=1, vlan_id=101)
FLAT = Wire(ofport=1, vlan_id=None)
MAC = 0x020000000001
SHARED = 0x02000000000E
ADDRESSES = (ip_address("192.0.2.1"), ip_address("2001:db8::1"))

NETWORK = NetworkView(
    key=7,
    wire=VLAN,
    floods_unknown=True,
    is_transparent=False,
    outlets=(Outlet(10), Outlet(11)),
    unknown_outlets=(),
    control_outlets=(),
)
PORT = LocalPortView(
    key=0x2A,
    network_key=7,
    mac=MAC,
    outlet=Outlet(10),
    wire=VLAN,
    has_own_mac=True,
    is_transparent=False,
    is_secured=True,
    is_announced=True,
    passes_control=False,
    addresses=(),
    allowed_pairs=(),
)
REMOTE = RemotePortView(key=0x2B, network_key=7, mac=0x020000000002, wire=VLAN, has_own_mac=True)
SHARED_MAC = SharedMacView(network_key=7, mac=SHARED, outlets=(Outlet(10), Outlet(11)), is_on_wire=True)


def lines(app: App, view: View, **changed: Any) -> list[str]:
    """Return the flows that *app* makes of *view*, some of its fields *changed*, as `ovs-ofctl` has it."""
    return [text(flow, with_cookie=False) for flow in app.flows(view._replace(**changed))]


def count(view: View, **changed: Any) -> int:
    """Return how many flows all apps make of *view*, with some of its fields *changed*."""
    return sum(1 for _ in apps.flows(view._replace(**changed)))
