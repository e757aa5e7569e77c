"""What a trace is asked for, as a frame: whatever is left open is what the sender would really send."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from trunkline.core.address import mac_text
from trunkline.core.error import InvalidValueError
from trunkline.core.frame import link_local
from trunkline.core.model import IPAddress
from trunkline.path import endpoint
from trunkline.path.endpoint import End, Source, Target
from trunkline.path.outcome import Outcome
from trunkline.path.probed import ago
from trunkline.path.sample import BROADCAST, MOST_BYTES, Kind, Sample, group_mac, solicited
from trunkline.path.trace import Trace, trace
from trunkline.probe.duplicate import kept
from trunkline.probe.record import of_row
from trunkline.probe.row import of_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.path.trace import Ask
    from trunkline.probe.duplicate import Kept
    from trunkline.probe.record import Records

_STRANGER_MAC = 0x02_54_52_00_00_01
"""The sender of a frame from a physical network: locally administered, and of no port."""

_SOMEBODY: dict[int, IPAddress] = {4: IPv4Address("192.0.2.254"), 6: IPv6Address("2001:db8::fe")}
"""The address of somebody whose address is not known: for documentation (RFC 5737, RFC 3849)."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; *kind* names a `Kind`, None for what goes without saying."""

    source: str
    target: str | None
    kind: str | None = None
    port: int = 0
    vlan_id: int | None = None
    size: int | None = None
    frame: str | None = None
    is_raw: bool = False


def traced(nb: Northbound, wanted: Wanted, ask: Ask, *, both: bool = False) -> list[Trace]:
    """Return the way that is asked for and, for *both*, that of the answer.

    Raises:
        NotFoundError: there is no such port or physical network.
        UnboundError: the sender has no VIF.
        InvalidValueError: there is no such frame.
    """
    here = endpoint.source(nb, wanted.source, wanted.vlan_id)
    row = of_network(nb, here.wire.name)
    probe = () if row is None else of_row(row)
    duplicates = () if row is None else kept(row)
    if wanted.frame is not None:
        frame = _bytes(wanted.frame)
        to = endpoint.target(nb, wanted.target or mac_text(int.from_bytes(frame[:6])), here)
        title = f"{len(frame)} bytes as given"
        used = list(_used_elsewhere(here, to, duplicates))
        return [trace(here, to, frame, title, ask, probe=probe, is_raw=wanted.is_raw, notes=used)]
    to = endpoint.target(nb, wanted.target or mac_text(BROADCAST), here)
    if here.port is not None and here.port in to.ends and not to.is_group:
        raise InvalidValueError("what a port sends to itself does not leave the VM; name another target")
    if to.stranger is not None:
        return [_strange(here, to, wanted, probe)]
    sample = _sample(here, to, wanted)
    notes = [(note, None) for note in _stand_in(here.port, sample)]
    if to.is_unknown and to.address is not None:
        what = "ARP request" if to.address.version == 4 else "neighbour solicitation"
        note = (
            f"no port has the address {to.address}, so this is where the {what} goes that asks for it; "
            "whether anybody answers is not known"
        )
        notes.append((note, None))
    said = [*notes, *_used_elsewhere(here, to, duplicates)]
    ways = [_way(here, to, sample, ask, probe, wanted, said)]
    if both:
        ways.append(_back(nb, here, to, sample, ask, probe, wanted))
    return ways


def _way(
    here: Source,
    to: Target,
    sample: Sample,
    ask: Ask,
    probe: Records,
    wanted: Wanted,
    notes: Sequence[tuple[str, str | None]] = (),
) -> Trace:
    title = words(sample, here)
    return trace(here, to, sample.encode(), title, ask, probe=probe, is_raw=wanted.is_raw, notes=notes)


def _back(
    nb: Northbound,
    here: Source,
    to: Target,
    sample: Sample,
    ask: Ask,
    probe: Records,
    wanted: Wanted,
) -> Trace:
    """Return the way of the answer to *sample*: from its receiver, who has to be one port."""
    if to.is_unknown:
        what = to.address or mac_text(to.mac)
        raise InvalidValueError(
            f"no port has {what}, so nobody knows from where its answer comes; ask for the way there alone"
        )
    if len(to.ends) != 1 or to.is_group:
        raise InvalidValueError("only one port can answer; name one as the target, or ask for one way")
    answerer = to.ends[0]
    there = endpoint.source(nb, answerer.name, None)
    sender = () if here.port is None else (here.port,)
    # The question may have been for everybody.
    answer = replace(sample.answered(), src_mac=answerer.mac)
    return _way(there, Target(sample.src_mac, sender), answer, ask, probe, wanted)


def _used_elsewhere(here: Source, to: Target, duplicates: Iterable[Kept]) -> Iterator[tuple[str, str | None]]:
    """Yield that somebody else uses an address of the sender, or of whom the frame is for, and what to do."""
    ends = {end.name: end for end in (here.port, *(() if to.is_group else to.ends)) if end is not None}
    for each in duplicates:
        end = ends.get(each.port)
        if end is not None and each.is_of(end.chassis, end.addresses):
            yield (
                f"but a probe of addresses, {ago(each.age_s)}, found: {each.text}: {each.mac}",
                each.what_to_do,
            )


