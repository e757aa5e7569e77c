"""The pipeline, declared once: tables, registers, bands and owners.

No other module writes a table number, a register or a priority. `docs/pipeline.md` is generated from this
module.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from trunkline.core.field import Field

NETWORK = Field.METADATA
"""The network key, 1 to 2**24 - 1."""

SOURCE_PORT = Field.REG6
"""The source port's key; 0 when the frame came from a physical network."""

DESTINATION_PORT = Field.REG7
"""The destination port's key; 0 for BUM (broadcast, unknown unicast, multicast)."""

INNER_TAGS = Field.REG5
"""1 if the frame's network carries VLAN tags inside its own (`vlan_transparent`), else 0."""

ANY_ADDRESS = Field.REG4
"""1 if the frame's sender must use its MAC but may use any address, else 0."""

INNER_MAC_HIGH = Field.REG0
"""The upper 16 bits of the MAC that ARP, RARP or neighbour discovery gives as the sender's; 0 if none."""

INNER_MAC_LOW = Field.REG1
"""The lower 32 bits of that MAC."""

REASON = Field.REG2
"""Why port security refuses a frame, as a `Reason`."""


RETURNED = Field.REG3
"""1 if the agent was given the frame during a probe, and has sent it back, else 0."""


class Reason(IntEnum):
    """Why port security refuses a frame, for reasons that several flows share; `REASON` holds it."""

    SERVER = 1
    NEIGHBOUR = 2
    ADDRESS = 3


class Table(IntEnum):
    """A table of the integration bridge; the value is its OpenFlow table id.

    A flow of ours drops the misses of each table. Without it, a controller could send a table's misses to the
    next table (OpenFlow 1.1 TABLE_MOD), and OpenFlow 1.4 can neither see nor undo that.
    """

    CLASSIFY = 0
    PORT_SECURITY = 10
    ND_DHCP_SECURITY = 20
    INNER_MAC_SECURITY = 25
    ADDRESS_SECURITY = 30
    L2_LOOKUP = 50
    EGRESS = 60
    EGRESS_EXTERNAL = 70
    DISPATCH = 80
    REFUSED = 90


class Owner(IntEnum):
    """An app, or the probe, which is none; the value is part of the cookies of its flows."""

    CLASSIFIER = 1
    PORT_SECURITY = 2
    L2 = 3
    PROVIDER = 4
    PROBE = 5


