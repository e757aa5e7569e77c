"""What the flows of each table may match, write and go on to."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.core.field import Field
from trunkline.core.pipeline import (
    ANY_ADDRESS,
    DESTINATION_PORT,
    INNER_MAC_HIGH,
    INNER_MAC_LOW,
    INNER_TAGS,
    NETWORK,
    REASON,
    RETURNED,
    SOURCE_PORT,
    Table,
)


class TableRule(NamedTuple):
    """What the flows of one table decide, and what they may match, write and go on to."""

    decides: str
    matches: frozenset[Field]
    writes: frozenset[Field]
    next_tables: frozenset[Table]
    may_output: bool = False
    may_tag: bool = False
    may_report: bool = False


_ETHERNET = frozenset({Field.ETH_DST, Field.ETH_SRC, Field.ETH_TYPE, Field.VLAN_VID})
_LAYER_3 = frozenset(
    {
        Field.IP_FRAG,
        Field.IP_PROTO,
        Field.IPV4_SRC,
        Field.IPV4_DST,
        Field.IPV6_SRC,
        Field.IPV6_DST,
        Field.UDP_SRC,
        Field.UDP_DST,
        Field.ICMPV6_TYPE,
        Field.ICMPV6_CODE,
        Field.ARP_OP,
        Field.ARP_SPA,
        Field.ARP_TPA,
        Field.ARP_SHA,
        Field.ARP_THA,
        Field.ND_TARGET,
        Field.ND_SLL,
        Field.ND_TLL,
    }
)

TABLE_RULES: dict[Table, TableRule] = {
    Table.CLASSIFY: TableRule(
        decides="who sent it",
        matches=frozenset(
            {
                Field.IN_PORT,
                Field.VLAN_VID,
                Field.ETH_SRC,
                Field.ETH_TYPE,
                Field.IP_PROTO,
                Field.ICMPV6_TYPE,
                Field.ICMPV6_CODE,
                Field.IPV6_DST,
                Field.ARP_OP,
                Field.ARP_TPA,
                RETURNED,
            }
        ),
        writes=frozenset({NETWORK, SOURCE_PORT, INNER_TAGS}),
        next_tables=frozenset({Table.PORT_SECURITY, Table.L2_LOOKUP}),
        may_tag=True,
        may_report=True,
    ),
    Table.PORT_SECURITY: TableRule(
        decides="may it send this: tag and source MAC",
        matches=frozenset({SOURCE_PORT}) | _ETHERNET,
        writes=frozenset({ANY_ADDRESS}),
        next_tables=frozenset({Table.PORT_SECURITY, Table.ND_DHCP_SECURITY, Table.L2_LOOKUP}),
        may_tag=True,
    ),
    Table.ND_DHCP_SECURITY: TableRule(
        decides="may it send this: neighbour discovery, DHCP answers",
        matches=frozenset({SOURCE_PORT, ANY_ADDRESS}) | _ETHERNET | _LAYER_3,
        writes=frozenset({INNER_MAC_HIGH, INNER_MAC_LOW, REASON}),
        next_tables=frozenset({Table.INNER_MAC_SECURITY, Table.ADDRESS_SECURITY, Table.REFUSED}),
    ),
    Table.INNER_MAC_SECURITY: TableRule(
        decides="may it send this: the sender's MAC inside ARP, RARP and neighbour discovery",
        matches=frozenset({SOURCE_PORT, INNER_MAC_HIGH, INNER_MAC_LOW, Field.ETH_SRC, Field.ETH_TYPE}),
        writes=frozenset({REASON}),
        next_tables=frozenset({Table.ADDRESS_SECURITY, Table.REFUSED}),
    ),
    Table.ADDRESS_SECURITY: TableRule(
        decides="may it send this: source addresses",
        matches=frozenset({SOURCE_PORT, ANY_ADDRESS}) | _ETHERNET | _LAYER_3,
        writes=frozenset({REASON}),
        next_tables=frozenset({Table.L2_LOOKUP, Table.REFUSED}),
    ),
    Table.L2_LOOKUP: TableRule(
        decides="to whom",
        matches=frozenset({NETWORK, INNER_TAGS, Field.ETH_DST, Field.VLAN_VID, Field.ETH_TYPE}),
        writes=frozenset({DESTINATION_PORT, Field.VLAN_VID}),
        next_tables=frozenset({Table.EGRESS}),
        may_output=True,
        may_tag=True,
    ),
    Table.EGRESS: TableRule(
        decides="does it stay or leave",
        matches=frozenset({NETWORK, SOURCE_PORT, DESTINATION_PORT}),
        writes=frozenset(),
        next_tables=frozenset({Table.DISPATCH, Table.EGRESS_EXTERNAL}),
    ),
    Table.EGRESS_EXTERNAL: TableRule(
        decides="how it leaves",
        matches=frozenset({NETWORK, DESTINATION_PORT}),
        writes=frozenset({Field.ETH_DST, Field.VLAN_VID}),
        next_tables=frozenset(),
        may_output=True,
        may_tag=True,
    ),
    Table.DISPATCH: TableRule(
        decides="the last step",
        matches=frozenset({DESTINATION_PORT}),
        writes=frozenset({Field.VLAN_VID}),
        next_tables=frozenset(),
        may_output=True,
        may_tag=True,
    ),
    Table.REFUSED: TableRule(
        decides="whom port security refused a frame, and why: it ends here",
        matches=frozenset({SOURCE_PORT, REASON}),
        writes=frozenset(),
        next_tables=frozenset(),
    ),
}
"""What each table may do, by table; `trunkline.core.violation` checks flows against it."""
