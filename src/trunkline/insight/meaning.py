"""What a band means to an operator: the frame rules that it keeps, and what to do about what it drops.

What its flows are for is said by `Band.purpose`. The rules are those of docs/frames.md. A remedy names the
row by `{port}` and `{network}`, and columns as `trunkline.core.error.TrunklineError` does.
"""

from __future__ import annotations

from typing import NamedTuple

from trunkline.core.pipeline import Band


class Meaning(NamedTuple):
    """The frame rules of a band, by number, and the remedy if it drops what should pass.

    *rest* is what its flows match besides their fields: what flows of higher priority have left to them.
    """

    rules: tuple[int, ...]
    remedy: str | None = None
    rest: str | None = None


_NOT_A_PROBE = "only `trunkline probe` sends such frames; if none was made, find out what else does"
_ONE_TAG = "have the sender put one tag on its frames: a switch takes only the first one off"
_NO_MAC = "give the sender's interface a MAC of its own; a group's MAC, or zeros, cannot be a source"
_SECURITY = "trunkline port set {port} `port_security=false`"
_PAIR = "allow it, with all pairs that the port is to keep: trunkline port set {port} `allowed_address_pairs="
_INSIDE = "trunkline network set {network} `vlan_transparent=true`"
OTHER_MAPPINGS = ",OTHERS"
"""What stands in a remedy for the mappings that the chassis has."""

_MAPPING = (
    "map its physical network on this chassis, next to the others that are mapped: "
    f"ovs-vsctl set Open_vSwitch . external_ids:trunkline-bridge-mappings=PHYSNET:BRIDGE{OTHER_MAPPINGS}"
)

