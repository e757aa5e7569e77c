"""Whether somebody else uses the addresses of ports: the chassis that hold them ask on the wire.

Who replies with the MAC of another port may be allowed to: virtual addresses (VRRP) are shared on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.address import AddressError, mac_text, parse_allowed_pair, parse_ip, parse_mac
from trunkline.core.name import natural
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import no_such
from trunkline.probe.asking import check_present, rows
from trunkline.probe.order import NO_SECRET, Order, Step
from trunkline.probe.session import Session, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from trunkline.core.model import IPAddress, IPPrefix
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row
    from trunkline.probe.matrix import ProbedNetwork

FRAMES_PER_S = 500
"""How many frames all chassis together send: each is a broadcast that reaches every machine of its VLAN."""

_PORT = ("name", "unique_key", "network", "mac", "addresses", "allowed_address_pairs")


class Wanted(NamedTuple):
    """What is asked for: the addresses of *ports*, *networks* or *chassis* by name; all if none is named."""

    networks: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    chassis: tuple[str, ...] = ()
    timeout_s: float = 20.0


class Use(StrEnum):
    """Who uses an address of a port, too.

    ADDRESS: somebody with another MAC. MACHINE: somebody who has also the port's MAC.
    """

    ADDRESS = "address"
    MACHINE = "machine"


class Duplicate(NamedTuple):
    """Somebody, with *mac*, uses *address* of *port* on *chassis*, too; *owner* is a port with that MAC."""

    use: Use
    network: ProbedNetwork
    port: str
    chassis: str
    address: IPAddress
    mac: int
    owner: str | None = None

    @property
    def text(self) -> str:
        """What is wrong, in words."""
        if self.use is Use.MACHINE:
            return f"{self.address} of {self.port}: another machine on {_wire(self.network)} has its MAC, too"
        who = f"port {self.owner}" if self.owner is not None else "a machine"
        return f"{self.address} of {self.port}: {who} on {_wire(self.network)} uses it, too"

    @property
    def remedy(self) -> str:
        """What to do."""
        if self.owner is not None:
            return (
                f"take {self.address} off the VM of {self.owner}, or let both have it: trunkline port set "
                f"{quote(self.owner)} `allowed_address_pairs={mac_text(self.mac)},{self.address}`, next to "
                "its other pairs"
            )
        find = (
            f"look in the physical switches for where {mac_text(self.mac)} is learnt (on most: show mac "
            "address-table); at that machine, "
        )
        change = f"trunkline port set {quote(self.port)}"
        if self.use is Use.MACHINE:
            return f"{find}change MAC and address, or those of {self.port}: {change} `mac=MAC` `addresses=IP`"
        return f"{find}take {self.address} off, or give {self.port} another one: {change} `addresses=IP`"

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "use": str(self.use),
            "network": self.network.name,
            "physnet": self.network.physnet,
            "vlan": self.network.vlan_id,
            "port": self.port,
            "chassis": self.chassis,
            "address": str(self.address),
            "mac": mac_text(self.mac),
            "owner": self.owner,
            "text": self.text,
            "remedy": self.remedy,
        }


class Asked(NamedTuple):
    """What came of it: how many addresses were *asked* for, and which of them somebody else uses.

    *networks* are those that were looked at. *unasked* is how many addresses there was no time for, on the
    chassis that are *late*; the rest is as in `trunkline.probe.asking.Probed`.
    """

    session: str
    networks: tuple[ProbedNetwork, ...]
    asked: int
    unasked: int
    duplicates: tuple[Duplicate, ...]
    silent: Mapping[str, str]
    off: Mapping[str, str]
    flooded: frozenset[str]
    late: frozenset[str]
    frames: int
    took_s: float

    @property
    def unsure(self) -> frozenset[str]:
        """The chassis that have not asked for all their addresses, or have not heard all replies."""
        return frozenset(self.silent) | frozenset(self.off) | self.flooded | self.late

    @property
    def is_whole(self) -> bool:
        """Whether all chassis that take part have asked for all, and heard all replies."""
        return not (self.late or self.silent or self.flooded)


class Reply(NamedTuple):
    """Somebody with *mac* has told *chassis* that it uses the *address* of the port with that key."""

    port_key: int
    chassis: str
    address: IPAddress
    mac: int


def asked(nb: Northbound, wanted: Wanted, say: Callable[[str], None] = lambda _text: None) -> Asked:
    """Have the chassis ask who uses the addresses of their ports, and return who does; *say* is told of it.

    Raises as `trunkline.probe.asking.probed` does, NotFoundError also if one of the ports is not there.
    """
    networks, names = rows(nb, wanted.networks, wanted.chassis)
    ports = [_port(nb, name) for name in wanted.ports]
    if ports:
        of_ports = {row["network"] for row in ports}
        (found,) = nb.read(select("Network", only=("_uuid", "unique_key")))
        keys = {row["unique_key"] for row in found if row["_uuid"] in of_ports}
        networks = [network for network in networks if network.key in keys]
    order = Order(
        Step.OPEN,
        NO_SECRET,
        networks=frozenset(network.key for network in networks) if wanted.networks or ports else None,
        is_for_addresses=True,
        ports=frozenset(row["unique_key"] for row in ports) if ports else None,
    )
    with session(nb, sorted(set(wanted.chassis or names)), order, wanted.timeout_s, say) as led:
        say("asking for the addresses of ports")
        check_present(led, wanted.chassis)
        led.settled(Step.ADDRESSES, rate=max(FRAMES_PER_S // max(len(led.names), 1), 1))
        here = frozenset(key for keys in led.keys_by_chassis.values() for key in keys)
        return _asked(nb, led, tuple(network for network in networks if network.key in here))


def _port(nb: Northbound, name: str) -> Row:
    (found,) = nb.read(select("Port", ("name", "==", name), only=("unique_key", "network")))
    if not found:
        raise no_such("Port", name)
    return found[0]


def _asked(nb: Northbound, led: Session, networks: tuple[ProbedNetwork, ...]) -> Asked:
    replies: list[Reply] = []
    late: set[str] = set()
    counts = {"asked": 0, "unasked": 0, "sent": 0}
    for name, body in led.ask(Step.REPORT).items():
        try:
            replies += list(_replies(name, body))
            counts = {key: count + int(body[key]) for key, count in counts.items()}
            late |= {name} if body["unasked"] else set()
        except (AddressError, KeyError, TypeError, ValueError, AttributeError) as error:
            led.leave(name, f"its answer cannot be read: {error}")
    return Asked(
        led.id,
        networks,
        counts["asked"],
        counts["unasked"],
        tuple(sorted(_duplicates(nb, replies, networks), key=_place)) if replies else (),
        led.silent,
        led.off,
        frozenset(led.flooded),
        frozenset(late),
        counts["sent"],
        led.took_s,
    )


def _place(found: Duplicate) -> tuple[Any, ...]:
    return (
        found.network.physnet,
        found.network.vlan_id or 0,
        natural(found.port),
        str(found.address),
        found.mac,
    )


def _replies(chassis: str, body: Mapping[str, Any]) -> Iterator[Reply]:
    for key, address, mac in body["replies"]:
        yield Reply(int(key), chassis, parse_ip(address), parse_mac(mac))


def _duplicates(
    nb: Northbound, replies: Iterable[Reply], networks: Iterable[ProbedNetwork]
) -> Iterator[Duplicate]:
    """Yield which of the *replies* are of somebody who should not use the address."""
    network_rows, ports = nb.read(select("Network", only=("_uuid", "unique_key")), select("Port", only=_PORT))
    key_by_uuid = {row["_uuid"]: row["unique_key"] for row in network_rows}
    by_key = {network.key: network for network in networks}
    port_by_key = {row["unique_key"]: row for row in ports}
    of_network: dict[str, list[Row]] = defaultdict(list)
    for row in ports:
        of_network[row["network"]].append(row)
    for reply in sorted(replies):
        port = port_by_key.get(reply.port_key)
        network = None if port is None else by_key.get(key_by_uuid.get(port["network"], 0))
        # It may have been deleted meanwhile.
        if port is None or network is None:
            continue
        found = duplicate(reply, network, port, of_network[port["network"]])
        if found is not None:
            yield found


def duplicate(reply: Reply, network: ProbedNetwork, port: Row, ports: Iterable[Row]) -> Duplicate | None:
    """Return what is wrong if *reply* came for an address of *port*; None if another port may say so.

    *ports* are all of its *network*. The VM of *port* itself did not hear the question.
    """
    mac = mac_text(reply.mac)
    what = (network, port["name"], reply.chassis, reply.address, reply.mac)
    if port["mac"] == mac:
        return Duplicate(Use.MACHINE, *what)
    owner = None
    for row in ports:
        if row["name"] == port["name"]:
            continue
        if row["mac"] == mac:
            owner = row["name"]
        if _may_use(row, mac, reply.address):
            return None
    return Duplicate(Use.ADDRESS, *what, owner)


def _may_use(row: Row, mac: str, address: IPAddress) -> bool:
    """Return whether the port that is *row* may say that *address* is that of *mac*."""
    if row["mac"] == mac and str(address) in row["addresses"]:
        return True
    prefixes = (_prefix(text) for text in row["allowed_address_pairs"] if text.startswith(mac))
    return any(
        prefix is not None and prefix.version == address.version and address in prefix for prefix in prefixes
    )


def _prefix(pair: str) -> IPPrefix | None:
    try:
        return parse_allowed_pair(pair)[1]
    except AddressError:
        # Another program has written it, and no chassis lets it pass.
        return None


def _wire(network: ProbedNetwork) -> str:
    return network.physnet if network.vlan_id is None else f"VLAN {network.vlan_id} of {network.physnet}"
