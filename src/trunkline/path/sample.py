"""A sample frame: what a machine would really send, byte for byte, for a trace to follow.

Checksums are right, and lengths agree: Open vSwitch finds no upper layer in a packet that says otherwise.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from trunkline.core.address import mac_text
from trunkline.core.error import InvalidValueError
from trunkline.core.frame import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMPV6_NEIGHBOUR_SOLICITATION, IP_ICMPV6, IP_UDP

if TYPE_CHECKING:
    from trunkline.core.model import IPAddress

BROADCAST = 0xFFFF_FFFF_FFFF
MOST_BYTES = 9728
"""How long a frame may be: what NICs take as jumbo frames."""

_GROUP = 1 << 40
_IP_ICMP, _IP_TCP = 1, 6
_ETH_EXPERIMENT = 0x88B5
"""For experiments (IEEE 802): neither IP nor ARP."""

_TPIDS = frozenset({0x8100, 0x88A8})
_HIGH_PORT = 49152
"""From which port a client sends: the first of the dynamic ones (RFC 6335 section 6)."""

_HEADERS = struct.Struct("!6s6s")


class Kind(Enum):
    """What a frame carries."""

    ARP = "ARP"
    ICMP = "ping"
    TCP = "TCP"
    UDP = "UDP"
    DHCP = "DHCP"
    BARE = "Ethernet"


@dataclass(frozen=True)
class Sample:
    """A frame as it is asked for: from whom to whom, and what it carries.

    *port* is the port of TCP or UDP. *size* is the length of the packet in bytes, as an MTU counts
    them; None: as short as it can be. *is_answer*: it comes back, so its ports are the other way round.
    """

    kind: Kind
    src_mac: int
    dst_mac: int
    src: IPAddress | None = None
    dst: IPAddress | None = None
    port: int = 0
    size: int | None = None
    tag: int | None = None
    is_answer: bool = False

    def answered(self) -> Sample:
        """Return the frame that answers this one."""
        return replace(
            self,
            src_mac=self.dst_mac,
            dst_mac=self.src_mac,
            src=self.dst,
            dst=self.src,
            tag=None,
            is_answer=True,
        )

    def encode(self) -> bytes:
        """Return the bytes of the frame, without its checksum at the end.

        Raises:
            InvalidValueError: it would be shorter than what it carries, or too long.
        """
        packet = self._packet(b"")
        size = len(packet[1]) if self.size is None else self.size
        if size < len(packet[1]) or size > MOST_BYTES:
            raise InvalidValueError(
                f"such a packet has {len(packet[1])} to {MOST_BYTES} bytes, not {size}; give another size"
            )
        ethertype, payload = self._packet(bytes(size - len(packet[1])))
        addresses = _HEADERS.pack(self.dst_mac.to_bytes(6), self.src_mac.to_bytes(6))
        tag = b"" if self.tag is None else struct.pack("!HH", 0x8100, self.tag)
        return addresses + tag + struct.pack("!H", ethertype) + payload

    def _packet(self, padding: bytes) -> tuple[int, bytes]:
        if self.kind is Kind.BARE or self.src is None or self.dst is None:
            return _ETH_EXPERIMENT, bytes(46) + padding
        if self.kind is Kind.ARP and isinstance(self.src, IPv4Address) and isinstance(self.dst, IPv4Address):
            return ETH_ARP, self._arp(self.src, self.dst) + padding
        protocol, upper = self._upper(padding)
        if isinstance(self.src, IPv4Address):
            return ETH_IPV4, _ipv4(self.src, self.dst, protocol, upper)
        return ETH_IPV6, _ipv6(self.src, self.dst, protocol, upper)

    def _arp(self, src: IPv4Address, dst: IPv4Address) -> bytes:
        operation, target = (2, self.dst_mac) if self.is_answer else (1, 0)
        head = struct.pack("!HHBBH", 1, ETH_IPV4, 6, 4, operation)
        return head + self.src_mac.to_bytes(6) + src.packed + target.to_bytes(6) + dst.packed

    def _upper(self, padding: bytes) -> tuple[int, bytes]:
        """Return the protocol above IP, and its packet with the right checksum."""
        assert self.src is not None
        assert self.dst is not None
        ports = (self.port, _HIGH_PORT) if self.is_answer else (_HIGH_PORT, self.port)
        is_v4 = isinstance(self.src, IPv4Address)
        if self.kind is Kind.TCP:
            flags = 0x12 if self.is_answer else 0x02
            head = struct.pack("!HHIIBBHHH", *ports, 0, 0, 5 << 4, flags, 65535, 0, 0)
            return _IP_TCP, _summed(self.src, self.dst, _IP_TCP, head + padding, 16)
        if self.kind in (Kind.UDP, Kind.DHCP):
            body = _discover(self.src_mac) if self.kind is Kind.DHCP else b""
            ports = (68, 67) if self.kind is Kind.DHCP else ports
            head = struct.pack("!HHHH", *ports, 8 + len(body) + len(padding), 0)
            return IP_UDP, _summed(self.src, self.dst, IP_UDP, head + body + padding, 6)
        if is_v4:
            echo = struct.pack("!BBHHH", 0 if self.is_answer else 8, 0, 0, 1, 1) + padding
            return _IP_ICMP, _with_sum(echo, 2, echo)
        if self.kind is Kind.ARP:
            return IP_ICMPV6, _summed(self.src, self.dst, IP_ICMPV6, self._neighbour() + padding, 2)
        echo = struct.pack("!BBHHH", 129 if self.is_answer else 128, 0, 0, 1, 1) + padding
        return IP_ICMPV6, _summed(self.src, self.dst, IP_ICMPV6, echo, 2)

    def _neighbour(self) -> bytes:
        """Return what ARP is in IPv6: a solicitation, or the advertisement that answers it (RFC 4861)."""
        assert self.src is not None
        assert self.dst is not None
        option = struct.pack("!BB6s", 2 if self.is_answer else 1, 1, self.src_mac.to_bytes(6))
        about = self.src if self.is_answer else self.dst
        kind, flags = (136, 0x60000000) if self.is_answer else (135, 0)
        return struct.pack("!BBHI", kind, 0, 0, flags) + about.packed + option


def group_mac(address: IPAddress) -> int | None:
    """Return the MAC that frames to the multicast or broadcast *address* have; None if it is neither.

    >>> hex(group_mac(IPv4Address("224.0.0.251"))), hex(group_mac(IPv6Address("ff02::1")))
    ('0x1005e0000fb', '0x333300000001')
    """
    if address == IPv4Address("255.255.255.255"):
        return BROADCAST
    if not address.is_multicast:
        return None
    if isinstance(address, IPv4Address):
        return 0x01005E000000 | int(address) & 0x7FFFFF
    return 0x333300000000 | int(address) & 0xFFFFFFFF


def solicited(address: IPv6Address) -> IPv6Address:
    """Return the group to which a neighbour solicitation about *address* is sent (RFC 4291 section 2.7.1).

    >>> solicited(IPv6Address("2001:db8::1"))
    IPv6Address('ff02::1:ff00:1')
    """
    return IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | int(address) & 0xFFFFFF)


def is_group(mac: int) -> bool:
    """Return whether *mac* is a group's, broadcast included."""
    return bool(mac & _GROUP)