MEANING: dict[Band, Meaning] = {
    # CLASSIFY
    Band.CATCH: Meaning((18,)),
    Band.UNCAUGHT: Meaning((18,), _NOT_A_PROBE),
    Band.PRIORITY_STACK: Meaning((2, 11), _ONE_TAG),
    Band.REFLECTION: Meaning(
        (7,),
        "look in the physical switches for where the MAC of {port} is learnt: "
        "there is a loop, or another machine uses it",
    ),
    Band.NO_STATION: Meaning((7,), _NO_MAC),
    Band.SUBPORT: Meaning((12,)),
    Band.VIF: Meaning((14,)),
    Band.SLEEPING: Meaning((14, 16)),
    Band.UPLINK: Meaning((1, 2)),
    Band.REFLECTION_TAGGED: Meaning(
        (7, 12), "look in the physical switches for where the MAC of {port} is learnt"
    ),
    Band.UPLINK_TAGGED: Meaning((12,)),
    Band.NOBODY: Meaning(
        (3, 14),
        "for a VIF, see that its iface-id is the name of an enabled port (`trunkline port list`); "
        "for a VLAN, that a network with that tag has a port here",
    ),
    # PORT_SECURITY
    Band.PRIORITY_TAG: Meaning((11,)),
    Band.TAGGED: Meaning(
        (11,),
        f"{_INSIDE}; or make a sub-port for that tag: trunkline port create NAME `network=NETWORK` `mac=MAC` "
        "`parent={port}` `parent_vlan=TAG`",
    ),
    Band.NO_SENDER: Meaning((13,), _NO_MAC),
    Band.CONTROL_SENDER: Meaning((17,)),
    Band.CONTROL_REFUSED: Meaning(
        (17,),
        "trunkline port set PORT `options:control-frames=true` `port_security=false`",
        "from any other port",
    ),
    Band.OPEN: Meaning((13,)),
    Band.SOURCE_MAC: Meaning((13,)),
    Band.MAC_REFUSED: Meaning(
        (13,),
        f"give the VM the MAC of its port (trunkline port show {{port}}), or {_PAIR}MAC`",
        "any other source MAC",
    ),
    Band.SOURCE_FORGED: Meaning((13,), "they cannot: they come from no port that is here"),
    # ND_DHCP_SECURITY
    Band.NO_UPPER_LAYER: Meaning((13,)),
    Band.HIDDEN_FRAGMENT: Meaning((13,)),
    Band.NOT_DHCP: Meaning((13,)),
    Band.NEARLY_DHCP: Meaning((13,)),
    Band.SERVER: Meaning((13,)),
    Band.ND_MALFORMED: Meaning((13,)),
    Band.ND_ANY: Meaning((13,)),
    Band.ND_TARGET: Meaning((13,)),
    Band.ND_FORGED: Meaning((13,), rest="about any other address"),
    Band.ASKING: Meaning((13,)),
    Band.NOT_ND: Meaning((13,)),
    # INNER_MAC_SECURITY
    Band.INNER_MAC: Meaning((13,)),
    Band.NO_INNER_MAC: Meaning((13,)),
    Band.INNER_MAC_FORGED: Meaning((13,), rest="any other MAC inside"),
    # ADDRESS_SECURITY
    Band.ADDRESS_ANY: Meaning((13,)),
    Band.ADDRESS: Meaning((13,)),
    Band.QUERY: Meaning((13,)),
    Band.PROBE: Meaning((13,)),
    Band.ADDRESS_FORGED: Meaning((13,), rest="any other"),
    Band.NOT_IP: Meaning((13,)),
    # L2_LOOKUP
    Band.RESERVED_TAG: Meaning((3,), "use a VLAN id from 1 to 4094"),
    Band.INNER_TAG: Meaning((3, 11), "trunkline network set NETWORK `vlan_transparent=true`"),
    Band.HIDDEN_TAG: Meaning((3, 11), "trunkline network set NETWORK `vlan_transparent=true`"),
    Band.CONTROL_MEMBER: Meaning((17,)),
    Band.CONTROL: Meaning(
        (17,),
        "trunkline port set PORT `options:control-frames=true` `port_security=false`",
        "in any other network",
    ),
    Band.BUM: Meaning((5, 10)),
    Band.LOCAL_MAC: Meaning((1, 8)),
    Band.SHARED_MAC: Meaning((15,), "enable a port that has this MAC, or lists it (`trunkline port list`)"),
    Band.REMOTE_MAC: Meaning((9,)),
    Band.UNKNOWN: Meaning((6, 9, 15), rest="to any other MAC"),
    Band.NOWHERE: Meaning(
        (6, 9), "trunkline network set NETWORK `unknown_unicast=forward`, or a port with that MAC"
    ),
    # EGRESS
    Band.LOCAL: Meaning((1, 8)),
    Band.FROM_WIRE: Meaning(
        (4, 6),
        "broadcast and multicast have reached the local ports before this flow, and never go back to the "
        "wire; unicast for no port here goes nowhere",
        "for no port here",
    ),
    Band.TO_WIRE: Meaning((9, 10), rest="for no port here"),
    Band.STAYS: Meaning((9,), _MAPPING),
    # EGRESS_EXTERNAL
    Band.REMOTE: Meaning((9,)),
    Band.BUM_OUT: Meaning((10,)),
    Band.NO_WAY_OUT: Meaning((9,), _MAPPING),
    # DISPATCH
    Band.DELIVER: Meaning((8,)),
    Band.UNDELIVERED: Meaning((14,), "see that the port's VIF is plugged in: `trunkline port show PORT`"),
    # REFUSED
    Band.SERVER_REFUSED: Meaning((13,), f"a VM that serves DHCP, or routes, needs: {_SECURITY}"),
    Band.NEIGHBOUR_REFUSED: Meaning(
        (13,),
        f"let the VM speak of its own addresses alone (trunkline port show {{port}}), or {_PAIR}MAC,IP`",
    ),
    Band.ADDRESS_REFUSED: Meaning(
        (13,), f"give the VM an address of its port (trunkline port show {{port}}), or {_PAIR}MAC,IP`"
    ),
    Band.UNCOUNTED: Meaning((13,), "wait: the port is just coming, or going"),
}
"""What each band means; it holds every band."""

SENDS = {
    Band.TAGGED: "with a VLAN tag of its own",
    Band.MAC_REFUSED: "from a MAC that its port may not use",
    Band.ADDRESS_REFUSED: "from an address that its port may not use",
    Band.NEIGHBOUR_REFUSED: "with ARP or neighbour discovery for an address or MAC that its port may not use",
    Band.SERVER_REFUSED: "that only a DHCP server or router sends",
}
"""Which frames of a port a band refuses, of the bands that count them for each port."""

BAND_BY_PLACE = {(int(band.table), band.priority): band for band in Band}
"""The band that a table's id and a priority name: no two have both in common."""


def rule_words(rules: tuple[int, ...]) -> str:
    """Return how *rules* are cited.

    >>> rule_words((13,)), rule_words((3, 11))
    ('rule 13', 'rules 3 and 11')
    """
    *others, last = map(str, rules)
    return f"rules {', '.join(others)} and {last}" if others else f"rule {last}"
