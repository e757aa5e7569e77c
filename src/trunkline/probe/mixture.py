"""Mixtures of VLANs that a probe finds: networks that are joined, native VLANs that differ, and loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Set
from typing import NamedTuple, TypeAlias

from trunkline.probe.matrix import Matrix, ProbedNetwork, State
from trunkline.probe.verdict import Advice, Fault, Verdict, ports_of, some

_Pairs: TypeAlias = Set[tuple[str, str]]
"""Senders and receivers."""


class _Wire(NamedTuple):
    """What a frame has on a physical network: a tag, or none."""

    physnet: str
    vlan_id: int | None

    @property
    def order(self) -> tuple[str, int]:
        return self.physnet, self.vlan_id or 0


def mixtures(matrix: Matrix) -> Iterator[Verdict]:
    """Yield what mixes up VLANs, once for each two of them, and the networks with a loop."""
    by_key = {network.key: network for network in matrix.networks}
    by_wire = {_wire(network): network for network in matrix.networks}
    crossings: dict[tuple[_Wire, _Wire], set[tuple[str, str]]] = defaultdict(set)
    loops: set[tuple[ProbedNetwork, str]] = set()
    for receiver, said in matrix.heard.items():
        for stray in said.strays:
            network, sender = by_key.get(stray.network_key), matrix.chassis_by_id.get(stray.member)
            if network is None or sender is None:
                continue
            sent, came = _wire(network), _Wire(stray.physnet, stray.vlan_id)
            if sent != came:
                crossings[sent, came].add((sender, receiver))
            elif sender == receiver:
                # Another one that hears it has no port of the network: uplinks carry all VLANs.
                loops.add((network, sender))
    for one, other in sorted({_ordered(*each) for each in crossings}, key=lambda each: each[0].order):
        there, back = crossings.get((one, other), set()), crossings.get((other, one), set())
        yield _native(matrix, by_wire, one, other, there, back) or _joined(by_wire, one, other, there, back)
    yield from (_loop(*each) for each in sorted(loops))


def _wire(network: ProbedNetwork) -> _Wire:
    return _Wire(network.physnet, network.vlan_id)


def _ordered(one: _Wire, other: _Wire) -> tuple[_Wire, _Wire]:
    first, second = sorted((one, other), key=lambda wire: wire.order)
    return first, second


def _native(
    matrix: Matrix,
    by_wire: dict[_Wire, ProbedNetwork],
    untagged: _Wire,
    tagged: _Wire,
    there: _Pairs,
    back: _Pairs,
) -> Verdict | None:
    """Return that *tagged* is the native VLAN of some ports or links, and not of others; None if it is not.

    *there* are pairs of which a frame that was sent *untagged* arrived *tagged*, *back* the other way round.
    Chassis with such a port send and receive without a tag what has one elsewhere, and never with it.
    """
    if untagged.vlan_id is not None or untagged.physnet != tagged.physnet:
        return None
    odd = {sender for sender, _ in there} | {receiver for _, receiver in back}
    others = ({receiver for _, receiver in there} | {sender for sender, _ in back}) - odd
    if odd & {receiver for _, receiver in there}:
        return None
    networks = tuple(by_wire[wire] for wire in (tagged, untagged) if wire in by_wire)
    network = by_wire.get(tagged)
    name = f"VLAN {tagged.vlan_id}" + ("" if network is None else f" ({network.name})")
    hears_it = network is not None and any(
        cell.receiver in odd and cell.state is State.OK for cell in matrix.cells(network)
    )
    if hears_it and others:
        # Their own ports are right: it is a link on the way.
        groups = f"{some(sorted(odd))} and {some(sorted(others))}"
        return Verdict(
            Fault.NATIVE,
            networks,
            tuple(sorted(odd | others)),
            f"between {groups}, frames of {name} lose their tag, and untagged frames get it",
            Advice(f"look for a link between {groups} whose ends have different native VLANs"),
        )
    at = ports_of(sorted(odd))
    return Verdict(
        Fault.NATIVE,
        networks,
        tuple(sorted(odd)),
        f"at {at}, {name} is the native VLAN: its frames lose their tag, and untagged frames get it",
        Advice(
            f"set the native VLAN of {at} to that of the others, and have VLAN {tagged.vlan_id} tagged there"
        ),
    )


def _joined(
    by_wire: dict[_Wire, ProbedNetwork], one: _Wire, other: _Wire, there: _Pairs, back: _Pairs
) -> Verdict:
    """Return that what is sent in *one* arrives in *other*, or the other way round, or both."""
    if not there:
        one, other, there, back = other, one, back, there
    # Two chassis say more of the place than one that hears itself.
    sender, receiver = min(there, key=lambda pair: (pair[0] == pair[1], pair))
    network = by_wire[one]
    known = by_wire.get(other)
    where = f"as {_tag(other)}" if known is None else f"in {known.name} ({_tag(other)})"
    place = "" if one.physnet == other.physnet else f" on {other.physnet}"
    both = ", and the other way round" if back else ""
    is_native = None in (one.vlan_id, other.vlan_id)
    cause = "a native VLAN mismatch" if is_native else "a switch that joins or translates VLANs"
    return Verdict(
        Fault.JOINED,
        (network,) if known is None else (network, known),
        (sender, receiver),
        f"what {sender} sends in {network.name} ({_tag(one)}) arrives at {receiver} {where}{place}{both}",
        Advice(f"look for {cause} between {sender} and {receiver}"),
    )


def _tag(wire: _Wire) -> str:
    return "untagged" if wire.vlan_id is None else str(wire.vlan_id)


def _loop(network: ProbedNetwork, chassis: str) -> Verdict:
    return Verdict(
        Fault.LOOP,
        (network,),
        (chassis,),
        f"what {chassis} sends comes back to it",
        Advice(
            "look for a loop in ",
            f" of {network.physnet}: a spanning tree that is off, or a bond whose switch ports are not "
            "bundled",
        ),
    )
