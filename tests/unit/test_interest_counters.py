"""What a VIF costs in the northbound session, in exact numbers, so that a slip in complexity fails at once.

DESIGN.md section 7: one port in a network of 10,000 costs one port's work.
"""

from __future__ import annotations

import json
from typing import NamedTuple
from uuid import UUID

import pytest

from model.cost import lines_run
from trunkline.ovsdb.interest import MANY_NETWORKS, Carried, Clause, Interest

CHASSIS = "chassis-a"
NETWORK_ID = UUID(int=1)


class Asking(NamedTuple):
    """What an event costs in the northbound session: messages, clauses made and dropped, and bytes sent."""

    messages: int
    clauses_made: int
    clauses_dropped: int
    bytes_sent: int


NOTHING = Asking(0, 0, 0, 0)

PARENT_BYTES = len('["parent","==","p0000"],')
NAME_BYTES = len('["name","==","p0000"],["iface_id","==","p0000"],')
WHOLE_BYTES = len(
    '[["network","==",["uuid","00000000-0000-0000-0000-000000000001"]],["chassis","==","chassis-a"],]'
)
LEARNED_BYTES = len('[["chassis","==","chassis-a"],]')


class Session:
    """A chassis' northbound session with the *local* first ports of a network plugged in."""

    def __init__(self, local: int, *, is_explicit: bool = True) -> None:
        self.interest = Interest(CHASSIS)
        self.asked: dict[str, list[Clause]] = {}
        for number in range(local):
            self.interest.set_vif(iface_id(number), is_here=True)
        self.ask()
        for number in range(local + 1 if is_explicit else local):
            self.load(number)
        self.interest.set_network(NETWORK_ID, is_explicit=is_explicit)
        self.ask()

    def load(self, number: int) -> None:
        name = iface_id(number)
        self.interest.set_port(UUID(int=1000 + number), Carried(name, name, NETWORK_ID, name))

    def plug(self, number: int, *, is_here: bool, is_patient: bool = False) -> Asking:
        """Let a VIF come or go, and return what that cost."""
        self.interest.set_vif(iface_id(number), is_here=is_here)
        return self.ask(is_patient=is_patient)

    def ask(self, *, is_patient: bool = False) -> Asking:
        conditions = self.interest.conditions(is_patient=is_patient)
        old = {id(clause) for table in conditions for clause in self.asked.get(table, ())}
        new = {id(clause) for clauses in conditions.values() for clause in clauses}
        sent = sum(len(json.dumps(clauses, separators=(",", ":"))) for clauses in conditions.values())
        self.asked |= conditions
        return Asking(int(bool(conditions)), len(new - old), len(old - new), sent)


def iface_id(number: int) -> str:
    return f"p{number:04}"


@pytest.mark.parametrize("local", [200, 1000, 2000])
def test_a_vif_whose_port_is_loaded_makes_one_clause_and_none_when_it_comes_back(local: int) -> None:
    session = Session(local)
    comes = session.plug(local, is_here=True)
    assert comes == Asking(1, 1, 0, WHOLE_BYTES - 1 + (local + 1) * PARENT_BYTES)
    assert session.plug(local, is_here=False) == NOTHING
    assert session.plug(local, is_here=True) == NOTHING


def test_vifs_whose_ports_are_loaded_wait_for_one_another_and_are_asked_for_together() -> None:
    session = Session(200)
    session.load(201)
    for number in (200, 201):
        assert session.plug(number, is_here=True, is_patient=True) == NOTHING
        assert session.interest.has_deferred_rows
    assert session.ask() == Asking(1, 2, 0, WHOLE_BYTES - 1 + 202 * PARENT_BYTES)
    assert not session.interest.has_deferred_rows


def test_a_vif_that_goes_while_it_waits_is_never_asked_for() -> None:
    session = Session(200)
    assert session.plug(200, is_here=True, is_patient=True) == NOTHING
    assert session.plug(200, is_here=False, is_patient=True) == NOTHING
    assert not session.interest.has_deferred_rows
    assert session.ask() == NOTHING


def test_a_vif_whose_port_is_unknown_does_not_wait_and_takes_along_what_does() -> None:
    session = Session(200)
    assert session.plug(200, is_here=True, is_patient=True) == NOTHING
    assert session.plug(300, is_here=True, is_patient=True).clauses_made == 4
    assert not session.interest.has_deferred_rows


@pytest.mark.parametrize("local", [200, 1000, 2000])
def test_a_vif_in_a_learned_network_makes_and_drops_three_clauses(local: int) -> None:
    session = Session(local, is_explicit=False)
    comes = session.plug(local, is_here=True)
    assert comes == Asking(1, 3, 0, LEARNED_BYTES - 1 + (local + 1) * (NAME_BYTES + PARENT_BYTES))
    session.load(local)
    assert session.ask() == NOTHING
    goes = session.plug(local, is_here=False)
    assert goes == Asking(1, 0, 3, LEARNED_BYTES - 1 + local * (NAME_BYTES + PARENT_BYTES))


@pytest.mark.parametrize("is_explicit", [True, False])
def test_a_vif_costs_the_same_steps_however_many_are_here(is_explicit: bool) -> None:
    def steps(local: int) -> list[int]:
        session = Session(local, is_explicit=is_explicit)
        interest = session.interest
        return [
            lines_run(event)
            for event in (
                lambda: interest.set_vif(iface_id(local), is_here=True),
                interest.conditions,
                lambda: session.load(local),
                lambda: interest.set_vif(iface_id(local), is_here=False),
                interest.conditions,
            )
        ]

    few = steps(200)
    assert all(few)
    assert steps(2000) == few


@pytest.mark.parametrize("networks", [MANY_NETWORKS - 1, MANY_NETWORKS, 4 * MANY_NETWORKS])
def test_the_ports_of_many_networks_are_asked_for_in_two_parts_and_none_is_dropped_between_them(
    networks: int,
) -> None:
    interest = Interest(CHASSIS)
    for number in range(networks):
        interest.set_vif(iface_id(number), is_here=True)
    named = interest.conditions()["Port"]
    for number in range(networks):
        name, network_id = iface_id(number), UUID(int=1 + number)
        interest.set_port(UUID(int=1000 + number), Carried(name, name, network_id, name))
        interest.set_network(network_id, is_explicit=True)
    whole, first = interest.conditions()["Port"], interest.first_ports
    assert len([clause for clause in whole if clause[0] == "network"]) == networks
    assert not [clause for clause in whole if clause[0] == "name"], "each comes with its network"
    members = [clause for clause in first if clause[0] == "network"]
    if networks < MANY_NETWORKS:
        assert first == whole
    else:
        assert len(members) == networks // 4
        assert all(clause in whole for clause in members)
        assert all(clause in first for clause in named)
