"""The proof compared with reality: ovs-vswitchd sends the frames where it says, and it misses no change.

`TRUNKLINE_MUTATIONS` says how many changes of flows are tried, or `all`; `TRUNKLINE_MUTATION_SEED` which.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

import pytest
from dummy_chassis import DummyChassis, Site, opened
from every_feature import held, with_every_feature

from trunkline.core.field import Field, Set
from trunkline.core.flow import Goto, Output, PushVlan, Resubmit
from trunkline.core.pipeline import Table
from trunkline.insight import vswitchd
from trunkline.path import fields
from trunkline.path.sample import tags
from trunkline.path.translation import Output as Sent
from trunkline.path.translation import translation
from trunkline.proof.example import example
from trunkline.proof.intent import Intent
from trunkline.proof.proof import proved
from trunkline.proof.space import (
    ALL,
    IS_FOLLOWED,
    PRESENT,
    READ_TAGS,
    TAGGED,
    UNTAGGED,
    Cube,
    bits,
    open_holes,
)
from trunkline.proof.switch import LOCAL, Action, NotProvableError, Rule
from trunkline.proof.table import tables
from trunkline.proof.way import Way, ways

pytestmark = pytest.mark.system

MUTATIONS = os.environ.get("TRUNKLINE_MUTATIONS", "10")
SEED = int(os.environ.get("TRUNKLINE_MUTATION_SEED", "1"))


class World(NamedTuple):
    """A chassis that has every feature, its flows, and what they should do."""

    chassis: DummyChassis
    rules: Sequence[Rule]
    intent: Intent


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with opened() as started:
        yield started


@pytest.fixture(scope="module")
def world(site: Site) -> World:
    chassis = with_every_feature(site)
    return World(chassis, *held(chassis))


def ends(rules: Sequence[Rule], in_port: int) -> Iterator[Way]:
    """Yield the end of each way of frames that come in by *in_port*."""
    by_number = tables(rules)
    for frames, holes, own in ((UNTAGGED, READ_TAGS, ()), (TAGGED, (), (None,))):
        start = Way(frames, open_holes(frames, holes) or (), {Field.IN_PORT: in_port}, own)
        for _, way in ways(by_number, 0, start):
            yield way


def frame_of(way: Way, intent: Intent) -> bytes | None:
    """Return a frame that takes *way*, None if there is none."""
    if way.space.frame() is None:
        return None
    is_tagged = bool(way.frames.value & TAGGED.value)
    macs = [port.mac for port in intent.port_by_outlet.values()]
    return example(way.space, is_tagged, macs, macs)


def devices(world: World) -> dict[int, str]:
    """Return the devices that frames leave by, by the ports of the integration bridge."""
    listed = world.chassis.switch.ofctl("dump-ports-desc", "br-int")
    named = {int(number): name for number, name in re.findall(r"^ *(\d+)\(([^)]+)\)", listed, re.MULTILINE)}
    nics = {ofport: f"nic-{name.removeprefix('int-')}" for ofport, name in named.items() if "int-" in name}
    return named | nics | {LOCAL: "br-int"}


def leaving(way: Way, frame: bytes, device_by_ofport: dict[int, str], in_port: int) -> list[Sent]:
    """Return by which devices *frame* leaves by *way*, with which tags."""
    own = tags(frame)
    inner = own[way.frames.mask & way.frames.value & PRESENT != 0 :]
    return sorted(
        Sent(
            device_by_ofport[copy.ofport],
            tuple(own[0] if tag is None else tag & ~PRESENT for tag in copy.tags) + inner,
        )
        for copy in way.copies
        if copy.ofport != in_port
    )


def test_a_frame_of_each_way_goes_where_ovs_vswitchd_sends_it(world: World) -> None:
    """Trace them: the frame that the proof has for the end of each way leaves just there."""
    chassis, device_by_ofport, count = world.chassis, devices(world), 0
    for in_port in device_by_ofport.keys() - {LOCAL}:
        for way in ends(world.rules, in_port):
            frame = frame_of(way, world.intent)
            if frame is None:
                continue
            words = fields.words("br-int", in_port, frame)
            said = vswitchd.ask(str(chassis.switch.rundir), "ofproto/trace", "--names", *words)
            sent = [each for each in translation(said, frame).outputs if not each.device.startswith("br-p")]
            assert sorted(sent) == leaving(way, frame, device_by_ofport, in_port), (
                *(frame.hex(), said, [rule.text for rule in way.rules]),
            )
            count += 1
    assert count > 1000
    print(f"figure: traces: {count} frames, 0 differ")


Mutation = tuple[Rule, Rule | None]
"""A rule, and the one in its place; None: no rule."""


def mutations(rule: Rule) -> Iterator[Mutation]:
    """Yield *rule* deleted, and with each of its numbers changed a little."""
    yield rule, None
    yield rule, rule._replace(priority=rule.priority + 1)
    for at, (field, value, mask) in enumerate(rule.known):
        other = field, value ^ (mask & -mask), mask
        yield rule, rule._replace(known=(*rule.known[:at], other, *rule.known[at + 1 :]))
    value, mask = rule.frames
    for field in IS_FOLLOWED:
        own = mask & bits(field)
        if own:
            yield rule, rule._replace(frames=Cube(value ^ (own & -own), mask))
    for at, action in enumerate(rule.actions):
        changed: Action | None = None
        match action:
            case Output(ofport):
                changed = Output(ofport + 1)
            case Set(field, number):
                changed = Set(field, number ^ 1)
            case PushVlan(vlan_id):
                changed = PushVlan(vlan_id ^ 1)
            case Goto(table) | Resubmit(table):
                changed = type(action)(_NEXT.get(table, table))
        if changed is not None:
            yield rule, rule._replace(actions=(*rule.actions[:at], changed, *rule.actions[at + 1 :]))


_NEXT = dict(itertools.pairwise(Table))


def is_found(rules: Sequence[Rule], intent: Intent) -> bool:
    try:
        return bool(proved(rules, intent))
    except NotProvableError:
        return True


def copies(way: Way, in_port: int) -> list[str]:
    """Return the copies that leave by *way*: Open vSwitch sends none back where the frame came in."""
    return sorted(repr(each) for each in way.copies if each.ofport != in_port)


def difference(before: Sequence[Rule], after: Sequence[Rule], in_ports: Iterable[int]) -> bytes | None:
    """Return a frame that leaves by *after* as it does not by *before*: as all are followed."""
    by_number = tables(after)
    for in_port in in_ports:
        for way in ends(before, in_port):
            own = way._replace(registers={Field.IN_PORT: in_port}, written=ALL, copies=(), rules=())
            is_tagged = bool(way.frames.value & PRESENT)
            start = own._replace(tags=(None,) if is_tagged else (), is_told=False)
            for _, other in ways(by_number, 0, start):
                got, wanted = (copies(each, in_port) for each in (other, way))
                if got != wanted and other.space.frame() is not None:
                    return example(other.space, is_tagged, (), ())
    return None


def test_a_changed_flow_is_found_or_sends_every_frame_where_it_went(world: World) -> None:
    """Delete each flow, change each number: what the proof lets pass is the same for all frames."""
    every = [each for rule in world.rules for each in mutations(rule)]
    random = Random(SEED)
    chosen = every if MUTATIONS == "all" else random.sample(every, int(MUTATIONS))
    assert not is_found(world.rules, world.intent)
    in_ports = sorted({*world.intent.ofports, LOCAL, 0xFEFE})
    found = 0
    for rule, instead in chosen:
        rest = [each for each in world.rules if each is not rule]
        changed = rest if instead is None else [*rest, instead]
        if is_found(changed, world.intent):
            found += 1
        else:
            missed = difference(world.rules, changed, in_ports)
            assert missed is None, (rule.text, instead, missed)
    print(f"figure: mutations: {len(chosen)} of {len(every)}, {found} found, the others without effect")
    assert found
