"""The incumbent: of several VIFs of one port, the one that it used before the agent was started again."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.core.cookie import Subject, cookie
from trunkline.core.field import Field
from trunkline.core.flow import Flow
from trunkline.core.inventory import Inventory
from trunkline.core.pipeline import Band, Owner
from trunkline.openflow import message


def incumbents(installed: Mapping[bytes, bytes], inventory: Inventory) -> dict[str, int]:
    """Return the ofport that the *installed* flows take frames from, for each iface-id with several VIFs."""
    found: dict[str, int] = {}
    for iface_id, vifs in inventory.vifs.items():
        port = inventory.port_of_vif(iface_id) if len(vifs) > 1 else None
        if port is None:
            continue
        by = cookie(Owner.CLASSIFIER, Subject.PORT, port.key)
        for vif in vifs:
            if vif.ofport is None:
                continue
            flow = message.encode(Flow(Band.VIF, (Field.IN_PORT(vif.ofport),), (), by))
            if int.from_bytes(installed.get(flow.key, b"")[:8]) == by:
                found[iface_id] = vif.ofport
    return found