class Band(Enum):
    """The flows that one app owns in one table at one priority, and their purpose.

    No two flows of a band overlap. In each table, the highest band that a frame matches decides.
    """

    CATCH = (
        Table.CLASSIFY,
        220,
        Owner.PROBE,
        "from the wire, what a probe waits for, during one: to the agent, which sends others' back",
    )
    UNCAUGHT = (
        Table.CLASSIFY,
        215,
        Owner.CLASSIFIER,
        "any other frame of a probe, from the wire or from a VM: drop, count",
    )
    PRIORITY_STACK = (
        Table.CLASSIFY,
        210,
        Owner.CLASSIFIER,
        "a priority tag (VID 0) before another tag: drop, because only removing it would be possible",
    )
    REFLECTION = (
        Table.CLASSIFY,
        200,
        Owner.PROVIDER,
        "from the wire with a local port's MAC as source: drop, count",
    )
    NO_STATION = (
        Table.CLASSIFY,
        190,
        Owner.PROVIDER,
        "from the wire with a source that no station can have (multicast, zero): drop, count",
    )
    SUBPORT = (
        Table.CLASSIFY,
        110,
        Owner.CLASSIFIER,
        "frames from a VIF with a sub-port's tag: tag off, its network",
    )
    VIF = (Table.CLASSIFY, 100, Owner.CLASSIFIER, "frames from a VIF: its port and network")
    SLEEPING = (Table.CLASSIFY, 90, Owner.CLASSIFIER, "first frame of a VIF that migrates here: it wakes")
    UPLINK = (Table.CLASSIFY, 50, Owner.PROVIDER, "frames from an uplink: tag off, their network")
    REFLECTION_TAGGED = (
        Table.CLASSIFY,
        45,
        Owner.PROVIDER,
        "from the wire with a local port's MAC as source and any tag, in a transparent flat network: drop",
    )
    UPLINK_TAGGED = (Table.CLASSIFY, 40, Owner.PROVIDER, "other tags, to a transparent flat network")
    NOBODY = (Table.CLASSIFY, 0, Owner.PROVIDER, "from no known VIF and of no network here: drop")

    PRIORITY_TAG = (Table.PORT_SECURITY, 400, Owner.PORT_SECURITY, "a priority tag (VID 0) comes off")
    TAGGED = (Table.PORT_SECURITY, 300, Owner.PORT_SECURITY, "a VM that chooses its own VLAN: drop, count")
    NO_SENDER = (
        Table.PORT_SECURITY,
        280,
        Owner.PORT_SECURITY,
        "from a VIF with a source that no station can have (multicast, zero): drop, count",
    )
    CONTROL_SENDER = (
        Table.PORT_SECURITY,
        260,
        Owner.PORT_SECURITY,
        "a control frame (to 01:80:c2:00:00:00–0f) from a port that may send them: pass",
    )
    CONTROL_REFUSED = (
        Table.PORT_SECURITY,
        250,
        Owner.PORT_SECURITY,
        "any other control frame from a VM: drop, count",
    )
    OPEN = (Table.PORT_SECURITY, 200, Owner.PORT_SECURITY, "port security is off: pass")
    SOURCE_MAC = (Table.PORT_SECURITY, 50, Owner.PORT_SECURITY, "a MAC that the port may use")
    MAC_REFUSED = (Table.PORT_SECURITY, 40, Owner.PORT_SECURITY, "any other MAC, of a port: drop, count")
    SOURCE_FORGED = (Table.PORT_SECURITY, 0, Owner.PORT_SECURITY, "from no port: drop")

    NO_UPPER_LAYER = (
        Table.ND_DHCP_SECURITY,
        150,
        Owner.PORT_SECURITY,
        "IPv4 or IPv6 in which the switch finds no upper layer but a host may: refused",
    )
    HIDDEN_FRAGMENT = (
        Table.ND_DHCP_SECURITY,
        140,
        Owner.PORT_SECURITY,
        "a first fragment whose ports, ICMPv6 type or options the switch cannot see: refused",
    )

    NOT_DHCP = (
        Table.ND_DHCP_SECURITY,
        135,
        Owner.PORT_SECURITY,
        "a UDP port that differs from a DHCP client's in one of two bits, as most do: on to the addresses",
    )
    NEARLY_DHCP = (
        Table.ND_DHCP_SECURITY,
        130,
        Owner.PORT_SECURITY,
        "one that differs in one of two more bits: on to the addresses",
    )
    SERVER = (
        Table.ND_DHCP_SECURITY,
        120,
        Owner.PORT_SECURITY,
        "DHCP server, router advertisement, redirect: refused",
    )
    ND_MALFORMED = (
        Table.ND_DHCP_SECURITY,
        115,
        Owner.PORT_SECURITY,
        "neighbour discovery for ::, which is how the switch shows one with two MAC options: refused",
    )
    ND_ANY = (
        Table.ND_DHCP_SECURITY,
        110,
        Owner.PORT_SECURITY,
        "an advertisement from a sender that may use any address: on to the MAC inside",
    )
    ND_TARGET = (
        Table.ND_DHCP_SECURITY,
        100,
        Owner.PORT_SECURITY,
        "an advertisement of an address that the port may use: on to the MAC inside",
    )
    ND_FORGED = (Table.ND_DHCP_SECURITY, 50, Owner.PORT_SECURITY, "any other advertisement: refused")
    ASKING = (
        Table.ND_DHCP_SECURITY,
        40,
        Owner.PORT_SECURITY,
        "ARP, RARP and neighbour solicitations: on to the MAC inside",
    )
    NOT_ND = (Table.ND_DHCP_SECURITY, 10, Owner.PORT_SECURITY, "everything else: on to the addresses")

    INNER_MAC = (
        Table.INNER_MAC_SECURITY,
        100,
        Owner.PORT_SECURITY,
        "the MAC inside is the sender's own: on to the addresses",
    )
    NO_INNER_MAC = (
        Table.INNER_MAC_SECURITY,
        90,
        Owner.PORT_SECURITY,
        "neighbour discovery without a MAC inside: on to the addresses",
    )
    INNER_MAC_FORGED = (Table.INNER_MAC_SECURITY, 0, Owner.PORT_SECURITY, "any other MAC inside: refused")

    ADDRESS_ANY = (
        Table.ADDRESS_SECURITY,
        110,
        Owner.PORT_SECURITY,
        "IPv4, IPv6 and ARP from a sender that may use any address: pass",
    )
    ADDRESS = (
        Table.ADDRESS_SECURITY,
        100,
        Owner.PORT_SECURITY,
        "an address that the port may use, in IPv4, IPv6 or ARP; a RARP request: pass",
    )
    QUERY = (
        Table.ADDRESS_SECURITY,
        95,
        Owner.PORT_SECURITY,
        "IGMP from 0.0.0.0 to all hosts, which is a query for group members: refused",
    )
    PROBE = (
        Table.ADDRESS_SECURITY,
        90,
        Owner.PORT_SECURITY,
        "DHCP discovery, IGMP, MLD, router solicitation before the VM has an address: pass",
    )
    ADDRESS_FORGED = (
        Table.ADDRESS_SECURITY,
        50,
        Owner.PORT_SECURITY,
        "any other IPv4, IPv6, ARP or RARP, or a tag that hides one of them: refused",
    )
    NOT_IP = (Table.ADDRESS_SECURITY, 10, Owner.PORT_SECURITY, "neither IP nor ARP nor RARP: pass")

    RESERVED_TAG = (Table.L2_LOOKUP, 300, Owner.L2, "VLAN id 4095: drop")
    INNER_TAG = (Table.L2_LOOKUP, 200, Owner.L2, "a tag inside a network that is not transparent: drop")
    HIDDEN_TAG = (
        Table.L2_LOOKUP,
        190,
        Owner.L2,
        "a tag behind another one, in a network that is not transparent: drop",
    )
    CONTROL_MEMBER = (
        Table.L2_LOOKUP,
        160,
        Owner.L2,
        "a control frame, if local ports may receive them: each of these, then on",
    )
    CONTROL = (Table.L2_LOOKUP, 150, Owner.L2, "any other control frame: drop, count")
    BUM = (Table.L2_LOOKUP, 100, Owner.L2, "broadcast and multicast: every local port, then on")
    LOCAL_MAC = (Table.L2_LOOKUP, 50, Owner.L2, "the MAC of a local port")
    SHARED_MAC = (Table.L2_LOOKUP, 45, Owner.L2, "a MAC that several ports may own: each of them")
    REMOTE_MAC = (Table.L2_LOOKUP, 40, Owner.PROVIDER, "the MAC of a remote port")
    UNKNOWN = (Table.L2_LOOKUP, 10, Owner.L2, "unknown unicast: on, to the wire")
    NOWHERE = (Table.L2_LOOKUP, 0, Owner.L2, "of no network here, or for no port: drop")

    LOCAL = (Table.EGRESS, 100, Owner.L2, "the destination is a local port")
    FROM_WIRE = (Table.EGRESS, 50, Owner.PROVIDER, "from a physical network to another: drop")
    TO_WIRE = (Table.EGRESS, 10, Owner.PROVIDER, "everything else leaves")
    STAYS = (Table.EGRESS, 0, Owner.PROVIDER, "a network without an uplink: drop")

    REMOTE = (
        Table.EGRESS_EXTERNAL,
        50,
        Owner.PROVIDER,
        "to a remote port: its MAC, tag on, out by the uplink",
    )
    BUM_OUT = (Table.EGRESS_EXTERNAL, 10, Owner.PROVIDER, "BUM: tag on, out by the uplink")
    NO_WAY_OUT = (Table.EGRESS_EXTERNAL, 0, Owner.PROVIDER, "no uplink leads there: drop")

    DELIVER = (Table.DISPATCH, 100, Owner.L2, "out of the destination's VIF")
    UNDELIVERED = (Table.DISPATCH, 0, Owner.L2, "no VIF: drop")

    SERVER_REFUSED = (
        Table.REFUSED,
        100,
        Owner.PORT_SECURITY,
        "a port's DHCP answers, router advertisements, redirects: drop, count",
    )
    NEIGHBOUR_REFUSED = (
        Table.REFUSED,
        90,
        Owner.PORT_SECURITY,
        "a port's ARP, RARP or neighbour discovery with a MAC or target of another: drop, count",
    )
    ADDRESS_REFUSED = (
        Table.REFUSED,
        80,
        Owner.PORT_SECURITY,
        "a port's IPv4 or IPv6 from another address, or that the switch cannot read: drop, count",
    )
    UNCOUNTED = (Table.REFUSED, 0, Owner.PORT_SECURITY, "refused, from a port that was just removed: drop")

    def __init__(self, table: Table, priority: int, owner: Owner, purpose: str) -> None:
        self.table = table
        self.priority = priority
        self.owner = owner
        self.purpose = purpose

    __hash__ = object.__hash__
