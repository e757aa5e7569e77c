"""The case `probe`: what a session of `trunkline probe` costs with many chassis.

The frames of a session are counted, and how long they take at the pace at which chassis send. What the asker
does is real: it reads the answers, judges them, and makes what is printed and kept. The chassis are not.
"""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from process import now_s
from series import Results

from trunkline.bridge.prober import BEACONS as REPEATS
from trunkline.bridge.prober import FRAMES_PER_S
from trunkline.cli.probe import lines
from trunkline.core.probe import member_id
from trunkline.probe.asking import Probed, Wanted, shared_rate
from trunkline.probe.judgement import verdicts
from trunkline.probe.matrix import BEACONS, Heard, Matrix, ProbedNetwork, first_beacons, heard
from trunkline.probe.order import NO_SECRET, packed_groups

SIZES = ((100, 20), (500, 20), (500, 100))
"""Chassis, and networks of each."""

STEPS = 5
"""The questions of a session in which nothing is lost: open, beacon, settle, report, close."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fleet:
    """Chassis, each with ports of almost all networks, as they would be in a session."""

    networks: tuple[ProbedNetwork, ...]
    members: dict[int, tuple[str, ...]]
    ids: dict[str, int]

    @classmethod
    def of(cls, chassis: int, networks: int) -> Fleet:
        """Return one; a few chassis, always the same ones, lack ports of each network."""
        rng, names = random.Random(1), [f"c{number:03}" for number in range(chassis)]
        made = [ProbedNetwork(f"n{n:03}", n + 1, "physnet1", n + 1, 1500) for n in range(networks)]
        members = {each.key: tuple(sorted(rng.sample(names, chassis * 98 // 100))) for each in made}
        return cls(tuple(made), members, {name: member_id(NO_SECRET, name) for name in names})

    def bodies(self, beacons: dict[int, frozenset[str]], deaf: frozenset[str]) -> dict[str, str]:
        """Return what each chassis reports if those that are *deaf* hear nothing."""
        found = {}
        for name in self.ids:
            groups: dict[tuple[int, int], list[int]] = {}
            for key, members in self.members.items():
                if name in members and name not in deaf:
                    others = members if name in beacons[key] else beacons[key]
                    groups[key, 0] = [self.ids[other] for other in others if other != name]
            body = {
                "heard": packed_groups(groups),
                "strays": [],
                "sizes": packed_groups({}),
                "flooded": False,
            }
            found[name] = json.dumps(body)
        return found


def probe(results: Results, say: Say, chassis: int, networks: int, rounds: int) -> None:
    """Count what a session costs, and measure what the asker does, *rounds* times."""
    fleet, size = Fleet.of(chassis, networks), f"{chassis} chassis, {networks} networks"
    by_network = first_beacons(fleet.members)
    groups = sum(REPEATS * len(names) for names in by_network.values())
    answers = sum((len(fleet.members[key]) - 1) * len(names) for key, names in by_network.items())
    rate = shared_rate(chassis, BEACONS)
    most = max(
        sum(len(names - {name}) for key, names in by_network.items() if name in fleet.members[key])
        for name in fleet.ids
    )
    took_s = max(REPEATS * networks / FRAMES_PER_S, most / rate)
    bodies = fleet.bodies(by_network, frozenset(islice(fleet.ids, 10, 15)))
    longest = max(map(len, bodies.values()))
    note = f"{groups:,} multicasts, {answers:,} unicasts, {rate} a second of each chassis"
    results.record("probe", f"{size}: frames on the wire take", "trunkline", "s", took_s, note=note)
    rows, written = STEPS * (chassis + 1), sum(map(len, bodies.values()))
    note = f"{rows:,} rows, {written:,} bytes of reports, the longest {longest:,}"
    results.record("probe", f"{size}: the longest report", "trunkline", "KiB", longest / 1024, note=note)
    say(f"probe {size}: {note}")
    for _ in range(rounds):
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_utime, now_s()
        reports = {name: heard(json.loads(text)) for name, text in bodies.items()}
        wrong, printed = judged(fleet, by_network, reports)
        cpu_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
        note = f"{wrong} findings, {printed} lines, {now_s() - started:.2f} s in all"
        results.record("cpu", f"probe, {size}: asker", "trunkline", "s", cpu_s, note=note)


def judged(fleet: Fleet, beacons: dict[int, frozenset[str]], reports: dict[str, Heard]) -> tuple[int, int]:
    """Return how much is wrong by *reports*, and in how many lines that is told."""
    names = {id_: name for name, id_ in fleet.ids.items()}
    matrix = Matrix(fleet.networks, fleet.members, beacons, reports, names)
    wrong = verdicts(matrix)
    found = Probed("", Wanted(), matrix, {}, {}, frozenset(), (), (), 0, 0.0, False)
    return len(wrong), len(list(lines(found, wrong)))