def _strange(here: Source, to: Target, wanted: Wanted, records: Records) -> Trace:
    """Return that no frame goes to a port of another network, or that the physical network carries some.

    A probe has found that, by *records*.
    """
    name = here.port.name if here.port is not None else here.wire.physnet
    text = (
        f"{wanted.target} is in network {to.stranger}, {name} in {here.wire.name}: no frame crosses networks"
    )
    found = Trace("")
    joined = next(
        (
            (record, wrong)
            for record in records
            for wrong in record.wrong
            if {here.wire.name, to.stranger} <= set(wrong.networks)
        ),
        None,
    )
    if joined is not None:
        record, wrong = joined
        text = (
            f"{wanted.target} is in network {to.stranger}, {name} in {here.wire.name}: no chassis carries "
            "frames from one to the other, but the physical network may: a probe, "
            f"{ago(record.age_s())}, found: {wrong.text}"
        )
        remedy = f"{wrong.remedy}; then probe again: {wrong.again}"
        found.outcomes = [Outcome(str(wanted.target), None, None, text, remedy)]
        return found
    found.outcomes = [
        Outcome(
            str(wanted.target),
            None,
            False,
            text,
            "put both into one network, or let a router connect them",
            (4,),
        )
    ]
    return found


def words(sample: Sample, here: Source) -> str:
    """Return *sample* in words."""
    who = here.port.name if here.port is not None else f"somebody on {here.wire}"
    addresses = (
        f" {sample.src} → {sample.dst}," if sample.src is not None and sample.kind is not Kind.BARE else ""
    )
    what = sample.kind.value
    if sample.kind is Kind.ARP and isinstance(sample.dst, IPv6Address):
        what = "neighbour discovery"
    number = f" {sample.port}" if sample.port else ""
    answer = " answer" if sample.is_answer else ""
    return (
        f"{who} sends {what}{number}{answer}{addresses} "
        f"{mac_text(sample.src_mac)} → {mac_text(sample.dst_mac)}"
    )


def _sample(here: Source, to: Target, wanted: Wanted) -> Sample:
    """Return the frame of *wanted*, with what it leaves open."""
    port = here.port
    src_mac = _STRANGER_MAC if port is None else port.mac
    tag = wanted.vlan_id if port is not None else here.wire.vlan_id
    if port is not None and port.tag is not None:
        tag = port.tag
    version = _version(port, to, wanted)
    src = _address(_own(port), version)
    kind = _kind(to, wanted)
    port_number = wanted.port if kind in (Kind.TCP, Kind.UDP) else 0
    sample = Sample(kind, src_mac, to.mac, src, None, port_number, wanted.size, tag)
    if kind is Kind.DHCP:
        return replace(sample, dst_mac=BROADCAST, src=IPv4Address(0), dst=IPv4Address("255.255.255.255"))
    if kind is Kind.BARE:
        return replace(sample, src=None)
    dst = to.address or (_address(to.ends[0].addresses, version) if not to.is_group and to.ends else None)
    if dst is None:
        dst = _group_address(to.mac, version) or _SOMEBODY[version]
    if kind is Kind.ARP and isinstance(dst, IPv6Address):
        return replace(sample, dst=dst, dst_mac=group_mac(solicited(dst)) or BROADCAST)
    # A VM asks everybody where an address is.
    is_asking = kind is Kind.ARP and not to.is_group and (wanted.target or "") != mac_text(to.mac)
    return replace(sample, dst=dst, dst_mac=BROADCAST if is_asking else to.mac)


def _kind(to: Target, wanted: Wanted) -> Kind:
    if wanted.kind is not None:
        chosen = Kind[wanted.kind]
        return Kind.ARP if to.is_unknown and to.address is not None and chosen is not Kind.DHCP else chosen
    if to.is_unknown and to.address is not None:
        return Kind.ARP
    if to.mac == BROADCAST:
        return Kind.ARP
    if to.is_group and _group_address(to.mac, 4) is None and _group_address(to.mac, 6) is None:
        return Kind.BARE
    return Kind.ICMP


def _version(port: End | None, to: Target, wanted: Wanted) -> int:
    """Return the version of IP that the frame has: one that both have, IPv4 rather."""
    if to.address is not None and not (to.ends and to.address == endpoint.first(to.ends[0].addresses)):
        return to.address.version
    if _group_address(to.mac, 6) is not None:
        return 6
    theirs = {each.version for end in to.ends[:1] for each in end.addresses} or {4, 6}
    ours = {each.version for each in port.addresses} if port is not None and port.addresses else {4, 6}
    return min(theirs & ours or theirs)


def _own(port: End | None) -> tuple[IPAddress, ...]:
    """Return the addresses that *port* has, and the one that it has by its MAC."""
    return () if port is None else (*port.addresses, link_local(port.mac))


def _stand_in(port: End | None, sample: Sample) -> Iterator[str]:
    """Yield that *port*, which has addresses, has none of the version of *sample*, if so."""
    if port is not None and port.addresses and sample.src is not None and sample.src in _SOMEBODY.values():
        yield f"{port.name} has no IPv{sample.src.version} address; {sample.src} stands for one"


def _address(addresses: tuple[IPAddress, ...], version: int) -> IPAddress:
    return next((each for each in addresses if each.version == version), _SOMEBODY[version])


def _group_address(mac: int, version: int) -> IPAddress | None:
    """Return an address whose frames go to the group *mac*; None if there is none."""
    if version == 4 and mac >> 23 == 0x01005E000000 >> 23:
        return IPv4Address(0xE0000000 | mac & 0x7FFFFF)
    if version == 6 and mac >> 32 == 0x3333:
        return IPv6Address(0xFF020000_00000000_00000000_00000000 | mac & 0xFFFFFFFF)
    return None


def _bytes(text: str) -> bytes:
    """Return the frame that *text* is in hex digits."""
    try:
        found = bytes.fromhex(text.removeprefix("0x").replace(":", ""))
    except ValueError:
        raise InvalidValueError(
            f"{text[:40]!r} is not a frame in hex digits; copy it from a capture"
        ) from None
    if not 14 <= len(found) <= MOST_BYTES:
        raise InvalidValueError(f"a frame has 14 to {MOST_BYTES} bytes, not {len(found)}")
    return found
