"""L2: local delivery. It knows nothing of how frames reach or leave this switch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Action, Field, Flow, Goto, Output, PopVlan, PushVlan
from trunkline.core.frame import ANY_TAG, CONTROL, HIDDEN_TAGS, TO_GROUP, VLAN_PRESENT, VLAN_RESERVED
from trunkline.core.pipeline import DESTINATION_PORT, INNER_TAGS, NETWORK, Band, Owner, Table
from trunkline.core.view import (
    ChassisView,
    LocalPortView,
    NetworkView,
    Outlet,
    SharedMacView,
    View,
)


def flows(view: View) -> Iterable[Flow]:
    """Return the flows that deliver frames to local ports, and pass on those for others.

    This app owns all of L2_LOOKUP except the band REMOTE_MAC, the band LOCAL of EGRESS, and all of DISPATCH.
    """
    match view:
        case ChassisView():
            refused = Flow(Band.CONTROL, (CONTROL,), (), cookie(Owner.L2, Subject.CHASSIS))
            return (*_tag_guards(), refused, *_misses())
        case NetworkView():
            return _network(view)
        case LocalPortView():
            return _port(view)
        case SharedMacView():
            return (_shared_mac(view),)
        case _:
            return ()


def _tag_guards() -> Iterator[Flow]:
    """Drop tags that are left after classification, except in a transparent network; VLAN id 4095 even there.

    With `vlan-limit` 1, Open vSwitch does not parse a second tag. Once the first is removed, the second shows
    as the frame's Ethernet type, and no flow can see its VLAN id.
    """
    by = cookie(Owner.L2, Subject.CHASSIS)
    yield Flow(Band.RESERVED_TAG, (Field.VLAN_VID(VLAN_PRESENT | VLAN_RESERVED),), (), by)
    opaque = INNER_TAGS(0)
    yield Flow(Band.INNER_TAG, (opaque, ANY_TAG), (), by)
    for hidden_tag in HIDDEN_TAGS:
        yield Flow(Band.HIDDEN_TAG, (opaque, hidden_tag), (), by)


def _misses() -> Iterator[Flow]:
    by = cookie(Owner.L2, Subject.CHASSIS)
    yield Flow(Band.NOWHERE, (), (), by)
    yield Flow(Band.UNDELIVERED, (), (), by)


def _network(net: NetworkView) -> Iterator[Flow]:
    by = cookie(Owner.L2, Subject.NETWORK, net.key)
    network = NETWORK(net.key)
    on = (DESTINATION_PORT.set(0), Goto(Table.EGRESS))
    if net.control_outlets:
        yield Flow(Band.CONTROL_MEMBER, (network, CONTROL), (*_copies(net.control_outlets), *on), by)
    yield Flow(Band.BUM, (network, TO_GROUP), (*_copies(net.outlets), *on), by)
    unknown = (*_copies(net.unknown_outlets), *(on if net.floods_unknown else ()))
    if unknown:
        yield Flow(Band.UNKNOWN, (network,), unknown, by)


def _port(port: LocalPortView) -> Iterator[Flow]:
    by = cookie(Owner.L2, Subject.PORT, port.key)
    if port.has_own_mac:
        match = (NETWORK(port.network_key), Field.ETH_DST(port.mac))
        yield Flow(Band.LOCAL_MAC, match, (DESTINATION_PORT.set(port.key), Goto(Table.EGRESS)), by)
    destination = (DESTINATION_PORT(port.key),)
    yield Flow(Band.LOCAL, destination, (Goto(Table.DISPATCH),), by)
    tag = () if port.outlet.vlan_id is None else (PushVlan(port.outlet.vlan_id),)
    yield Flow(Band.DELIVER, destination, (*tag, Output(port.outlet.ofport)), by)


def _shared_mac(shared: SharedMacView) -> Flow:
    on = (DESTINATION_PORT.set(0), Goto(Table.EGRESS)) if shared.is_on_wire else ()
    return Flow(
        Band.SHARED_MAC,
        (NETWORK(shared.network_key), Field.ETH_DST(shared.mac)),
        (*_copies(shared.outlets), *on),
        cookie(Owner.L2, Subject.MAC, shared.network_key),
    )


def _copies(outlets: Iterable[Outlet]) -> list[Action]:
    """Return the actions that send a copy out of each of *outlets* and leave the frame as it was.

    This is a list of outputs and not a resubmit per port, because Open vSwitch drops a frame after 4,096
    resubmits (ovs-actions(7)). Open vSwitch itself leaves out the port where the frame came in. Outlets come
    sorted by tag, so a tag is pushed once for all outlets that share it: even 2,000 sub-ports fit a message.
    """
    actions: list[Action] = []
    for vlan_id, sharing in groupby(outlets, key=lambda outlet: outlet.vlan_id):
        copies = [Output(outlet.ofport) for outlet in sharing]
        actions += copies if vlan_id is None else (PushVlan(vlan_id), *copies, PopVlan())
    return actions
