"""The case `forward`: what a frame costs in our pipeline, beside a bridge that only learns and OVN's.

All contenders have the same switch program, devices, bridges and patch ports, and take turns.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple, TypeVar

from load import Load
from series import Results, Series

from forward.contestant import ENTRIES, Contestant, Say, contestants
from forward.meter import METERS
from forward.station import Station, Stations
from forward.traffic import (
    TCP,
    UDP,
    Flood,
    conversations,
    flood,
    frame,
    mix,
    round_trips_s,
    send_once,
    stream_gbit_s,
)
from trunkline.lab.datapath import NETDEV

LOAD = Load(100, 2_400, 20)
"""120 ports in each network, 5 of them here: others' flows stand beside those of the stations."""

MANY = 1_000
MACS = 100
MIX = f"a mix for {MACS} MACs, VM → wire"
BURST_S = 0.04
LEAST = 300
RESAMPLES = 1000
TURNS = 3
ROUNDS_OF_A_SET = 3
"""After how many rounds all contenders are made anew. How a process lies in memory, and which was made first,
is worth 2 or 3 % of a frame, as long as the process lives."""

ECHOES = 300
STREAMS = (
    ("tcp", ("--bytes", "24M")),
    ("udp", ("--bytes", "64M", "--udp", "--bandwidth", "0", "--length", "1448")),
)

OURS = "trunkline"

Item = TypeVar("Item")


class Way(NamedTuple):
    """From which station to which."""

    label: str
    sender: Callable[[Stations], Station]
    receiver: Callable[[Stations], Station]


TO_WIRE = Way("VM → wire", lambda stations: stations.vm, lambda stations: stations.wire)
FROM_WIRE = Way("wire → VM", lambda stations: stations.wire, lambda stations: stations.vm)
TO_VM = Way("VM → VM", lambda stations: stations.vm, lambda stations: stations.other_vm)


