"""The classifier: it finds the port, and so the network, of a frame from a VIF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Action, Controller, Field, Flow, Goto, PopVlan
from trunkline.core.frame import ADVERTISEMENT, ARP, HIDDEN_TAGS, PRIORITY_TAG, RARP, VLAN_PRESENT
from trunkline.core.pipeline import INNER_TAGS, NETWORK, SOURCE_PORT, Band, Owner, Table
from trunkline.core.probe import FRAMES
from trunkline.core.view import ChassisView, LocalPortView, SleepingVifView, View


def flows(view: View) -> Iterable[Flow]:
    """Return the flows that classify the frames of a VIF here, and those that drop what nobody may send.

    This app owns the bands UNCAUGHT, PRIORITY_STACK, SUBPORT, VIF and SLEEPING. A VIF without a port has no
    flow, so its frames match nothing.
    """
    match view:
        case ChassisView():
            return (_uncaught(), *_priority_stacks())
        case LocalPortView():
            return (_classification(view),)
        case SleepingVifView():
            return _alarms(view)
        case _:
            return ()


def _uncaught() -> Flow:
    """Drop the frames of probes, whether a probe is under way or not: no VM receives one, or sends one."""
    return Flow(Band.UNCAUGHT, FRAMES, (), cookie(Owner.CLASSIFIER, Subject.CHASSIS))


def _priority_stacks() -> Iterator[Flow]:
    """Drop a priority tag before another tag: without it, the other tag would be the frame's first."""
    by = cookie(Owner.CLASSIFIER, Subject.CHASSIS)
    for hidden_tag in HIDDEN_TAGS:
        yield Flow(Band.PRIORITY_STACK, (PRIORITY_TAG, hidden_tag), (), by)


def _alarms(vif: SleepingVifView) -> Iterator[Flow]:
    """Send the agent the frames by which a VM that has arrived announces itself; others are dropped."""
    by = cookie(Owner.CLASSIFIER, Subject.PORT, vif.key)
    sender = (Field.IN_PORT(vif.ofport), Field.ETH_SRC(vif.mac))
    for announcement in ((RARP,), (ARP,), ADVERTISEMENT):
        yield Flow(Band.SLEEPING, (*sender, *announcement), (Controller(),), by)


def _classification(port: LocalPortView) -> Flow:
    in_port = Field.IN_PORT(port.outlet.ofport)
    actions: list[Action] = [SOURCE_PORT.set(port.key), NETWORK.set(port.network_key)]
    if port.is_transparent:
        actions.append(INNER_TAGS.set(1))
    actions.append(Goto(Table.PORT_SECURITY))
    by = cookie(Owner.CLASSIFIER, Subject.PORT, port.key)
    if port.outlet.vlan_id is None:
        return Flow(Band.VIF, (in_port,), tuple(actions), by)
    tag = Field.VLAN_VID(VLAN_PRESENT | port.outlet.vlan_id)
    return Flow(Band.SUBPORT, (in_port, tag), (PopVlan(), *actions), by)
