"""The proof by hand: each way to let a frame out of its network is found, and what is unknown is refused."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from random import Random
from uuid import UUID

import pytest

from model import rows
from trunkline import apps
from trunkline.bridge.prober import catches
from trunkline.core.address_probe import REPLIES
from trunkline.core.cookie import COOKIE_OURS
from trunkline.core.field import Field, Term
from trunkline.core.flow import Action, Controller, Flow, Goto, Output, PopVlan, PushVlan, Resubmit, Set
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.core.outcome import Outcomes
from trunkline.core.pipeline import DESTINATION_PORT, NETWORK, RETURNED, SOURCE_PORT, Band, Table
from trunkline.openflow import message
from trunkline.proof.example import example, in_words, plain
from trunkline.proof.intent import Intent
from trunkline.proof.likeness import Likeness
from trunkline.proof.overlap import overlap
from trunkline.proof.proof import Violation, proved
from trunkline.proof.space import HIDDEN, TAGGED, Cube, Cubes, Space, narrowed, open_holes, vlan_ids
from trunkline.proof.switch import NotProvableError
from trunkline.proof.switch import rules as rules_of
from trunkline.proof.table import tables
from trunkline.proof.visit import visit
from trunkline.proof.wrong import ALTERED, EXTRA, FORBIDDEN, MISSING, TWICE, wrongs

RED, BLUE, FLAT = (UUID(int=number) for number in (1, 2, 3))
NETWORKS = {
    RED: Network(RED, "red", 1, "physnet1", 101),
    BLUE: Network(BLUE, "blue", 2, "physnet1", 102),
    FLAT: Network(FLAT, "flat", 3, "physnet2", None),
}
PORTS = {
    UUID(int=10 + number): Port(
        UUID(int=10 + number), f"p{number}", number, network, 0x0200AA000000 + number, (IPv4Address(number),)
    )
    for number, network in ((11, RED), (12, RED), (13, RED), (21, BLUE), (31, FLAT))
}
SUB = UUID(int=99)
PORTS[SUB] = Port(SUB, "sub", 22, BLUE, 0x020000000022, parent="p11", parent_vlan=7)
WORLD = rows.Rows(
    NETWORKS,
    PORTS,
    {f"p{number}": (Vif(f"p{number}", f"p{number}", number),) for number in (11, 12, 13, 21, 31)},
    {"physnet1": Uplink("physnet1", "br-1", 1), "physnet2": Uplink("physnet2", "br-2", 2)},
)


def violations(flows: list[Flow], world: rows.Rows = WORLD) -> list[Violation]:
    return proved(rules_of(map(message.encode, flows)), intent_of(world))


def intent_of(world: rows.Rows) -> Intent:
    return Intent(rows.CHASSIS, world.networks, world.ports, world.vifs, world.uplinks, world.whole_physnets)


def test_the_flows_of_the_agent_are_proved() -> None:
    assert violations(rows.flows(WORLD)) == []


def test_holes_of_many_parts_are_those_of_each_part() -> None:
    random = Random(1)
    for _ in range(200):
        holes = tuple(
            Cube(random.getrandbits(12) & mask, mask)
            for mask in (random.choice([0x0FF, 0xF0F, 0xFF0, 0x003]) for _ in range(random.randrange(20)))
        )
        frames = Cube(random.getrandbits(12) & 0x00F, 0x00F)
        own = open_holes(frames, holes)
        if own is None:
            continue
        values = range(0, 0xF0, 0x10)
        parts = [Cube(frames.value | value, frames.mask | 0x0F0) for value in values]
        expected = [open_holes(part, own) for part in parts]
        found = list(narrowed(frames, 0x0F0, own, values))
        assert [each and set(each) for each in found] == [each and set(each) for each in expected]
        index = Cubes()
        for hole in own:
            index.add(hole)
        assert [open_holes(part, index.touching(part)) is None for part in parts] == [
            each is None for each in expected
        ]


def test_of_a_wrong_flow_for_all_senders_the_frames_of_one_are_shown() -> None:
    found = violations(LEAKS["broadcast reaches a port of another network"](rows.flows(WORLD)))
    from_vifs = {violation.in_port for violation in found if not violation.meant.is_from_wire}
    assert len(from_vifs) == 1


Change = Callable[[list[Flow]], list[Flow]]


def kind(action: Action) -> object:
    return action.field if isinstance(action, Set) else type(action)


def each(band: Band, *instead: Action, of: int = 0) -> Change:
    """Have the flow of *band* at place *of* do *instead* in place of its own actions of these kinds."""

    def change(flows: list[Flow]) -> list[Flow]:
        at = [number for number, flow in enumerate(flows) if flow.band is band and flow.actions][of]
        kinds = {kind(action) for action in instead}
        kept = tuple(action for action in flows[at].actions if kind(action) not in kinds)
        flows[at] = flows[at]._replace(actions=(*instead, *kept))
        return flows

    return change


def missing(band: Band, of: type) -> Change:
    """Take the actions of that kind from the flows of *band*."""
    return lambda flows: [
        flow._replace(actions=tuple(act for act in flow.actions if not isinstance(act, of)))
        if flow.band is band
        else flow
        for flow in flows
    ]


def gone(*bands: Band) -> Change:
    """Take away the flows of *bands*."""
    return lambda flows: [flow for flow in flows if flow.band not in bands]


def more(band: Band, match: tuple[Term, ...], *actions: Action) -> Change:
    """Add a flow of *band*."""
    return lambda flows: [*flows, Flow(band, match, actions, 0)]


TO_L2 = Goto(Table.L2_LOOKUP)
LEAKS: dict[str, Change] = {
    "all VIFs are in one network": lambda flows: [
        flow._replace(actions=(*flow.actions[:-1], NETWORK.set(2), flow.actions[-1]))
        if flow.band is Band.VIF
        else flow
        for flow in flows
    ],
    "a VIF is in the network of another physical network": each(Band.VIF, NETWORK.set(3)),
    "a sub-port is in its parent's network": each(Band.SUBPORT, NETWORK.set(1)),
    "a VIF with any tag passes": gone(Band.TAGGED, Band.INNER_TAG),
    "a tag behind a priority tag passes": gone(Band.PRIORITY_STACK, Band.HIDDEN_TAG),
    "a VLAN comes into another network": each(Band.UPLINK, NETWORK.set(3)),
    "another VLAN comes into a network": more(
        Band.UPLINK, (Field.IN_PORT(1), Field.VLAN_VID(0x1000 | 300)), PopVlan(), NETWORK.set(1), TO_L2
    ),
    "another uplink's VLAN comes into a network": more(
        Band.UPLINK, (Field.IN_PORT(2), Field.VLAN_VID(0x1000 | 101)), PopVlan(), NETWORK.set(1), TO_L2
    ),
    "untagged frames come into a VLAN network": more(
        Band.UPLINK, (Field.IN_PORT(1), Field.VLAN_VID(0)), NETWORK.set(1), TO_L2
    ),
    "a port of nobody comes into a network": more(Band.VIF, (Field.IN_PORT(77),), NETWORK.set(1), TO_L2),
    "the bridge's own port comes into a network": more(
        Band.VIF, (Field.IN_PORT(0xFFFE),), NETWORK.set(1), TO_L2
    ),
    "any port comes into a network": more(Band.VIF, (), NETWORK.set(1), TO_L2),
    "broadcast reaches a port of another network": each(Band.BUM, Output(31)),
    "broadcast reaches the bridge's own port": each(Band.BUM, Output(0xFFFE)),
    "broadcast leaves untagged": missing(Band.BUM_OUT, PushVlan),
    "broadcast leaves with another tag": each(Band.BUM_OUT, PushVlan(102)),
    "broadcast leaves by another uplink": each(Band.BUM_OUT, Output(2)),
    "a VIF gets another port's frames": each(Band.DELIVER, Output(31)),
    "a MAC of one network belongs to a port of another": each(Band.LOCAL_MAC, DESTINATION_PORT.set(31)),
    "one source address reaches another network": more(Band.BUM, (NETWORK(1), Field.ETH_SRC(5)), Output(21)),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_found_with_the_way_that_frames_take(leak: str) -> None:
    found = violations(LEAKS[leak](rows.flows(WORLD)))
    assert found
    for violation in found:
        assert all(rule.text.startswith("cookie=") for rule in violation.rules)


def test_open_vswitch_itself_sends_nothing_back_to_the_wire_where_it_came_in() -> None:
    assert violations(gone(Band.FROM_WIRE)(rows.flows(WORLD))) == []


def senders(mac: int) -> set[int]:
    """Return who can send frames from *mac* of red to another network, if a flow lets these out."""
    leak = more(Band.BUM, (NETWORK(1), Field.ETH_SRC(mac)), Output(21))(rows.flows(WORLD))
    return {each.in_port for each in violations(leak)}


def test_a_way_on_which_two_flows_exclude_one_another_is_none() -> None:
    # Each port is held to its own MAC, and the wire to those of others.
    assert senders(0x020000000099) == {1}
    assert senders(PORTS[UUID(int=22)].mac) == {12}


def test_of_ports_that_are_alike_one_is_followed_until_another_leaks() -> None:
    flows = rows.flows(WORLD)
    by_number = tables(rules_of(map(message.encode, flows)))
    likeness = Likeness(by_number, intent_of(WORLD))
    of_11, of_12, of_13 = (visit(by_number, {50}, in_port) for in_port in (11, 12, 13))
    assert likeness.known(12, of_12) is None
    likeness.learn(12, [])
    assert (likeness.known(13, of_13), likeness.known(11, of_11)) == ([], None)
    assert senders(PORTS[UUID(int=23)].mac) == {13}
    # One flow of two that are alike is another one: both ports are followed.
    changed = more(Band.SOURCE_MAC, (SOURCE_PORT(13),), Output(21))(flows)
    assert {each.in_port for each in violations(changed)} == {13}


def delivering(to: Output, *instead: Action) -> Change:
    """Have the flow that delivers *to* a port do *instead*."""
    return lambda flows: [
        flow._replace(actions=instead) if flow.band is Band.DELIVER and flow.actions == (to,) else flow
        for flow in flows
    ]


WRONG: dict[str, tuple[Change, str]] = {
    "a MAC here leaves by the wire": (gone(Band.LOCAL_MAC), MISSING),
    "broadcast reaches nobody here": (missing(Band.BUM, Output), MISSING),
    "unknown unicast is dropped": (gone(Band.UNKNOWN), MISSING),
    "a port gets unicast of another of its network": (delivering(Output(11), Output(12)), EXTRA),
    "a forged MAC passes": (more(Band.SOURCE_MAC, (SOURCE_PORT(12),), TO_L2), FORBIDDEN),
    "a forged address passes": (gone(Band.ADDRESS_FORGED), FORBIDDEN),
    "a forged sender of ARP passes": (
        more(Band.ADDRESS_ANY, (Field.ETH_TYPE(0x0806),), TO_L2),
        FORBIDDEN,
    ),
    "a frame of a probe passes": (gone(Band.UNCAUGHT), FORBIDDEN),
    "a DHCP answer passes": (gone(Band.SERVER), FORBIDDEN),
    "a local port's MAC comes from the wire": (gone(Band.REFLECTION), FORBIDDEN),
    "a copy is another frame": (delivering(Output(12), Field.ETH_DST.set(8), Output(12)), ALTERED),
    "a copy leaves twice": (delivering(Output(12), Output(12), Output(12)), TWICE),
}


@pytest.mark.parametrize("case", WRONG)
def test_frames_go_exactly_where_they_should(case: str) -> None:
    change, what = WRONG[case]
    found = violations(change(rows.flows(WORLD)))
    assert what in {wrong.what for violation in found for wrong in wrongs(violation, intent_of(WORLD))}
    for violation in found:
        frame = example(violation.space, violation.is_tagged, [], [])
        assert in_words(frame).startswith("from ")


def test_flows_of_one_priority_that_match_a_frame_are_told_from_others() -> None:
    mac = PORTS[UUID(int=22)].mac
    changed = more(Band.LOCAL_MAC, (SOURCE_PORT(11), Field.ETH_DST(mac)), Output(13))(rows.flows(WORLD))
    by_number = tables(rules_of(map(message.encode, changed)))
    found = [each for each in violations(changed) if each.got == ((13, ()),)]
    assert found
    for each in found:
        frame = plain(each.space, [], [])
        both = overlap(by_number, each.in_port, frame, each.rules, is_tagged=each.is_tagged)
        assert [SOURCE_PORT in {field for field, _, _ in rule.known} for rule in both] == [True, False]
        assert {(rule.table, rule.priority) for rule in both} == {(50, Band.LOCAL_MAC.priority)}
    changed = gone(Band.LOCAL_MAC)(rows.flows(WORLD))
    by_number = tables(rules_of(map(message.encode, changed)))
    found = violations(changed)
    assert found
    for each in found:
        frame = plain(each.space, [], [])
        assert not overlap(by_number, each.in_port, frame, each.rules, is_tagged=each.is_tagged)


MIGRATING = UUID(int=22)
"""The port 12, whose VIF is here."""


@pytest.mark.parametrize("is_awake", [False, True])
def test_a_port_that_migrates_here_is_nowhere_until_it_is_awake(is_awake: bool) -> None:
    port = PORTS[MIGRATING]._replace(requested_chassis=("chassis-b", rows.CHASSIS), chassis="chassis-b")
    world = replace(WORLD, ports={**PORTS, MIGRATING: port})
    inventory = rows.inventory(world)
    if is_awake:
        inventory.wake(MIGRATING)
    views = Outcomes(inventory).refresh().values()
    flows = [flow for view in views if view is not None for flow in apps.flows(view)]
    asleep = intent_of(world)
    awake = Intent(
        *(rows.CHASSIS, world.networks, world.ports, world.vifs, world.uplinks, world.whole_physnets),
        awake={MIGRATING},
    )
    found = [bool(proved(rules_of(map(message.encode, flows)), each)) for each in (asleep, awake)]
    assert found == [is_awake, not is_awake]


CAUGHT = (Field.IN_PORT(1), *REPLIES[0], RETURNED(0))


@pytest.mark.parametrize("is_for_addresses", [True, False])
def test_a_frame_that_the_agent_catches_is_in_its_hands(is_for_addresses: bool) -> None:
    caught = list(catches(1, is_for_addresses=is_for_addresses))
    assert violations([*rows.flows(WORLD), *caught]) == []


@pytest.mark.parametrize(
    "flow",
    [
        Flow(Band.CATCH, CAUGHT, (Controller(),), 0x5),
        Flow(Band.REFLECTION, CAUGHT, (Controller(),), COOKIE_OURS),
        Flow(Band.BUM, (), (Controller(),), COOKIE_OURS),
    ],
)
def test_a_frame_that_another_flow_gives_to_the_controller_goes_nowhere(flow: Flow) -> None:
    assert violations([*rows.flows(WORLD), flow])


def encoded(*flows: Flow, body: bytes = b"") -> list[tuple[bytes, bytes]]:
    return [(key, old + body) for key, old in map(message.encode, flows)]


NORMAL = Flow(Band.NOBODY, (), (Output(0xFFFA),), 0)
REWRITES = Flow(Band.NOBODY, (), (Field.VLAN_VID.set(0x1065),), 0)
HIDES = Flow(Band.NOBODY, (), (Field.IN_PORT.set(3), Output(3)), 0)
"""Open vSwitch drops the copy for port 3, whatever port the frame came from."""
GOES_ON = Flow(Band.PRIORITY_TAG, (), (Resubmit(Table.PORT_SECURITY), Output(1)), 0)
GROUP = struct.pack(">HHI", 22, 8, 1)
"""OFPAT_GROUP (OpenFlow 1.4.0 section 7.2.5)."""
APPLY = struct.pack(">HHI", 4, 16, 0) + GROUP


@pytest.mark.parametrize(
    ("flows", "reason"),
    [
        (encoded(NORMAL), "the action NORMAL: "),
        (encoded(REWRITES), "a change of vlan_vid: "),
        (encoded(HIDES), "a change of in_port: "),
        (encoded(GOES_ON), "actions after a resubmit: "),
        (encoded(Flow(Band.NOBODY, (), (), 0), body=APPLY), "the action group:1: "),
    ],
)
def test_what_it_does_not_understand_it_refuses_by_name(
    flows: list[tuple[bytes, bytes]], reason: str
) -> None:
    with pytest.raises(NotProvableError, match=re.escape(reason)):
        rules_of(flows)


def test_a_space_is_empty_exactly_if_its_holes_fill_it() -> None:
    assert Space(TAGGED).without(vlan_ids(number) for number in range(1, 4095)) is not None
    space = Space(vlan_ids(5)).without(HIDDEN)
    assert space is not None
    assert all(space.within(hidden) is None for hidden in HIDDEN)
    assert space.without([TAGGED]) is None
