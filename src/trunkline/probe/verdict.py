"""The verdict of a probe: what is wrong with the physical networks, in words, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from trunkline.probe.matrix import Cell, Matrix, ProbedNetwork, State


class Fault(StrEnum):
    """What can be wrong."""

    LOST = "lost"
    ONE_WAY = "one way"
    ISLANDS = "islands"
    SIZE = "size"
    JOINED = "joined"
    LOOP = "loop"


class Verdict(NamedTuple):
    """One thing that is wrong: with *network*, at *chassis*, if it is at one; and what to do."""

    fault: Fault
    network: ProbedNetwork
    chassis: tuple[str, ...]
    text: str
    remedy: str

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "fault": str(self.fault),
            "network": self.network.name,
            "physnet": self.network.physnet,
            "vlan": self.network.vlan_id,
            "chassis": list(self.chassis),
            "text": self.text,
            "remedy": self.remedy,
        }


def on_wire(network: ProbedNetwork) -> str:
    """Return what *network* is on its physical network, in words."""
    return "untagged frames" if network.vlan_id is None else f"VLAN {network.vlan_id}"


def _is(network: ProbedNetwork) -> str:
    return "are" if network.vlan_id is None else "is"


def verdicts(matrix: Matrix) -> list[Verdict]:
    """Return all that is wrong, by network."""
    found: list[Verdict] = []
    for network in matrix.networks:
        cells = list(matrix.cells(network))
        found += _lost(matrix, network, cells)
        found += _sizes(network, cells)
    strays = list(_strays(matrix))
    # What is lost where VLANs are mixed up needs no remedy of its own.
    joined = {(each.network, each.chassis[-1]): each.remedy for each in strays if each.fault is Fault.JOINED}
    found = [
        each._replace(remedy=joined.get((each.network, each.chassis[-1]), each.remedy)) for each in found
    ]
    return found + strays


def _lost(matrix: Matrix, network: ProbedNetwork, cells: list[Cell]) -> Iterator[Verdict]:
    """Yield what is wrong with who reaches whom in *network*."""
    islands = matrix.islands(network)
    if len(islands) < 2:
        yield from _odd_pairs(network, cells)
        return
    main, *others = islands
    if len(islands) == 2 and len(main) == 1:
        yield from _odd_pairs(network, cells) if _is_one_way(cells) else [_apart(network, *main, *others[0])]
        return
    apart = [island for island in others if len(island) > 1]
    passed = {(cell.sender, cell.receiver) for cell in cells if cell.state is State.OK}
    if apart or len(main) == 1:
        groups = [island for island in islands if len(island) > 1] or islands
        yield Verdict(
            Fault.ISLANDS,
            network,
            tuple(sorted(name for island in groups for name in island)),
            f"{_some_groups(groups)} do not reach one another; each reaches its own. Separate on purpose?",
            f"carry {on_wire(network)} of {network.physnet} between the switches of {groups[0][0]} and "
            f"{groups[1][0]}",
        )
    for island in others:
        if len(island) > 1 or len(main) == 1:
            continue
        (alone,) = island
        hears = any(receiver == alone for _, receiver in passed)
        is_heard = any(sender == alone for sender, _ in passed)
        yield _alone(matrix, network, alone, hears=hears, is_heard=is_heard)


def _is_one_way(cells: list[Cell]) -> bool:
    return any(cell.state is State.OK for cell in cells)


def _apart(network: ProbedNetwork, one: str, other: str) -> Verdict:
    """Return that the only two chassis of *network* do not reach one another."""
    wire = on_wire(network)
    return Verdict(
        Fault.LOST,
        network,
        (one, other),
        f"{one} and {other} do not reach one another",
        f"allow {wire} on the switch ports of {one} and {other}, and between these",
    )


def _alone(matrix: Matrix, network: ProbedNetwork, chassis: str, *, hears: bool, is_heard: bool) -> Verdict:
    wire = on_wire(network)
    if hears or is_heard:
        way = "hears, is not heard" if hears else "is heard, hears nothing"
        direction = "from" if hears else "to"
        return Verdict(
            Fault.ONE_WAY,
            network,
            (chassis,),
            f"{chassis} {way}: one direction is lost",
            f"look at the switch port of {chassis}: {wire} {_is(network)} lost in the direction {direction} "
            "the chassis (an access list, a broken fibre, a port that only mirrors)",
        )
    works = [
        each.name
        for each in matrix.networks
        if each.physnet == network.physnet
        and chassis in matrix.members[each.key]
        and any(len(island) > 1 and chassis in island for island in matrix.islands(each))
    ]
    also = f"; its {works[0]} works" if works else ""
    remedy = (
        f"allow {wire} on the switch port of {chassis}"
        if works and network.vlan_id is not None
        else f"look at the NIC and the switch port of {chassis}: does it carry {wire}?"
    )
    return Verdict(
        Fault.LOST, network, (chassis,), f"{chassis} alone: hears nothing, is not heard{also}", remedy
    )


def _odd_pairs(network: ProbedNetwork, cells: list[Cell]) -> Iterator[Verdict]:
    """Yield the directions that are lost although all reach one another by others."""
    lost = [cell for cell in cells if cell.state is State.LOST]
    by_sender: dict[str, list[str]] = defaultdict(list)
    for cell in lost:
        by_sender[cell.sender].append(cell.receiver)
    for sender, receivers in sorted(by_sender.items()):
        yield Verdict(
            Fault.ONE_WAY,
            network,
            (sender, *receivers),
            f"what {sender} sends does not reach {_some(receivers)}",
            f"look at the switches between {sender} and {receivers[0]}: {on_wire(network)} {_is(network)} "
            "lost in that direction",
        )


def _sizes(network: ProbedNetwork, cells: list[Cell]) -> Iterator[Verdict]:
    """Yield who loses large frames in *network*, by the largest that passes."""
    small = {
        (cell.sender, cell.receiver): cell.mtu for cell in cells if (cell.mtu or network.mtu) < network.mtu
    }
    pairs_of: dict[str, set[str]] = defaultdict(set)
    for sender, receiver in small:
        pairs_of[sender].add(receiver)
        pairs_of[receiver].add(sender)
    named: set[frozenset[str]] = set()
    # Whoever is in most of the pairs is where it happens.
    for chassis in sorted(pairs_of, key=lambda name: (-len(pairs_of[name]), name)):
        pairs = {frozenset((chassis, other)) for other in pairs_of[chassis]} - named
        if not pairs:
            continue
        named |= pairs
        others = sorted(name for pair in pairs for name in pair if name != chassis)
        both = {(sender == chassis) for sender, receiver in small if frozenset((sender, receiver)) in pairs}
        most = min(mtu for pair, mtu in small.items() if frozenset(pair) in pairs and mtu is not None)
        way = "in both directions" if len(both) == 2 else "that it sends" if both == {True} else "sent to it"
        is_pair = len(pairs_of[chassis]) == 1
        who = f"{chassis} and {others[0]}" if is_pair else chassis
        lost = f"packets over {most} bytes are lost {way}"
        yield Verdict(
            Fault.SIZE,
            network,
            (chassis, *others),
            f"between {who}: {lost}; the network has {network.mtu}"
            if is_pair
            else f"{chassis}: {lost} ({_some(others)}); the network has {network.mtu}",
            f"set the MTU of the switch port and NIC of {who} to {network.mtu} or more, or lower that of the "
            f"networks (`mtu={most}`)",
        )


def _strays(matrix: Matrix) -> Iterator[Verdict]:
    """Yield the networks that are joined, and those with a loop."""
    by_key = {network.key: network for network in matrix.networks}
    by_wire = {(network.physnet, network.vlan_id): network for network in matrix.networks}
    seen: set[tuple[object, ...]] = set()
    strays = [
        (matrix.chassis_by_id[stray.member], receiver, stray)
        for receiver, said in sorted(matrix.heard.items())
        for stray in said.strays
        if stray.member in matrix.chassis_by_id and stray.network_key in by_key
    ]
    # Two chassis say more of the place than one that hears itself.
    for sender, receiver, (key, _, physnet, vlan_id) in sorted(strays, key=lambda each: each[0] == each[1]):
        network = by_key[key]
        if (network.physnet, network.vlan_id) == (physnet, vlan_id):
            # Another one that hears it has no port of the network: uplinks carry all VLANs.
            if receiver == sender and (key, sender) not in seen:
                seen.add((key, sender))
                yield _loop(network, sender)
            continue
        pair = (key, physnet, vlan_id)
        if pair not in seen:
            seen.add(pair)
            yield _joined(network, sender, receiver, physnet, vlan_id, by_wire.get((physnet, vlan_id)))


def _loop(network: ProbedNetwork, chassis: str) -> Verdict:
    return Verdict(
        Fault.LOOP,
        network,
        (chassis,),
        f"what {chassis} sends comes back to it",
        f"look for a loop in {on_wire(network)} of {network.physnet}: a spanning tree that is off, or a bond "
        "whose switch ports are not bundled",
    )


def _joined(
    network: ProbedNetwork,
    sender: str,
    receiver: str,
    physnet: str,
    vlan_id: int | None,
    other: ProbedNetwork | None,
) -> Verdict:
    tag = "untagged" if vlan_id is None else str(vlan_id)
    sent = "untagged" if network.vlan_id is None else str(network.vlan_id)
    there = f"in {other.name} ({tag})" if other is not None else f"as {tag}"
    place = "" if physnet == network.physnet else f" on {physnet}"
    is_native = None in (vlan_id, network.vlan_id)
    cause = "a native VLAN mismatch" if is_native else "a switch that joins or translates VLANs"
    return Verdict(
        Fault.JOINED,
        network,
        (sender, receiver),
        f"what {sender} sends in {network.name} ({sent}) arrives at {receiver} {there}{place}",
        f"look for {cause} between {sender} and {receiver}",
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if names[3:] else "")


def _some_groups(groups: list[tuple[str, ...]]) -> str:
    words = [_some(list(group)) for group in groups[:3]]
    more = f" and {len(groups) - 3:,} more groups" if groups[3:] else ""
    return " | ".join(words) + more
