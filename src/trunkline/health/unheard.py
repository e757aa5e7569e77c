"""Whether a network ever hears anything from its physical network, by what its flows have counted.

A VLAN that a switch port does not carry looks like a VLAN in which nobody speaks. If other chassis have ports
of the network, traces between them tell the two apart (`trunkline.health.reach`). If none has, all that tells
is that the ports send and are never answered. So nothing is said

* if anything at all has come from there;
* if little has left, or only when the flows were new: a VM that starts speaks to nobody in particular, and
  one that is quiet is not answered;
* if frames are sent to one of these ports, and it is not asked about: they speak to one another, and that may
  be all that they are there for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from trunkline.core.cookie import cookie_parts
from trunkline.core.model import Network
from trunkline.core.pipeline import Band
from trunkline.health.finding import Finding
from trunkline.openflow.tally import Count

CODE = "T215"

SETTLED_S = 30.0
"""How long a VLAN has been listened to before its silence says anything."""

MANY = 20
"""So many frames to nobody that is known get an answer, if anybody is there; a VM that starts sends ten."""

LAG_S = 3.0
"""How late a frame may show in a counter, and its answer."""

_BANDS = (Band.UPLINK, Band.UPLINK_TAGGED, Band.BUM_OUT, Band.REFLECTION, Band.LOCAL_MAC)
_BAND_BY_PLACE = {(band.table.value, band.priority): band for band in _BANDS}


class Wire(NamedTuple):
    """What was counted of the frames between a network and its physical network.

    *received* came from there in the last *age_s*. *sent* left to nobody that is known, the last of them
    *idle_s* ago; None if the switch does not say.
    """

    received: int = 0
    age_s: float = 0.0
    sent: int = 0
    idle_s: float | None = None


class WireCounts:
    """The counts of networks and their ports, by the keys of these."""

    def __init__(self) -> None:
        self._by_network: dict[int, Wire] = defaultdict(Wire)
        self._ports_by_band: dict[Band, set[int]] = defaultdict(set)

    def note(self, counts: Iterable[Count]) -> None:
        """Take note of *counts*."""
        for count in counts:
            band = _BAND_BY_PLACE.get((count.table, count.priority))
            parts = None if band is None else cookie_parts(count.cookie)
            if band is None or parts is None:
                continue
            if band in (Band.REFLECTION, Band.LOCAL_MAC):
                if count.packets:
                    self._ports_by_band[band].add(parts.key)
                continue
            wire = self._by_network[parts.key]
            if band is Band.BUM_OUT:
                wire = wire._replace(sent=count.packets, idle_s=count.idle_s)
            else:
                age_s = max(wire.age_s, count.age_s)
                wire = wire._replace(received=wire.received + count.packets, age_s=age_s)
            self._by_network[parts.key] = wire

    def finding(
        self, chassis: str, network: Network, port_keys: Iterable[int], *, is_asked_about: bool
    ) -> Finding | None:
        """Return that *network* hears nothing at *chassis*, None if it does, or need not.

        *port_keys* are those of its ports there; *is_asked_about* says that somebody asks about one of them.
        """
        wire = self._by_network.get(network.key, Wire())
        # What left before anybody listened here says nothing: as after a change of the VLAN.
        is_new = wire.age_s < SETTLED_S or (wire.idle_s is not None and wire.idle_s > wire.age_s - LAG_S)
        if wire.received or wire.sent < MANY or is_new:
            return None
        keys = set(port_keys)
        if keys & self._ports_by_band[Band.REFLECTION]:
            return None
        if keys & self._ports_by_band[Band.LOCAL_MAC] and not is_asked_about:
            return None
        what = "untagged" if network.vlan_id is None else f"in VLAN {network.vlan_id}"
        frames = "untagged frames" if network.vlan_id is None else f"VLAN {network.vlan_id}"
        return Finding(
            CODE,
            "warning",
            f"network {network.name}",
            chassis,
            None,
            f"{wire.sent:,} frames have left {what}, and none has ever come from physical network "
            f"{network.physnet}, in {wire.age_s:,.0f} s",
            f"if anybody out there should answer: allow {frames} on the switch port of this chassis, and on "
            "all from there to the router",
        )
