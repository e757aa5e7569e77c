"""MAC addresses, IP addresses and allowed address pairs: from text, and back to their one spelling.

The northbound holds every address as these functions write it. So equal addresses are equal text, and the
database's own indexes find duplicates.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING

from trunkline.core.error import InvalidValueError

if TYPE_CHECKING:
    from trunkline.core.model import IPAddress, IPPrefix

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}", re.IGNORECASE | re.ASCII)

_UNICAST_MAC_TEXT = re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}")
_ZERO_MAC_TEXT = "00:00:00:00:00:00"

_GROUP_BIT = 1 << 40


def _ranges(*prefixes: tuple[str, str]) -> tuple[tuple[int, int, str], ...]:
    networks = ((ip_network(prefix), what) for prefix, what in prefixes)
    return tuple((int(network[0]), int(network[-1]), what) for network, what in networks)


_NO_STATIONS_IPV4 = _ranges(
    ("0.0.0.0/8", 'an address of "this host"'),
    ("127.0.0.0/8", "a loopback address"),
    ("224.0.0.0/4", "a multicast address"),
    ("255.255.255.255/32", "the broadcast address"),
)
_NO_STATIONS_IPV6 = _ranges(
    ("::/128", "the unspecified address"),
    ("::1/128", "the loopback address"),
    ("::/96", "an IPv4 address written as IPv6"),
    ("::ffff:0:0/96", "an IPv4 address written as IPv6"),
    ("ff00::/8", "a multicast address"),
)
"""The ranges of addresses that no station can have: first address, last address, what they are (RFC 6890, and
RFC 4291 section 2.5.5).

