"""Mixtures of VLANs that a probe finds: networks that are joined, native VLANs that differ, and loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from typing import NamedTuple, TypeAlias

from trunkline.probe.matrix import Matrix, ProbedNetwork, State
from trunkline.probe.verdict import Advice, Fault, Verdict, ports_of, some

_Pairs: TypeAlias = Set[tuple[str, str]]
"""Senders and receivers."""

_MOST_WIRES = 8


class _Wire(NamedTuple):
    """What a frame has on a physical network: a tag, or none."""

    physnet: str
    vlan_id: int | None

    @property
    def order(self) -> tuple[str, int]:
        return self.physnet, self.vlan_id or 0


class _Native(NamedTuple):
    """That *tagged* is the native VLAN at the chassis *odd*; *is_heard*: with its tag, too, from others."""

    untagged: _Wire
    tagged: _Wire
    odd: frozenset[str]
    is_heard: bool
    verdict: Verdict

    def explains(
        self,
        pair: tuple[_Wire, _Wire],
        ways: Iterable[_Pairs],
        joints: Collection[tuple[_Wire, _Wire]],
    ) -> bool:
        """Return whether frames cross between *pair* as one of them is joined with *tagged*."""
        untagged, other = pair
        return (
            untagged == self.untagged
            and _ordered(self.tagged, other) in joints
            and all(self.odd.intersection(each) for way in ways for each in way)
        )


def mixtures(matrix: Matrix) -> Iterator[Verdict]:
    """Yield what mixes up VLANs, once for all that are joined, and the networks with a loop."""
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
    natives: list[_Native] = []
    joints: dict[tuple[_Wire, _Wire], tuple[_Pairs, _Pairs]] = {}
    for one, other in sorted({_ordered(*each) for each in crossings}, key=_order):
        there, back = crossings.get((one, other), set()), crossings.get((other, one), set())
        native = _native(matrix, by_wire, one, other, there, back)
        if native is None:
            joints[one, other] = there, back
        else:
            natives.append(native)
    natives = _causes(natives, joints)
    for pair, ways in list(joints.items()):
        if any(native.explains(pair, ways, joints) for native in natives):
            del joints[pair]
    yield from (native.verdict for native in natives)
    yield from (_joined(by_wire, joined) for joined in _groups(joints))
    yield from (_loop(*each) for each in sorted(loops))


def _wire(network: ProbedNetwork) -> _Wire:
    return _Wire(network.physnet, network.vlan_id)


def _ordered(one: _Wire, other: _Wire) -> tuple[_Wire, _Wire]:
    first, second = sorted((one, other), key=lambda wire: wire.order)
    return first, second


def _order(pair: tuple[_Wire, _Wire]) -> tuple[tuple[str, int], ...]:
    return tuple(wire.order for wire in pair)


def _native(
    matrix: Matrix,
    by_wire: dict[_Wire, ProbedNetwork],
    untagged: _Wire,
    tagged: _Wire,
    there: _Pairs,
    back: _Pairs,
) -> _Native | None:
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
    cells = () if network is None else matrix.cells(network)
    heard_from = {cell.sender for cell in cells if cell.receiver in odd and cell.state is State.OK}
    is_heard = not heard_from <= odd
    if heard_from and others:
        # Their own ports are right: it is a link on the way.
        groups = f"{some(sorted(odd))} and {some(sorted(others))}"
        verdict = Verdict(
            Fault.NATIVE,
            networks,
            tuple(sorted(odd | others)),
            f"between {groups}, frames of {name} lose their tag, and untagged frames get it",
            Advice(f"look for a link between {groups} whose ends have different native VLANs"),
        )
        return _Native(untagged, tagged, frozenset(odd), is_heard, verdict)
    at = ports_of(matrix, networks[0], sorted(odd))
    verdict = Verdict(
        Fault.NATIVE,
        networks,
        tuple(sorted(odd)),
        f"at {at}, {name} is the native VLAN: its frames lose their tag, and untagged frames get it",
        Advice(
            f"set the native VLAN of {at} to that of the others, and have VLAN {tagged.vlan_id} tagged there"
        ),
    )
    return _Native(untagged, tagged, frozenset(odd), is_heard, verdict)


def _causes(natives: Sequence[_Native], joints: Collection[tuple[_Wire, _Wire]]) -> list[_Native]:
    """Return those of *natives* that no other one explains.

    If two VLANs are joined and one is the native VLAN somewhere, both look so there. It is the one that does
    not come with its tag.
    """
    found: list[_Native] = []
    for each in sorted(natives, key=lambda native: native.is_heard):
        rivals = [
            other
            for other in found
            if other.untagged == each.untagged
            and other.odd == each.odd
            and _ordered(other.tagged, each.tagged) in joints
        ]
        if not rivals or not each.is_heard:
            found.append(each)
    return sorted(found, key=lambda native: _order((native.untagged, native.tagged)))


_Joints: TypeAlias = dict[tuple[_Wire, _Wire], tuple[_Pairs, _Pairs]]
"""Of two wires that are joined, which senders and receivers there are, in each direction."""


def _groups(joints: _Joints) -> list[_Joints]:
    """Return *joints* in groups of those that have a wire in common, directly or by others."""
    group_by_wire: dict[_Wire, frozenset[_Wire]] = {}
    for pair in joints:
        alone = [frozenset({wire}) for wire in pair]
        one, other = (group_by_wire.get(wire, own) for wire, own in zip(pair, alone, strict=True))
        if one is not other:
            group_by_wire.update(dict.fromkeys(one | other, one | other))
    found: dict[frozenset[_Wire], _Joints] = defaultdict(dict)
    for pair, ways in joints.items():
        found[group_by_wire[pair[0]]][pair] = ways
    return list(found.values())


def _joined(by_wire: dict[_Wire, ProbedNetwork], joints: _Joints) -> Verdict:
    """Return that what is sent in one wire of *joints* arrives in the others, shown by one of them."""
    one, other = min(joints, key=_order)
    there, back = joints[one, other]
    if not there:
        one, other, there, back = other, one, back, there
    # Two chassis say more of the place than one that hears itself.
    sender, receiver = min(there, key=lambda pair: (pair[0] == pair[1], pair))
    network = by_wire[one]
    known = by_wire.get(other)
    where = f"as {_tag(other)}" if known is None else f"in {known.name} ({_tag(other)})"
    place = "" if one.physnet == other.physnet else f" on {other.physnet}"
    both = ", and the other way round" if back else ""
    text = f"what {sender} sends in {network.name} ({_tag(one)}) arrives at {receiver} {where}{place}{both}"
    wires = sorted({wire for pair in joints for wire in pair} - {one, other}, key=lambda wire: wire.order)
    if wires:
        also = some([_name(by_wire, wire, one.physnet) for wire in wires], _MOST_WIRES)
        text = f"{text}; {also} {'is' if len(wires) == 1 else 'are'} joined with them, too"
    is_native = any(wire.vlan_id is None for pair in joints for wire in pair)
    cause = "a native VLAN mismatch" if is_native else "a switch that joins or translates VLANs"
    return Verdict(
        Fault.JOINED,
        tuple(by_wire[wire] for wire in (one, other, *wires) if wire in by_wire),
        (sender, receiver),
        text,
        Advice(f"look for {cause} between {sender} and {receiver}"),
    )


def _name(by_wire: dict[_Wire, ProbedNetwork], wire: _Wire, physnet: str) -> str:
    tag = "untagged frames" if wire.vlan_id is None else f"VLAN {wire.vlan_id}"
    name = f"{by_wire[wire].name} ({_tag(wire)})" if wire in by_wire else tag
    return name if wire.physnet == physnet else f"{name} on {wire.physnet}"


def _tag(wire: _Wire) -> str:
    return "untagged" if wire.vlan_id is None else str(wire.vlan_id)


def _loop(network: ProbedNetwork, chassis: str) -> Verdict:
    return Verdict(
        Fault.LOOP,
        (network,),
        (chassis,),
        f"what {chassis} sends in {network.name} ({_tag(_wire(network))}) comes back to it",
        Advice(
            "look for a loop in ",
            f" of {network.physnet}: a spanning tree that is off, or a bond whose switch ports are not "
            "bundled",
        ),
    )
