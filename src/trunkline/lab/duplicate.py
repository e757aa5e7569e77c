"""A duplicate: a bare-metal host that uses what is somebody else's, because somebody told it to.

What it uses is kept in the alias of its NIC (ip-link(8)), so that any process can have it stop.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.address import mac_text, parse_ip, parse_port_mac
from trunkline.lab.machine import NIC
from trunkline.lab.namespace import ip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trunkline.core.model import IPAddress
    from trunkline.lab.namespace import Namespace

_MARK = "duplicate"
"""The first word of the alias; the host's own MAC is the second, and the rest are addresses that it took."""


class Duplicate(NamedTuple):
    """What of others a host uses: IP *addresses*, and a *mac* in place of its own."""

    addresses: tuple[IPAddress, ...] = ()
    mac: int | None = None


def duplicate(texts: Iterable[str]) -> Duplicate:
    """Return what *texts* are, each an IP address or a MAC, of which the last counts.

    Raises AddressError if one is neither, or no station can have it.

    >>> duplicate(["192.0.2.1", "2001:db8::1"]).mac, hex(duplicate(["02:00:00:00:00:01"]).mac)
    (None, '0x20000000001')
    """
    macs: list[str] = []
    rest: list[str] = []
    for text in texts:
        is_mac = "-" in text or (text.count(":") == 5 and "::" not in text)
        (macs if is_mac else rest).append(text)
    found = [parse_port_mac(text) for text in macs]
    return Duplicate(tuple(map(parse_ip, dict.fromkeys(rest))), found[-1] if found else None)


def impair(host: Namespace, wrong: Duplicate) -> None:
    """Have *host* use what *wrong* says, and nothing else of others."""
    mend(host)
    link = _link(host)
    nic = link["ifname"]
    # First what is needed to undo it. An address is taken without asking whether somebody else uses it.
    words = ",".join([_MARK, link["address"], *map(str, wrong.addresses)])
    commands = [f"link set {nic} alias {words}"]
    commands += [f"address add {each} dev {nic} nodad" for each in wrong.addresses if each.version == 6]
    commands += [f"address add {each} dev {nic}" for each in wrong.addresses if each.version == 4]
    if wrong.mac is not None:
        commands.append(f"link set {nic} address {mac_text(wrong.mac)}")
    ip(commands, host)


def mend(host: Namespace) -> None:
    """Have *host* use nothing of others."""
    link = _link(host)
    nic, (mark, *kept) = link["ifname"], link.get("ifalias", "").split(",")
    if mark == _MARK:
        own, *addresses = kept
        # Where it was interrupted, some of it is not there.
        ip([f"address del {each} dev {nic}" for each in addresses], host, force=True)
        ip([f"link set {nic} address {own}"], host)
        host.run(["ip", "link", "set", nic, "alias", ""])


def _link(host: Namespace) -> dict[str, Any]:
    """Return the interface of *host* that has its address: the last one on its NIC."""
    links: list[dict[str, Any]] = json.loads(host.run(["ip", "-j", "link", "show"]))
    return [each for each in links if each["ifname"].partition(".")[0] == NIC][-1]
