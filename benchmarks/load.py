"""A load: how much there is to do, the same for every contender."""

from __future__ import annotations

from typing import NamedTuple

PHYSNET = "physnet1"
CHASSIS = "bench"
FIRST_VLAN_ID = 101


class Load(NamedTuple):
    """*ports* logical ports spread evenly over *networks* VLAN networks; *local* of them have VIFs here.

    The local ones are spread over all networks, too. Ports are numbered from 0, and each has a MAC and an
    IPv4 address.
    """

    local: int
    ports: int
    networks: int

    def __str__(self) -> str:
        return f"{self.local:,} of {self.ports:,} in {self.networks}"

    def network_of(self, number: int) -> int:
        """Return the number of the network of port *number*."""
        return number % self.networks

    def of_network(self, network: int) -> range:
        """Return the numbers of the ports of *network*."""
        return range(network, self.ports, self.networks)


def port_name(number: int) -> str:
    """Return the name of port *number*, which is its VIF's iface-id.

    >>> port_name(7)
    'p00007'
    """
    return f"p{number:05}"


def network_name(number: int) -> str:
    """Return the name of network *number*."""
    return f"net{number}"


def vlan_id(number: int) -> int:
    """Return the VLAN id of network *number*."""
    return FIRST_VLAN_ID + number


def mac(number: int) -> str:
    """Return the MAC of port *number*.

    >>> mac(258)
    '02:00:00:00:01:02'
    """
    return "02:" + (number).to_bytes(5, "big").hex(":")


def address(number: int) -> str:
    """Return the IPv4 address of port *number*, out of 10.0.0.0/8.

    >>> address(258)
    '10.0.1.3'
    """
    return ".".join(str(byte) for byte in (0x0A000001 + number).to_bytes(4, "big"))
