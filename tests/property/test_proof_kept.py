"""A kept proof says the same as a proof from nothing, whatever rows and flows become."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings

from model import rows
from model.drawn import histories, randoms
from trunkline.core.field import Field, Term
from trunkline.core.flow import Action, Flow, Goto, Output, PopVlan, PushVlan, Set
from trunkline.core.pipeline import DESTINATION_PORT, NETWORK, SOURCE_PORT, Band, Table
from trunkline.openflow import message
from trunkline.proof.intent import Intent
from trunkline.proof.kept import KeptProof
from trunkline.proof.proof import proved
from trunkline.proof.switch import rules

EDITS = 3
LOOPS = {Band.PRIORITY_TAG}
"""The bands whose flows go to their own table, and would do so for ever without one of their actions."""


def intent_of(now: rows.Rows) -> Intent:
    return Intent(rows.CHASSIS, now.networks, now.ports, now.vifs, now.uplinks, now.whole_physnets)


def foreign(random: Random, now: rows.Rows) -> Flow:
    """Return a flow of nobody: it may match much or little, and send it on, drop it, or let it out."""
    port = random.choice(list(now.ports.values()) or [None])
    key, mac = (1, 2) if port is None else (port.key, port.mac)
    matches: list[tuple[Term, ...]] = [
        (),
        (NETWORK(random.randrange(1, 3)),),
        (Field.IN_PORT(random.randrange(1, 12)),),
        (SOURCE_PORT(key),),
        (DESTINATION_PORT(key),),
        (Field.ETH_SRC(mac),),
        (Field.ETH_DST(mac),),
        (Field.VLAN_VID(0x1000 | random.choice([0, 101, 102])),),
        (NETWORK(random.randrange(4), 3),),
    ]
    actions: list[tuple[Action, ...]] = [
        (),
        (Output(random.randrange(1, 12)),),
        (NETWORK.set(random.randrange(1, 3)), Goto(Table.L2_LOOKUP)),
        (DESTINATION_PORT.set(key), Goto(Table.DISPATCH)),
        (Field.ETH_DST.set(mac), Goto(Table.DISPATCH)),
        (Goto(Table.REFUSED),),
    ]
    band = random.choice([each for each in Band if each not in LOOPS])
    does = tuple(
        each for each in random.choice(actions) if not isinstance(each, Goto) or each.table > band.table
    )
    match = tuple(dict.fromkeys(random.choice(matches) + random.choice(matches)))
    return Flow(band, match if len({each.field for each in match}) == len(match) else match[:1], does, 0)


def harmed(random: Random, flow: Flow) -> Flow:
    """Return *flow* with another number in one of its actions, or without it."""
    actions = list(flow.actions)
    at = random.randrange(len(actions))
    match actions[at]:
        case Output(ofport):
            actions[at] = Output(random.choice([ofport + 1, 1, 2, 3]))
        case Set(field, value) if field in (NETWORK, DESTINATION_PORT, SOURCE_PORT):
            actions[at] = Set(field, random.choice([value + 1, 1, 2, 3]))
        case PushVlan(vlan_id):
            actions[at] = PushVlan(vlan_id % 4094 + 1)
        case PopVlan() | Goto():
            del actions[at]
    return flow._replace(actions=tuple(actions))


class Meddler:
    """Somebody who adds, removes and changes flows now and then, and takes that back."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._harm: dict[bytes, bytes | None] = {}

    def flows(self, now: rows.Rows) -> dict[bytes, bytes]:
        """Return the flows that are there once the agent's, and what was done to them, are."""
        flows = rows.flows(now)
        found = dict(map(message.encode, flows))
        what = self._random.randrange(6)
        if what == 0:
            self._harm = {}
        elif what == 1:
            self._harm[self._random.choice(list(found))] = None
        elif what == 2:
            able = [each for each in flows if each.actions and each.band not in LOOPS]
            if able:
                key, body = message.encode(harmed(self._random, self._random.choice(able)))
                self._harm[key] = body
        elif what == 3:
            key, body = message.encode(foreign(self._random, now))
            self._harm[key] = body
        for key, harm in self._harm.items():
            if harm is None:
                found.pop(key, None)
            else:
                found[key] = harm
        return found


@settings(max_examples=40)
@given(history=histories(EDITS), random=randoms())
def test_after_any_changes_a_kept_proof_says_what_a_proof_from_nothing_says(
    history: list[rows.Rows], random: Random
) -> None:
    meddler = Meddler(random)
    before: dict[bytes, bytes] = {}
    kept = KeptProof(before, intent_of(rows.Rows()))
    for edited in history:
        for _ in range(random.randrange(1, 3)):
            now = meddler.flows(edited)
            changes = {
                key: now.get(key) for key in before.keys() | now.keys() if before.get(key) != now.get(key)
            }
            kept.change(changes, intent_of(edited))
            fresh = proved(rules(now.items()), intent_of(edited))
            assert bool(kept.violations) == bool(fresh), (kept.is_renewed, fresh[:1])
            before = now
