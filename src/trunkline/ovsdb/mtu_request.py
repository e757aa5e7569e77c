"""Requests for the MTU of VIFs: for which types of interfaces, and how a request is known as ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trunkline.ovsdb.datum import one, pairs
from trunkline.ovsdb.switch_row import MTU_MARK, InterfaceRow
from trunkline.ovsdb.vswitch import SwitchReplica

MTU_TYPES = frozenset(
    {"", "system", "internal", "tap", "dummy", "dpdk", "dpdkvhostuser", "dpdkvhostuserclient", "afxdp"}
)
"""The interface types whose MTU can be requested (ovs-vswitchd.conf.db(5), `mtu_request`)."""


def pending(
    switch: SwitchReplica, mtu_by_iface_id: Mapping[str, int | None]
) -> Iterator[tuple[InterfaceRow, int | None]]:
    """Yield the interfaces of VIFs whose requested MTU is not the wanted one, each with that."""
    for iface_id, mtu in mtu_by_iface_id.items():
        for interface in switch.vif_rows(iface_id):
            if one(interface, InterfaceRow.type) in MTU_TYPES and not is_requested(interface, mtu):
                yield interface, mtu


def is_requested(interface: InterfaceRow, mtu: int | None) -> bool:
    """Return whether we have requested *mtu* for the interface; None: whether we have requested nothing."""
    mark = pairs(interface, InterfaceRow.external_ids).get(MTU_MARK)
    return (
        mark is None if mtu is None else (one(interface, InterfaceRow.mtu_request), mark) == (mtu, str(mtu))
    )


def request(interface: InterfaceRow, mtu: int | None) -> str:
    """Request *mtu* for the interface; None: take back our request. Return that in words."""
    if mtu is not None:
        interface.mtu_request = [mtu]
        interface.setkey("external_ids", MTU_MARK, str(mtu))
        return f"request MTU {mtu} for {one(interface, InterfaceRow.name)}"
    # Somebody else may have requested another MTU since.
    if str(one(interface, InterfaceRow.mtu_request)) == pairs(interface, InterfaceRow.external_ids).get(
        MTU_MARK
    ):
        interface.mtu_request = []
    interface.delkey("external_ids", MTU_MARK)
    return f"request no MTU for {one(interface, InterfaceRow.name)}"
