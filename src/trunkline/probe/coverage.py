"""What a probe of a network has looked at: of what an earlier one found, that is over, and all else stays."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from trunkline.northbound.operation import select
from trunkline.probe import row
from trunkline.probe.matrix import State
from trunkline.probe.record import SIZE, Record, Wrong, chassis_of, of_row, text
from trunkline.probe.verdict import remedies

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row
    from trunkline.probe.asking import Probed
    from trunkline.probe.matrix import Matrix, ProbedNetwork
    from trunkline.probe.record import Records
    from trunkline.probe.verdict import Advice, Verdict


def keep(nb: Northbound, found: Probed, wrong: Sequence[Verdict]) -> bool:
    """Write what was *found* of each network that was probed, and *wrong*, with what stays of earlier probes.

    Return False if this connection may not. What to do is kept for all networks that need it: a chassis that
    lacks two VLANs lacks both at one port.
    """
    (rows,) = nb.read(select("Chassis", only=("name",)))
    there = frozenset(row["name"] for row in rows)
    probe = Probe(found, wrong, time.time_ns() // 1_000_000, there)
    coverage_by_key = {each.key: Coverage(probe, each) for each in found.matrix.networks}

    def columns(key: int, old: Row | None) -> Mapping[str, Any] | None:
        coverage = coverage_by_key.get(key)
        if coverage is None:
            return None
        records = () if old is None else of_row(old)
        if any(record.chassis - coverage.chassis for record in records):
            assert old is not None
            holders = chassis_of(nb, [old["network"]])[old["network"]] | coverage.chassis
            records = tuple(record.among(holders) for record in records)
        return {"probed_ms": probe.now_ms, "body": text(coverage.records(records))}

    return row.write(nb, columns)


@dataclass(frozen=True)
class Probe:
    """What a probe has *found*, at *now_ms*, what is *wrong*, and what to do; *there* are all chassis."""

    found: Probed
    wrong: Sequence[Verdict]
    now_ms: int
    there: frozenset[str]

    @cached_property
    def remedy_by_advice(self) -> Mapping[Advice, str]:
        """What to do."""
        return remedies(self.wrong)

    @cached_property
    def chassis(self) -> frozenset[str]:
        """Those that have taken part, in whichever network, and were not kept by a flood from hearing all."""
        matrix = self.found.matrix
        islands = (island for each in matrix.networks for island in _islands(matrix, each))
        return frozenset().union(*islands) - self.found.flooded

    def has_probed(self, networks: Sequence[str]) -> bool:
        """Return whether frames were sent in the first of *networks*, by name, or cannot be sent in it."""
        wanted = self.found.wanted
        is_all = not wanted.networks and not wanted.chassis
        return is_all or {each.name for each in self.found.matrix.networks}.issuperset(networks[:1])


class Coverage:
    """What *probe* has looked at in *network*."""

    def __init__(self, probe: Probe, network: ProbedNetwork) -> None:
        found = probe.found
        self._probe, self._network = probe, network
        self._cells = found.matrix.cells(network)
        self.record = Record(
            probe.now_ms,
            _islands(found.matrix, network),
            frozenset((cell.sender, cell.receiver) for cell in self._cells if cell.state is State.LOST),
            {pair: size for pair, size in self._sizes.items() if size < network.mtu},
            tuple(
                Wrong(
                    str(each.fault),
                    each.chassis,
                    each.text,
                    probe.remedy_by_advice[each.advice],
                    tuple(of_it.name for of_it in each.networks),
                )
                for each in probe.wrong
                if network in each.networks
            ),
            (network.physnet, network.vlan_id),
            found.wanted.is_wide,
        )

    @cached_property
    def chassis(self) -> frozenset[str]:
        """Those that have taken part."""
        return frozenset().union(*self.record.islands)

    @cached_property
    def _known(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            (cell.sender, cell.receiver) for cell in self._cells if cell.state is not State.UNKNOWN
        )

    @cached_property
    def _sizes(self) -> dict[tuple[str, str], int]:
        """The largest packets that passed, by direction."""
        return {(cell.sender, cell.receiver): cell.mtu for cell in self._cells if cell.mtu is not None}

    @cached_property
    def _most(self) -> tuple[dict[str, int], dict[str, int]]:
        """The largest packets that each chassis has sent, and received."""
        sent, received = defaultdict[str, int](int), defaultdict[str, int](int)
        for (sender, receiver), size in self._sizes.items():
            sent[sender] = max(sent[sender], size)
            received[receiver] = max(received[receiver], size)
        return sent, received

    def records(self, earlier: Records) -> Records:
        """Return the record of this probe, and of the *earlier* ones what it has not looked at again."""
        left = [self._left(each) for each in earlier]
        return (self.record, *(each for each in left if each.chassis))

    def _left(self, old: Record) -> Record:
        """Return what stays of *old*."""
        if old.wire not in (None, self.record.wire):
            # It was in another VLAN.
            return old._replace(islands=(), lost=frozenset(), sizes={}, wrong=())
        islands = _joined(old.islands, self.record.islands)
        lost = {pair for pair in old.lost if not self._is_over(pair, old, islands)}
        sizes = {pair for pair, size in old.sizes.items() if not self._passes(pair, size, old)}
        left = old._replace(lost=frozenset(lost), sizes={pair: old.sizes[pair] for pair in sizes})
        wrong = tuple(
            each
            for each in old.wrong
            if each.text not in {new.text for new in self.record.wrong}
            and not self._is_answered(each, old, left)
        )
        # Who is reached is known anew, of those that have taken part.
        is_new = self.chassis.issuperset(name for island in islands for name in island)
        return left._replace(islands=() if is_new else islands, wrong=wrong)

    def _is_over(self, pair: tuple[str, str], old: Record, islands: Collection[frozenset[str]]) -> bool:
        """Return whether that nothing comes in this direction, as *old* says, is no longer said.

        *islands* are those of both. Two that were on one island reached one another by others then, too.
        """
        is_between = any(island.issuperset(pair) for island in old.islands)
        return pair in self._known or (not is_between and any(island.issuperset(pair) for island in islands))

    def _passes(self, pair: tuple[str, str], size: int, old: Record) -> bool:
        """Return whether that packets over *size* are lost in this direction, as *old* says, is over.

        If it was for one chassis, that passes more now; if for many, both do; and else it was measured.
        """
        if pair in self._sizes or size >= self._network.mtu:
            return True
        causes = [each.chassis for each in old.wrong if each.fault == SIZE and each.concerns(pair)]
        if any(len(each) == 2 for each in causes):
            return False
        blamed = {each[0] for each in causes if len(each) == 1} or set(pair)
        most_by_chassis = {name: most.get(name, 0) for name, most in zip(pair, self._most, strict=True)}
        return all(most_by_chassis[name] > size for name in blamed)

    def _is_answered(self, wrong: Wrong, old: Record, left: Record) -> bool:
        """Return whether all was looked at by which *old* found *wrong*, and so much of it is *left*."""
        if any(old.rests_on(wrong)):
            return not any(left.rests_on(wrong))
        if not self._probe.chassis.issuperset(self._probe.there.intersection(wrong.chassis)):
            return False
        if wrong.fault == SIZE:
            return bool(self._sizes)
        # What arrives in a VLAN that no network uses is not heard everywhere.
        is_heard = self.record.is_wide or not old.is_wide or len(wrong.networks) > 1
        return is_heard and self._probe.has_probed(wrong.networks)


def _islands(matrix: Matrix, network: ProbedNetwork) -> tuple[frozenset[str], ...]:
    """Return the groups that reach one another, without those that are apart as nobody knows what came."""
    unsure = {
        name
        for cell in matrix.cells(network)
        if cell.state is State.UNKNOWN and {cell.sender, cell.receiver} <= matrix.heard.keys()
        for name in (cell.sender, cell.receiver)
    }
    return tuple(
        frozenset(island) for island in matrix.islands(network) if len(island) > 1 or island[0] not in unsure
    )


def _joined(islands: Sequence[frozenset[str]], by: Sequence[frozenset[str]]) -> tuple[frozenset[str], ...]:
    """Return *islands*, those of them as one that have chassis of one of the others, *by*."""
    found = list(islands)
    for each in by:
        touched = [island for island in found if island & each]
        found = [island for island in found if not island & each]
        if touched:
            found.append(frozenset().union(*touched))
    return tuple(found)
