"""The judgement on a probe: all that is wrong with the physical networks, by who hears whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from trunkline.probe.bottleneck import bottlenecks
from trunkline.probe.matrix import Cell, Matrix, ProbedNetwork, State
from trunkline.probe.mixture import mixtures
from trunkline.probe.verdict import Advice, Fault, Verdict, ports_of, some


def verdicts(matrix: Matrix) -> list[Verdict]:
    """Return all that is wrong, by network; what mixes up VLANs comes last."""
    mixed = list(mixtures(matrix))
    # Where a native VLAN is wrong, that is all that is wrong with the two networks.
    explained: dict[int, set[str]] = defaultdict(set)
    for each in mixed:
        if each.fault is Fault.NATIVE:
            for network in each.networks:
                explained[network.key] |= set(each.chassis)
    rest = matrix.without(explained)
    found: list[Verdict] = []
    for network in matrix.networks:
        found += losses(rest, network, rest.cells(network))
        found += bottlenecks(matrix, network)
    return found + mixed


def losses(matrix: Matrix, network: ProbedNetwork, cells: Sequence[Cell]) -> Iterator[Verdict]:
    """Yield what is wrong with who reaches whom in *network*."""
    lost = {(cell.sender, cell.receiver) for cell in cells if cell.state is State.LOST}
    # One that is apart only because nobody knows what came is not wrong.
    cut = {name for pair in lost for name in pair}
    islands = [island for island in matrix.islands(network) if cut & set(island)]
    if len(islands) < 2:
        yield from _odd_pairs(network, cells)
        return
    main, *others = islands
    if len(main) == 1:
        names = tuple(name for island in islands for name in island)
        yield from _odd_pairs(network, cells) if _is_one_way(cells) else [_apart(matrix, network, names)]
        return
    apart = [island for island in others if len(island) > 1]
    passed = {(cell.sender, cell.receiver) for cell in cells if cell.state is State.OK}
    if apart:
        groups = [main, *apart]
        yield Verdict(
            Fault.ISLANDS,
            (network,),
            tuple(sorted(name for island in groups for name in island)),
            f"{_some_groups(groups)} do not reach one another; each reaches its own. Separate on purpose?",
            _link(network, groups[0][0], groups[1][0]),
        )
    for island in others:
        if len(island) > 1:
            continue
        (alone,) = island
        hears = any(receiver == alone for _, receiver in passed)
        is_heard = any(sender == alone for sender, _ in passed)
        yield _far(matrix, network, alone, main) or _alone(
            matrix, network, alone, hears=hears, is_heard=is_heard
        )


def _is_one_way(cells: Sequence[Cell]) -> bool:
    return any(cell.state is State.OK for cell in cells)


def _apart(matrix: Matrix, network: ProbedNetwork, names: tuple[str, ...]) -> Verdict:
    """Return that no two of the chassis called *names*, all of *network*, reach one another."""
    is_two = len(names) == 2
    who = " and ".join(names) if is_two else some(names)
    return Verdict(
        Fault.LOST,
        (network,),
        names,
        f"{who} do not reach one another" if is_two else f"no two of {who} reach one another",
        Advice("allow ", f" on {ports_of(matrix, network, names)}, and between these"),
    )


def _far(matrix: Matrix, network: ProbedNetwork, alone: str, main: tuple[str, ...]) -> Verdict | None:
    """Return that *alone* is cut off from *main* as it is in another network, where it reaches some; or None.

    So its own switch port is right, if none of those that it reaches there is also here.
    """
    for each in matrix.networks:
        own = matrix.island(each, alone)
        if each.physnet != network.physnet or len(own) < 2:
            continue
        others = next((found for name in main if (found := matrix.island(each, name))), own)
        if others != own and set(own) & set(matrix.members[network.key]) == {alone}:
            return Verdict(
                Fault.ISLANDS,
                (network,),
                tuple(sorted((*main, alone))),
                f"{some(main)} | {alone} do not reach one another, as in {each.name}. Separate on purpose?",
                _link(network, others[0], own[0]),
            )
    return None


def _link(network: ProbedNetwork, one: str, other: str) -> Advice:
    first, second = sorted((one, other))
    return Advice("carry ", f" of {network.physnet} between the switches of {first} and {second}")


def _alone(matrix: Matrix, network: ProbedNetwork, chassis: str, *, hears: bool, is_heard: bool) -> Verdict:
    port = ports_of(matrix, network, [chassis])
    if hears or is_heard:
        way = "hears, is not heard" if hears else "is heard, hears nothing"
        direction = "from" if hears else "to"
        return Verdict(
            Fault.ONE_WAY,
            (network,),
            (chassis,),
            f"{chassis} {way}: one direction is lost",
            Advice(
                f"look at {port} for what loses ",
                f" in the direction {direction} the chassis (an access list, a broken fibre, a port that "
                "only mirrors)",
            ),
        )
    works = [
        each.name
        for each in matrix.networks
        if each.physnet == network.physnet
        and chassis in matrix.members[each.key]
        and any(len(island) > 1 and chassis in island for island in matrix.islands(each))
    ]
    also = f"; its {works[0]} works" if works else ""
    advice = (
        Advice("allow ", f" on {port}")
        if works and network.vlan_id is not None
        else Advice(f"look at the NIC and {port}: does it carry ", "?")
    )
    return Verdict(
        Fault.LOST, (network,), (chassis,), f"{chassis} alone: hears nothing, is not heard{also}", advice
    )


def _odd_pairs(network: ProbedNetwork, cells: Sequence[Cell]) -> Iterator[Verdict]:
    """Yield the directions that are lost although all reach one another by others."""
    lost = [cell for cell in cells if cell.state is State.LOST]
    by_sender: dict[str, list[str]] = defaultdict(list)
    for cell in lost:
        by_sender[cell.sender].append(cell.receiver)
    for sender, receivers in sorted(by_sender.items()):
        yield Verdict(
            Fault.ONE_WAY,
            (network,),
            (sender, *receivers),
            f"what {sender} sends does not reach {some(receivers)}",
            Advice(
                f"look at the switches between {sender} and {receivers[0]} for what loses ",
                " in that direction",
            ),
        )


def _some_groups(groups: list[tuple[str, ...]]) -> str:
    words = [some(group) for group in groups[:3]]
    more = f" and {len(groups) - 3:,} more" if groups[3:] else ""
    return " | ".join(words) + more
