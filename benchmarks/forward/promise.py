"""The promise that a VM does not answer as a server, and contenders that are made to keep it.

Trunkline drops a VM's DHCP and DHCPv6 answers, router advertisements and redirects (rule 13 of
docs/frames.md). A bridge that only learns, and OVN, let them pass unless they are told not to, and so need
not look as deep into other frames.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv6Address
from pathlib import Path

from load import mac, port_name
from ovn import Ovn
from process import do

from forward.normal import Normal
from forward.station import ETH0, Station
from forward.traffic import IPV6, TIMEOUT_S, UDP, Conversation, ethernet, frame, generator, send_once
from trunkline.core.frame import link_local

DHCP_SERVER, DHCP_CLIENT = 67, 68
DHCPV6_SERVER, DHCPV6_CLIENT = 547, 546
ICMPV6 = 58
ROUTER_ADVERTISEMENT, REDIRECT = 134, 137
ETH_P_ALL = 3
MOST_BYTES = 2048


class RefusingNormal(Normal):
    """`NORMAL` behind flows that drop what a server would send, from any VIF."""

    name = "normal + drops"

    def start(self) -> None:
        """Have br-int forward all else, and all that comes from the provider bridge."""
        flows = [
            f"priority=20,in_port={self.patch},actions=NORMAL",
            f"priority=10,udp,tp_dst={DHCP_CLIENT},actions=drop",
            f"priority=10,udp6,tp_dst={DHCPV6_CLIENT},actions=drop",
            *(
                f"priority=10,icmp6,icmp_type={each},actions=drop"
                for each in (ROUTER_ADVERTISEMENT, REDIRECT)
            ),
        ]
        do(["ovs-ofctl", "add-flows", self.bridge, "-"], self.switch.environment, "\n".join(flows))
        super().start()


class RefusingOvn(Ovn):
    """OVN with an ACL, without state, for a group of all ports of VMs."""

    name = "ovn + acl"

    def _fill(self) -> None:
        super()._fill()
        names = [port_name(number) for number in range(self.load.ports)]
        where = [{"op": "select", "table": "Logical_Switch_Port", "where": [], "columns": ["name", "_uuid"]}]
        found = {row["name"]: row["_uuid"] for row in self._nb.transact(*where)[0]["rows"]}
        rule = {
            "direction": "from-lport",
            "priority": 1000,
            "match": "inport == @vms && "
            f"((ip4 && udp.dst == {DHCP_CLIENT}) || (ip6 && udp.dst == {DHCPV6_CLIENT}) || "
            f"icmp6.type == {{{ROUTER_ADVERTISEMENT}, {REDIRECT}}})",
            "action": "drop",
        }
        group = {
            "name": "vms",
            "ports": ["set", [found[name] for name in names]],
            "acls": ["named-uuid", "acl"],
        }
        self._nb.transact(
            {"op": "insert", "table": "ACL", "row": rule, "uuid-name": "acl"},
            {"op": "insert", "table": "Port_Group", "row": group},
        )


def passed(folder: Path, vm: Station, wire: Station) -> int:
    """Return how many answers of a server get from *vm* to *wire*, each sent once.

    They come right after a datagram that may pass, and differs from the first of them in its port alone.
    """
    allowed = frame(Conversation(vm.number, wire.number, UDP, DHCP_SERVER, DHCP_CLIENT + 1), is_tagged=False)
    send_once(folder, vm, wire, [allowed])
    sent = answers(vm.number, wire.number)
    with wire.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((ETH0, 0))
        tap.settimeout(TIMEOUT_S)
        argv = generator(folder, vm, [*sent, allowed], "--num", str(len(sent) + 1), "--gap", "100us")
        do(argv, os.environ)
        # A sender's frames stay in order: once the last one has arrived, so have all that ever will.
        return sum(arrived in sent for arrived in iter(lambda: tap.recv(MOST_BYTES), allowed))


def answers(source: int, destination: int) -> list[bytes]:
    """Return what only a server or a router may send, from the port *source* to *destination*."""
    dhcp = Conversation(source, destination, UDP, DHCP_SERVER, DHCP_CLIENT)
    datagram = struct.pack("!HHHH", DHCPV6_SERVER, DHCPV6_CLIENT, 8, 0)
    return [
        frame(dhcp, is_tagged=False),
        _ipv6(source, destination, UDP, datagram),
        *(
            _ipv6(source, destination, ICMPV6, bytes([kind]) + bytes(39))
            for kind in (ROUTER_ADVERTISEMENT, REDIRECT)
        ),
    ]


def _ipv6(source: int, destination: int, protocol: int, payload: bytes) -> bytes:
    ends = b"".join(_link_local(number).packed for number in (source, destination))
    header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 255) + ends
    return ethernet(source, destination, IPV6, is_tagged=False) + header + payload


def _link_local(number: int) -> IPv6Address:
    return link_local(int(mac(number).replace(":", ""), 16))
