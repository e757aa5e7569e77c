"""What the row of an interface says: its OpenFlow port, its link, and the VIF that it is."""

from __future__ import annotations

from trunkline.core.address import AddressError, parse_mac
from trunkline.core.model import Vif
from trunkline.ovsdb.datum import one, pairs
from trunkline.ovsdb.switch_row import InterfaceRow

VHOST_USER_TYPES = frozenset({"dpdkvhostuser", "dpdkvhostuserclient"})
"""The types of interfaces that a VM uses through a socket; their link is up while a driver in the VM runs."""

LINKLESS_TYPES = frozenset({"internal", "tap", "patch"}) | VHOST_USER_TYPES
"""The types of interfaces whose link state does not say whether frames pass.

An internal one that is moved to another namespace is shown as down. A vhost-user one has a link only once the
driver in the guest runs, and Nova starts the guest only when the port is up.
"""


def vif_of(iface_id: str, interface: InterfaceRow) -> Vif:
    """Return the VIF with *iface_id* that the interface is."""
    return Vif(
        iface_id,
        one(interface, InterfaceRow.name),
        ofport_of(interface),
        one(interface, InterfaceRow.error),
        link_fault(interface),
        _attached_mac(interface),
    )


def ofport_of(interface: InterfaceRow) -> int | None:
    """Return the OpenFlow port of the interface; None if it has none yet, or the switch could not add it."""
    number = one(interface, InterfaceRow.ofport)
    return number if number is not None and number > 0 else None


def link_fault(interface: InterfaceRow) -> str | None:
    """Return why no frame passes the interface although the switch has it; None if it has a link."""
    if one(interface, InterfaceRow.type) in LINKLESS_TYPES:
        return None
    if one(interface, InterfaceRow.admin_state) == "down":
        return f"is set down, or gone; run: ip link set {one(interface, InterfaceRow.name)} up"
    if one(interface, InterfaceRow.link_state) == "down":
        return "has no link; check its other end"
    return None


def driver_fault(interface: InterfaceRow) -> str | None:
    """Return why no frame passes the interface although its port may be up; None if that is not so.

    It is no fault of the port: Nova starts a VM only once its port is up.
    """
    is_vhost_user = one(interface, InterfaceRow.type) in VHOST_USER_TYPES
    if not is_vhost_user or one(interface, InterfaceRow.link_state) != "down":
        return None
    see = f"see status and options of: ovs-vsctl list interface {one(interface, InterfaceRow.name)}"
    return f"has no link, as no driver in the VM uses it; start the VM; if it runs, {see}"


def _attached_mac(interface: InterfaceRow) -> int | None:
    """Return the MAC that the interface's VM has; None if the row does not say so, or not readably."""
    try:
        return parse_mac(pairs(interface, InterfaceRow.external_ids).get("attached-mac", ""))
    except AddressError:
        return None