240.0.0.0/4 is not among them: Linux accepts it, and some sites use it.
"""


class AddressError(InvalidValueError):
    """A text that is not a valid address."""


def parse_mac(text: str) -> int:
    """Return the 48-bit MAC address *text*: six pairs of hex digits, with colons or dashes.

    Raises:
        AddressError: *text* is not a MAC address.

    >>> hex(parse_mac("02-00-00-00-00-0A"))
    '0x2000000000a'
    """
    if not _MAC.fullmatch(text):
        raise AddressError(f"{text!r} is not a MAC address; write it as 02:00:00:00:00:01")
    return int(text.replace(":", "").replace("-", ""), 16)


def parse_port_mac(text: str) -> int:
    """Return the MAC address *text*, which a station must be able to have: neither multicast nor all zero.

    Raises:
        AddressError: *text* is not a MAC address, or no station can have it (IEEE 802-2014 section 8.2).
    """
    mac = parse_mac(text)
    if not mac:
        raise AddressError(f"{mac_text(mac)} is all zero, which no port can have; give another MAC")
    if mac & _GROUP_BIT:
        raise AddressError(
            f"{mac_text(mac)} is a multicast MAC, which no port can have; its first octet must be even"
        )
    return mac


def port_mac_text(text: str) -> str:
    """Return the MAC address *text* as the northbound writes it; raises as `parse_port_mac` does.

    >>> port_mac_text("02:00:00:00:00:0a"), port_mac_text("02-00-00-00-00-0A")
    ('02:00:00:00:00:0a', '02:00:00:00:00:0a')
    """
    is_written_so = _UNICAST_MAC_TEXT.fullmatch(text) and text != _ZERO_MAC_TEXT
    return text if is_written_so else mac_text(parse_port_mac(text))


def mac_text(mac: int) -> str:
    """Return *mac* as the northbound writes it: lower case, with colons.

    >>> mac_text(0x02000000000A)
    '02:00:00:00:00:0a'
    """
    return mac.to_bytes(6, "big").hex(":")


def parse_ip(text: str) -> IPAddress:
    """Return the IPv4 or IPv6 address *text*, which a station must be able to have.

    Raises:
        AddressError: *text* is not an address, has a zone or a prefix length, or no station can have it.

    >>> parse_ip("2001:db8:0::1")
    IPv6Address('2001:db8::1')
    """
    try:
        address = _ip_address(text)
    except ValueError:
        raise AddressError(f"{text!r} is not an IP address; write it as 192.0.2.1 or 2001:db8::1") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise AddressError(f"{text!r} has a zone; leave out everything from '%' on")
    value = int(address)
    _check_station(address, value, value)
    return address


_USUAL_OCTETS = frozenset(range(256)).difference(
    octet for low, high, _ in _NO_STATIONS_IPV4 for octet in range(low >> 24, (high >> 24) + 1)
)
"""With these an IPv4 address begins that a station can have, whatever follows."""


def ip_text(text: str) -> str:
    """Return the address *text* as the northbound writes it; raises as `parse_ip` does.

    >>> ip_text("192.0.2.1"), ip_text("2001:DB8::0:1")
    ('192.0.2.1', '2001:db8::1')
    """
    try:
        packed = inet_pton(AF_INET, text)
    except (OSError, ValueError):
        return str(parse_ip(text))
    # inet_pton(3) takes an IPv4 address in one spelling only, which is that of the northbound.
    return text if packed[0] in _USUAL_OCTETS else str(parse_ip(text))


def _check_station(given: IPAddress | IPPrefix, first: int, last: int) -> None:
    """Raise AddressError if no station can have an address of *given*: from *first* to *last*."""
    is_ipv4 = isinstance(given, IPv4Address | IPv4Network)
    for low, high, what in _NO_STATIONS_IPV4 if is_ipv4 else _NO_STATIONS_IPV6:
        if low <= first and last <= high:
            text = prefix_text(given) if isinstance(given, IPv4Network | IPv6Network) else str(given)
            raise AddressError(
                f"{text} is {what}, which no port can have; give an address that a VM can have"
            )


def _ip_address(text: str) -> IPAddress:
    """Return the same as `ipaddress.ip_address`, in a fraction of the time: a chassis reads 10,000."""
    try:
        if ":" in text:
            return IPv6Address(inet_pton(AF_INET6, text))
        return IPv4Address(inet_pton(AF_INET, text))
    except (OSError, ValueError):
        return ip_address(text)


def parse_prefix(text: str) -> IPPrefix:
    """Return the IPv4 or IPv6 prefix *text*; a single address is a prefix of full length.

    Raises:
        AddressError: *text* is not a prefix, or has bits set beyond its length.
    """
    try:
        prefix = ip_network(text, strict=False)
    except ValueError:
        raise AddressError(
            f"{text!r} is not an IP address or prefix; write it as 192.0.2.1 or 192.0.2.0/24"
        ) from None
    address = ip_address(text.partition("/")[0])
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise AddressError(f"{text!r} has a zone; leave out everything from '%' on")
    if address != prefix.network_address:
        raise AddressError(f"{text!r} has bits set beyond its length; write {prefix}")
    _check_station(prefix, int(prefix.network_address), int(prefix.broadcast_address))
    return prefix


def prefix_text(prefix: IPPrefix) -> str:
    """Return *prefix* as the northbound writes it: without a length if it is a single address.

    >>> prefix_text(ip_network("192.0.2.1/32")), prefix_text(ip_network("192.0.2.0/24"))
    ('192.0.2.1', '192.0.2.0/24')
    """
    return str(prefix.network_address if prefix.prefixlen == prefix.max_prefixlen else prefix)


def parse_allowed_pair(text: str) -> tuple[int, IPPrefix | None]:
    """Return the MAC and the prefix, if any, of the allowed address pair *text*: `MAC` or `MAC,IP-or-prefix`.

    Raises:
        AddressError: either part is invalid.

    >>> parse_allowed_pair("02:00:00:00:00:01,192.0.2.0/24")
    (2199023255553, IPv4Network('192.0.2.0/24'))
    """
    mac, comma, prefix = text.partition(",")
    return parse_port_mac(mac.strip()), parse_prefix(prefix.strip()) if comma else None


def allowed_pair_text(mac: int, prefix: IPPrefix | None) -> str:
    """Return the allowed address pair as the northbound writes it."""
    return mac_text(mac) if prefix is None else f"{mac_text(mac)},{prefix_text(prefix)}"
