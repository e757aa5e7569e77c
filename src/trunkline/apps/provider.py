"""Provider networks: how frames arrive from a physical network and how they leave to it.

It knows nothing of local delivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Action, Field, Flow, Goto, Output, PopVlan, PushVlan
from trunkline.core.frame import (
    ANY_TAG,
    FROM_NO_STATION,
    PRIORITY_TAG,
    UNTAGGED,
    UNTAGGED_OR_PRIORITY,
    VLAN_PRESENT,
)
from trunkline.core.pipeline import DESTINATION_PORT, INNER_TAGS, NETWORK, SOURCE_PORT, Band, Owner, Table
from trunkline.core.view import ChassisView, LocalPortView, NetworkView, RemotePortView, View, Wire


def flows(view: View) -> Iterable[Flow]:
    """Return the flows for frames that arrive from the physical networks or leave to them.

    This app owns all of CLASSIFY except the classifier's bands, the band REMOTE_MAC of L2_LOOKUP, all of
    EGRESS except the band LOCAL, and all of EGRESS_EXTERNAL. A network whose physical network is not mapped
    here has no flows.
    """
    match view:
        case ChassisView():
            return _chassis(view)
        case NetworkView(wire=Wire() as wire):
            return (*_arrival(view, wire), *_departure(view, wire))
        case LocalPortView(wire=Wire() as wire, has_own_mac=True):
            return _reflections(view, wire)
        case RemotePortView():
            return _remote_port(view)
        case _:
            return ()


def _chassis(chassis: ChassisView) -> Iterator[Flow]:
    by = cookie(Owner.PROVIDER, Subject.CHASSIS)
    for ofport in chassis.uplinks:
        for source in FROM_NO_STATION:
            yield Flow(Band.NO_STATION, (Field.IN_PORT(ofport), source), (), by)
    for miss in (Band.NOBODY, Band.STAYS, Band.NO_WAY_OUT):
        yield Flow(miss, (), (), by)


def _arrival(net: NetworkView, wire: Wire) -> Iterator[Flow]:
    by = cookie(Owner.PROVIDER, Subject.NETWORK, net.key)
    in_port = Field.IN_PORT(wire.ofport)
    mark: list[Action] = [NETWORK.set(net.key)]
    if net.is_transparent:
        mark.append(INNER_TAGS.set(1))
    onward = (*mark, Goto(Table.L2_LOOKUP))
    if wire.vlan_id is not None:
        tag = Field.VLAN_VID(VLAN_PRESENT | wire.vlan_id)
        yield Flow(Band.UPLINK, (in_port, tag), (PopVlan(), *onward), by)
        return
    yield Flow(Band.UPLINK, (in_port, UNTAGGED), onward, by)
    yield Flow(Band.UPLINK, (in_port, PRIORITY_TAG), (PopVlan(), *onward), by)
    if net.is_transparent:
        yield Flow(Band.UPLINK_TAGGED, (in_port, ANY_TAG), onward, by)


def _departure(net: NetworkView, wire: Wire) -> Iterator[Flow]:
    by = cookie(Owner.PROVIDER, Subject.NETWORK, net.key)
    network = NETWORK(net.key)
    yield Flow(Band.FROM_WIRE, (network, SOURCE_PORT(0)), (), by)
    yield Flow(Band.TO_WIRE, (network,), (Goto(Table.EGRESS_EXTERNAL),), by)
    yield Flow(Band.BUM_OUT, (network, DESTINATION_PORT(0)), (*_tag(wire), Output(wire.ofport)), by)


def _reflections(port: LocalPortView, wire: Wire) -> Iterator[Flow]:
    """Drop frames from the wire with a local port's MAC: they come from a loop, or from an impostor."""
    by = cookie(Owner.PROVIDER, Subject.PORT, port.key)
    in_port, sender = Field.IN_PORT(wire.ofport), Field.ETH_SRC(port.mac)
    if wire.vlan_id is not None:
        yield Flow(Band.REFLECTION, (in_port, Field.VLAN_VID(VLAN_PRESENT | wire.vlan_id), sender), (), by)
        return
    yield Flow(Band.REFLECTION, (in_port, UNTAGGED_OR_PRIORITY, sender), (), by)
    if port.is_transparent:
        yield Flow(Band.REFLECTION_TAGGED, (in_port, ANY_TAG, sender), (), by)


def _remote_port(port: RemotePortView) -> Iterator[Flow]:
    by = cookie(Owner.PROVIDER, Subject.PORT, port.key)
    if port.has_own_mac:
        match = (NETWORK(port.network_key), Field.ETH_DST(port.mac))
        yield Flow(Band.REMOTE_MAC, match, (DESTINATION_PORT.set(port.key), Goto(Table.EGRESS)), by)
    if port.wire is not None:
        actions = (Field.ETH_DST.set(port.mac), *_tag(port.wire), Output(port.wire.ofport))
        yield Flow(Band.REMOTE, (DESTINATION_PORT(port.key),), actions, by)


def _tag(wire: Wire) -> tuple[Action, ...]:
    return () if wire.vlan_id is None else (PushVlan(wire.vlan_id),)