def tags(frame: bytes) -> tuple[int, ...]:
    """Return the VLAN ids of the tags of *frame*, the outer one first."""
    found: list[int] = []
    while (at := 12 + 4 * len(found)) + 4 <= len(frame):
        tpid, tci = struct.unpack_from("!HH", frame, at)
        if tpid not in _TPIDS:
            break
        found.append(tci & 0xFFF)
    return tuple(found)


def retagged(frame: bytes, vlan_ids: tuple[int, ...]) -> bytes:
    """Return *frame* with these tags in place of those that it has.

    >>> retagged(bytes(12) + b"\\x08\\x00", (101,)).hex()[24:]
    '810000650800'
    """
    written = b"".join(struct.pack("!HH", 0x8100, vlan_id) for vlan_id in vlan_ids)
    return frame[:12] + written + frame[12 + 4 * len(tags(frame)) :]


def source_words(frame: bytes) -> str:
    """Return the MAC that *frame* is from, and the address if it has one, as MAC,IP.

    A probe of duplicate address detection (RFC 4862) is from nobody: its address is the one that it is about.

    >>> source_words(Sample(Kind.BARE, 0x020000000001, BROADCAST).encode())
    '02:00:00:00:00:01'
    """
    frame = retagged(frame, ())
    at, count = {ETH_ARP: (28, 4), ETH_IPV4: (26, 4), ETH_IPV6: (22, 16)}.get(
        int.from_bytes(frame[12:14]), (0, 0)
    )
    mac, address = mac_text(int.from_bytes(frame[6:12])), frame[at : at + count]
    is_probe = count == 16 and len(frame) >= 78 and not any(address)
    if is_probe and frame[20] == IP_ICMPV6 and frame[54] == ICMPV6_NEIGHBOUR_SOLICITATION:
        address = frame[62:78]
    return f"{mac},{ip_address(address)}" if address and len(address) == count else mac


def _ipv4(src: IPAddress, dst: IPAddress, protocol: int, upper: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(upper), 0, 0, 64, protocol, 0) + src.packed + dst.packed
    return _with_sum(head, 10, head) + upper


def _ipv6(src: IPAddress, dst: IPAddress, protocol: int, upper: bytes) -> bytes:
    # Neighbour discovery is believed only with this hop limit (RFC 4861 section 7.1).
    return struct.pack("!IHBB", 6 << 28, len(upper), protocol, 255) + src.packed + dst.packed + upper


def _summed(src: IPAddress, dst: IPAddress, protocol: int, upper: bytes, at: int) -> bytes:
    """Return *upper* with its checksum, over a pseudo-header too (RFC 9293, RFC 768, RFC 8200), at *at*."""
    pseudo = src.packed + dst.packed + struct.pack("!II", len(upper), protocol)
    return _with_sum(upper, at, pseudo + upper)


def _with_sum(packet: bytes, at: int, summed: bytes) -> bytes:
    """Return *packet* with the checksum of *summed* (RFC 1071) at *at*, where it has zeros."""
    data = summed + b"\0" * (len(summed) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return packet[:at] + struct.pack("!H", ~total & 0xFFFF) + packet[at + 2 :]


def _discover(mac: int) -> bytes:
    """Return a DHCP discovery (RFC 2131 section 4.4.1)."""
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x7472756E, 0, 0x8000) + bytes(16)
    return head + mac.to_bytes(6) + bytes(10 + 192) + bytes.fromhex("63825363350101ff")
