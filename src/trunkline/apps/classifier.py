"""The classifier: which port, and so which network, a frame from a VIF belongs to."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.core.flow import Action, Field, Flow, Goto, PopVlan
from trunkline.core.frame import VLAN_PRESENT
from trunkline.core.pipeline import INNER_TAGS, NETWORK, SOURCE_PORT, Band, Owner, Subject, Table, cookie
from trunkline.core.view import LocalPortView, View


def flows(view: View) -> Iterator[Flow]:
    """Yield the flow that classifies the frames of a local port; nothing for any other view.

    Owns the bands SUBPORT and VIF. A VIF without a port has no flow, so that its frames miss and are dropped.
    """
    if isinstance(view, LocalPortView):
        yield _classification(view)


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