def forward(results: Results, say: Say, rounds: int, datapath_type: str = NETDEV) -> None:
    """Measure megaflows once, and frames, streams and round trips *rounds* times, on that datapath.

    Turns are short and many, so that what else the machine does falls on all alike.
    """
    measured, meter = Results(), METERS[datapath_type]()
    for first in range(0, rounds, ROUNDS_OF_A_SET):
        numbers = range(first, min(first + ROUNDS_OF_A_SET, rounds))
        with contestants(_rotated(ENTRIES, first // ROUNDS_OF_A_SET), LOAD, say, meter) as made:
            if first == 0:
                _count_megaflows(measured, made)
                say("megaflows counted")
            for number in numbers:
                _round(measured, _rotated(made, number))
                say(f"forward, round {number + 1} of {rounds}")
    cases = list(dict.fromkeys(series.case for series in measured.series))
    for series in sorted(measured.series, key=lambda each: (cases.index(each.case), each.work)):
        ours = next((each for each in measured.peers(series) if each.contender == OURS), None)
        note = "" if ours is None else _pairs(ours.values, series.values, series.is_rate)
        words = (series.case, series.work, series.contender, series.unit, series.values)
        results.record(*words, is_rate=series.is_rate, note=note)


def _count_megaflows(results: Results, made: Sequence[Contestant]) -> None:
    for contestant in made:
        if not contestant.is_for_mix:
            megaflows(results, contestant)
        megaflows_of_mix(results, contestant)


def _round(results: Results, order: list[Contestant]) -> None:
    for contestant in order:
        contestant.learn()
    flooded(results, order, TO_WIRE, MIX, _mix)
    order = [each for each in order if not each.is_for_mix]
    for way in (TO_WIRE, TO_VM, FROM_WIRE):
        for count in (1, MANY):
            frames(results, order, way, count)
    meter = order[0].meter
    for turn in range(TURNS):
        for contestant in _rotated(order, turn):
            if meter.counts_processes:
                first_frames(results, contestant)
            for way in (TO_WIRE, TO_VM) if meter.is_timed else ():
                round_trips(results, contestant, way)
    if not meter.is_timed:
        return
    for way in (TO_WIRE, TO_VM):
        for contestant in order:
            streams(results, contestant, way)


def _rotated(order: Sequence[Item], turn: int) -> list[Item]:
    """Return *order* beginning elsewhere at each *turn*: nobody always comes after the same neighbour."""
    first = turn % len(order)
    return [*order[first:], *order[:first]]


def _pairs(ours: list[float], theirs: list[float], is_rate: bool) -> str:
    """Return the median of what the others take for one of ours, turn by turn, and its 95 % interval."""
    ratios = [a / b if is_rate else b / a for a, b in zip(ours, theirs, strict=True) if a and b]
    if len(ratios) < 2:
        return ""
    chance = random.Random(0)
    medians = [statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES)]
    low, *_, high = statistics.quantiles(medians, n=40)
    return f"turn by turn × {statistics.median(ratios):.3f} ({low:.3f}–{high:.3f})"


def _frames(contestant: Contestant, way: Way, protocol: int, count: int, macs: int = 1) -> list[bytes]:
    sender, receiver = way.sender(contestant.stations), way.receiver(contestant.stations)
    to = [receiver.number] if macs == 1 else contestant.remote[:macs]
    return [
        frame(each, is_tagged=sender.is_wire) for each in conversations(sender.number, to, protocol, count)
    ]


def _mix(contestant: Contestant) -> list[bytes]:
    return mix(contestant.stations.vm.number, contestant.remote[:MACS], MANY)


def megaflows(results: Results, contestant: Contestant) -> None:
    """Count the flows that conversations, each of one frame, leave in a datapath that had none."""
    kinds = [
        (f"{MANY:,} {name} conversations, {way.label}", way, protocol, MANY, 1)
        for way in (TO_WIRE, TO_VM, FROM_WIRE)
        for name, protocol in (("UDP", UDP), ("TCP", TCP))
    ]
    kinds.append((f"{MACS} MACs, {TO_WIRE.label}", TO_WIRE, TCP, MACS, MACS))
    for work, way, protocol, count, macs in kinds:
        sent = _frames(contestant, way, protocol, count, macs)
        contestant.forget()
        stations = contestant.stations
        send_once(contestant.folder, way.sender(stations), way.receiver(stations), sent)
        results.record("megaflows", work, contestant.name, "flows", contestant.megaflow_count())


def megaflows_of_mix(results: Results, contestant: Contestant) -> None:
    """Count the flows that the mix leaves in a datapath that had none."""
    contestant.forget()
    send_once(contestant.folder, contestant.stations.vm, contestant.stations.wire, _mix(contestant))
    results.record("megaflows", MIX, contestant.name, "flows", contestant.megaflow_count())


def first_frames(results: Results, contestant: Contestant) -> None:
    """Measure the CPU time of ovs-vswitchd for the first frame between two MACs, by all tables."""
    sent = _frames(contestant, TO_WIRE, TCP, MACS, MACS)
    contestant.forget()
    before_s = contestant.vswitchd_s()
    send_once(contestant.folder, contestant.stations.vm, contestant.stations.wire, sent)
    used_s = contestant.vswitchd_s() - before_s
    results.record("first frame", f"{TO_WIRE.label}, {MACS} MACs", contestant.name, "s", used_s / MACS)


class Cost(NamedTuple):
    """What a burst cost the contender *name*: CPU seconds, for so many frames, in so many seconds."""

    name: str
    used_s: float
    arrived: int
    elapsed_s: float


def _burst(contestant: Contestant, held: Flood) -> Cost:
    before_s = contestant.cpu_s()
    burst = held.burst(BURST_S)
    return Cost(contestant.name, contestant.cpu_s() - before_s, burst.arrived, burst.elapsed_s)


def frames(results: Results, order: list[Contestant], way: Way, count: int) -> None:
    """Measure *count* UDP conversations."""
    work = f"{way.label}, {count:,} conversation{'s' if count > 1 else ''}"
    flooded(results, order, way, work, lambda contestant: _frames(contestant, way, UDP, count))


def flooded(
    results: Results,
    order: list[Contestant],
    way: Way,
    work: str,
    frames_of: Callable[[Contestant], list[bytes]],
) -> None:
    """Measure the shortest frames, those of *frames_of* a contestant, that come as fast as they are taken.

    `frames` is how many arrive a second, and `frame cost` the CPU time of what forwards for one: the steadier
    figure on a machine that does other things, too. A turn is a burst of `BURST_S`, from rest to rest.
    """
    with ExitStack() as stack:
        floods, before, are_many = {}, {}, False
        for contestant in order:
            sender, receiver = way.sender(contestant.stations), way.receiver(contestant.stations)
            sent = frames_of(contestant)
            are_many |= len(sent) > 1
            contestant.forget()
            # What a first frame costs is another case: each has a flow before the flood.
            send_once(contestant.folder, sender, receiver, sent)
            floods[contestant.name] = stack.enter_context(flood(contestant.folder, sender, receiver, sent))
            before[contestant.name] = contestant.lookups()
        for turn in range(order[0].meter.bursts):
            bursts = [_burst(each, floods[each.name]) for each in _rotated(order, turn)]
            # Something else had the processor for most of a turn: it says nothing, of nobody.
            if any(burst.arrived < LEAST for burst in bursts):
                continue
            for burst in bursts:
                rate = burst.arrived / burst.elapsed_s
                results.record("frames", work, burst.name, "frames/s", rate, is_rate=True)
                results.record("frame cost", work, burst.name, "s", burst.used_s / burst.arrived)
        for contestant in order if are_many else ():
            looked_up = contestant.lookups().since(before[contestant.name])
            results.record("lookups", work, contestant.name, "subtables", looked_up)


def round_trips(results: Results, contestant: Contestant, way: Way) -> None:
    """Measure how long an echo request and its answer are under way, one at a time."""
    sender, receiver = way.sender(contestant.stations), way.receiver(contestant.stations)
    trips = Series("round trip", way.label, contestant.name, "s", round_trips_s(sender, receiver, ECHOES))
    results.record("round trip", way.label, contestant.name, "s", trips.median)
    results.record("round trip, p99", way.label, contestant.name, "s", trips.percentile(99))


def streams(results: Results, contestant: Contestant, way: Way) -> None:
    """Measure what programs get across, by TCP and by UDP of full size."""
    sender, receiver = way.sender(contestant.stations), way.receiver(contestant.stations)
    for case, words in STREAMS:
        rate = stream_gbit_s(sender, receiver, *words)
        results.record(case, way.label, contestant.name, "Gbit/s", rate, is_rate=True)
