"""A kept proof follows again only what a change can concern, and all if it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

import pytest

from model import rows
from trunkline.core.field import Field, Term
from trunkline.core.flow import Action, Flow, Goto, Output
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.core.pipeline import DESTINATION_PORT, NETWORK, SOURCE_PORT, Band, Table
from trunkline.openflow import message
from trunkline.proof.intent import Intent
from trunkline.proof.kept import KeptProof
from trunkline.proof.proof import proved
from trunkline.proof.switch import NotProvableError, rules

RED, BLUE = UUID(int=1), UUID(int=2)


def port(key: int, network: UUID) -> Port:
    return Port(UUID(int=100 + key), f"p{key}", key, network, 0x02AA00000000 + key, (IPv4Address(key),))


LOCAL, OTHER, BLUES, REMOTE = (
    port(key, network) for key, network in ((11, RED), (12, RED), (21, BLUE), (13, RED))
)
WORLD = rows.Rows(
    {
        RED: Network(RED, "red", 1, "physnet1", 101),
        BLUE: Network(BLUE, "blue", 2, "physnet1", 102),
    },
    {each.id: each for each in (LOCAL, OTHER, BLUES, REMOTE)},
    {each.name: (Vif(each.name, each.name, each.key),) for each in (LOCAL, OTHER, BLUES)},
    {"physnet1": Uplink("physnet1", "br-1", 1)},
)


def flows_of(world: rows.Rows) -> dict[bytes, bytes]:
    return dict(map(message.encode, rows.flows(world)))


def intent_of(world: rows.Rows) -> Intent:
    return Intent(rows.CHASSIS, world.networks, world.ports, world.vifs, world.uplinks, world.whole_physnets)


def differing(before: Mapping[bytes, bytes], now: Mapping[bytes, bytes]) -> dict[bytes, bytes | None]:
    return {key: now.get(key) for key in before.keys() | now.keys() if before.get(key) != now.get(key)}


@pytest.fixture
def kept() -> KeptProof:
    """The proof of the world as it is at first."""
    return KeptProof(flows_of(WORLD), intent_of(WORLD))


def changed(of: Port, **columns: Any) -> rows.Rows:
    return replace(WORLD, ports={**WORLD.ports, of.id: of._replace(**columns)})


NEW = port(14, RED)
CHANGES = {
    "a MAC here": changed(LOCAL, mac=0x020000000099),
    "a MAC elsewhere": changed(REMOTE, mac=0x020000000098),
    "an address": changed(LOCAL, addresses=(IPv4Address(99),)),
    "port security": changed(LOCAL, is_secured=False),
    "a port that is gone": replace(WORLD, ports={each.id: each for each in (LOCAL, BLUES, REMOTE)}),
    "a port that is disabled": changed(OTHER, is_enabled=False),
    "a VIF that is gone": replace(WORLD, vifs={each.name: WORLD.vifs[each.name] for each in (OTHER, BLUES)}),
    "a VIF with another number": replace(WORLD, vifs={**WORLD.vifs, "p12": (Vif("p12", "p12", 77),)}),
    "a new port": replace(
        WORLD,
        ports={**WORLD.ports, NEW.id: NEW},
        vifs={**WORLD.vifs, NEW.name: (Vif(NEW.name, NEW.name, 14),)},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_of_one_port_not_all_is_proved_again(kept: KeptProof, change: str) -> None:
    then = CHANGES[change]
    kept.change(differing(flows_of(WORLD), flows_of(then)), intent_of(then))
    assert (kept.violations, kept.is_renewed) == ([], False)


HARMLESS = "a MAC elsewhere"
"""Without a flow for it, frames to it leave by the wire, as they should."""


@pytest.mark.parametrize("change", sorted(CHANGES.keys() - {HARMLESS}))
def test_rows_without_their_flows_and_flows_without_their_rows_are_wrong(
    kept: KeptProof, change: str
) -> None:
    then = CHANGES[change]
    flows = differing(flows_of(WORLD), flows_of(then))
    kept.change({}, intent_of(then))
    assert kept.violations
    kept.change(flows, intent_of(then))
    assert kept.violations == []
    kept.change({}, intent_of(WORLD))
    assert kept.violations


def test_a_flow_that_goes_is_missed_as_a_proof_from_nothing_misses_it(kept: KeptProof) -> None:
    flows = flows_of(WORLD)
    missed, some = 0, list(flows.items())[::9]
    for key, body in some:
        kept.change({key: None}, intent_of(WORLD))
        rest = KeptProof({each: flows[each] for each in flows if each != key}, intent_of(WORLD))
        assert bool(kept.violations) == bool(rest.violations)
        missed += bool(kept.violations)
        kept.change({key: body}, intent_of(WORLD))
        assert kept.violations == []
    assert missed


MORE: dict[str, tuple[Band, tuple[Term, ...], tuple[Action, ...]]] = {
    "a flow of one port": (Band.SOURCE_MAC, (SOURCE_PORT(12),), (Goto(Table.L2_LOOKUP),)),
    "a flow of a MAC": (Band.BUM, (NETWORK(1), Field.ETH_DST(5)), (Output(21),)),
    "a flow of the last table": (Band.LOCAL, (DESTINATION_PORT(13),), (Output(21),)),
    "a flow of a port that nobody has": (
        Band.VIF,
        (Field.IN_PORT(88),),
        (NETWORK.set(1), Goto(Table.L2_LOOKUP)),
    ),
    "a flow of all": (Band.NO_STATION, (), (Output(21),)),
    "a flow of a part of a register": (Band.LOCAL, (NETWORK(1, 1),), (Output(21),)),
    "a flow of a register that none looked at": (Band.LOCAL, (SOURCE_PORT(11),), (Output(21),)),
}


@pytest.mark.parametrize("which", MORE)
def test_a_leak_is_found_and_gone_again(kept: KeptProof, which: str) -> None:
    band, match, actions = MORE[which]
    key, body = message.encode(Flow(band, match, actions, 0))
    kept.change({key: body}, intent_of(WORLD))
    assert kept.violations
    kept.change({key: None}, intent_of(WORLD))
    assert kept.violations == []


def test_a_flow_without_effect_is_proved_without_all_others(kept: KeptProof) -> None:
    key, body = message.encode(Flow(Band.LOCAL_MAC, (NETWORK(1), Field.ETH_DST(REMOTE.mac)), (), 0))
    harmless = message.encode(Flow(Band.BUM, (NETWORK(7), Field.ETH_DST(5)), (Output(21),), 0))
    kept.change({harmless.key: harmless.body}, intent_of(WORLD))
    assert (kept.violations, kept.is_renewed) == ([], False)
    kept.change({key: body}, intent_of(WORLD))
    assert kept.violations


def test_what_is_not_understood_is_refused(kept: KeptProof) -> None:
    key, body = message.encode(Flow(Band.NOBODY, (Field.IN_PORT(5),), (Output(0xFFFA),), 0))
    with pytest.raises(NotProvableError, match="the action NORMAL"):
        kept.change({key: body}, intent_of(WORLD))


# -- each reason to follow frames again, alone -----------------------------------------------------


def missed(
    before: Mapping[bytes, bytes], now: Mapping[bytes, bytes], then: rows.Rows, at_first: rows.Rows = WORLD
) -> list[str]:
    """Return which proofs say that flows and rows are right, once they have become *now* and *then*.

    They were right before.
    """
    kept = KeptProof(before, intent_of(at_first))
    assert kept.violations == []
    kept.change(differing(before, now), intent_of(then))
    fresh = proved(rules(now.items()), intent_of(then))
    return [name for name, found in (("kept", kept.violations), ("fresh", fresh)) if not found]


def but_for(band: Band, now: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the flows *now*, but with those of *band* as they are in the world at first."""

    def of_band(flows: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        there = band.table, band.priority
        return {each.key: each.body for each in rules(flows.items()) if (each.table, each.priority) == there}

    stale, gone = of_band(flows_of(WORLD)), of_band(now)
    assert stale != gone
    return {key: body for key, body in now.items() if key not in gone} | stale


def more(*flows: tuple[Band, tuple[Term, ...], tuple[Action, ...]]) -> dict[bytes, bytes]:
    """Return *flows*: band, match and actions of each."""
    return dict(message.encode(Flow(*each, 0)) for each in flows)


def test_frames_to_the_new_mac_of_a_port_elsewhere_are_followed() -> None:
    """No flow changes, and no port here. What is unknown stays here, so the new MAC has to be known."""
    quiet = WORLD.networks[RED]._replace(floods_unknown=False)
    world = replace(WORLD, networks={**WORLD.networks, RED: quiet})
    then = replace(world, ports={**world.ports, REMOTE.id: REMOTE._replace(mac=0x020000000098)})
    flows = flows_of(world)
    assert missed(flows, flows, then, world) == []


@pytest.mark.parametrize("change", ["a new port", "a port that is gone"])
def test_frames_to_a_group_are_followed_if_it_has_other_members(change: str) -> None:
    then = CHANGES[change]
    assert missed(flows_of(WORLD), but_for(Band.BUM, flows_of(then)), then) == []


def test_frames_from_the_wire_with_the_new_mac_of_a_port_here_are_followed() -> None:
    then = CHANGES["a MAC here"]
    assert missed(flows_of(WORLD), but_for(Band.REFLECTION, flows_of(then)), then) == []


def test_all_is_followed_if_a_flow_was_harmless_only_by_what_a_port_may_not_send() -> None:
    """The port gets the MAC that it would leak with. Its frames then look as they did before."""
    then = CHANGES["a MAC here"]
    leak = more(
        (
            Band.LOCAL_MAC,
            (SOURCE_PORT(11), Field.ETH_SRC(then.ports[LOCAL.id].mac), Field.ETH_DST(OTHER.mac)),
            (Output(21),),
        )
    )
    assert missed(flows_of(WORLD) | leak, flows_of(then) | leak, then) == []


SHORT_CUT = more(
    (
        Band.ADDRESS,
        (
            SOURCE_PORT(11),
            Field.ETH_SRC(LOCAL.mac),
            Field.ETH_TYPE(0x0800),
            Field.IPV4_SRC(11),
            Field.ETH_DST(OTHER.mac),
        ),
        (Output(12),),
    )
)
"""A flow that sends frames to their receiver before it is asked for."""


def test_all_is_followed_if_some_frames_pass_without_a_look_at_their_receiver() -> None:
    """The receiver moves, and they do not."""
    then = CHANGES["a VIF with another number"]
    assert missed(flows_of(WORLD) | SHORT_CUT, flows_of(then) | SHORT_CUT, then) == []


def test_frames_that_pass_without_a_look_at_their_receiver_may_come_later(kept: KeptProof) -> None:
    kept.change(dict(SHORT_CUT), intent_of(WORLD))
    assert (kept.violations, kept.is_renewed) == ([], False)
    then = CHANGES["a VIF with another number"]
    kept.change(differing(flows_of(WORLD), flows_of(then)), intent_of(then))
    assert kept.violations


def test_frames_are_followed_to_a_flow_that_asks_for_what_a_later_table_writes() -> None:
    """The table that asks for the receiver does not write it."""
    detour = more((Band.LOCAL, (DESTINATION_PORT(12),), (DESTINATION_PORT.set(40), Goto(Table.DISPATCH))))
    right, wrong = (more((Band.DELIVER, (DESTINATION_PORT(40),), (Output(each),))) for each in (12, 21))
    before = flows_of(WORLD) | detour
    assert missed(before | right, before | wrong, WORLD) == []


@pytest.mark.parametrize(
    ("table", "band"), [(Table.REFUSED, Band.ADDRESS_REFUSED), (Table.L2_LOOKUP, Band.BUM)]
)
def test_frames_of_a_port_that_only_a_later_table_names_are_followed(table: Table, band: Band) -> None:
    before = flows_of(WORLD) | more((Band.NOBODY, (), (Goto(table),)))
    leak = more((band, (Field.IN_PORT(88),), (Output(21),)))
    assert missed(before, before | leak, WORLD) == []
