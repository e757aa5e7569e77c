"""A request is answered after the switch has answered, and that after its wiring is in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from trunkline.agent.hearing import Hearing
from trunkline.ovsdb.nb_replica import NorthboundReplica


@dataclass
class Nb:
    """What `Hearing` reads of a northbound."""

    nb_cfg: int


def hear(hearing: Hearing, nb: Nb) -> bool:
    return hearing.hear(cast(NorthboundReplica, nb))


def test_the_switch_is_asked_once_for_each_request() -> None:
    hearing, nb = Hearing(), Nb(7)
    for nb.nb_cfg in (7, 8):
        assert hear(hearing, nb)
        assert not hearing.is_switch_asked
        assert [hearing.must_ask_switch(is_wired=True) for _ in range(3)] == [True, False, False]
        assert not hear(hearing, nb)
        assert hearing.is_switch_asked


def test_the_switch_is_asked_when_it_is_wired_and_again_when_its_wiring_was_put_back() -> None:
    """ovs-vswitchd deletes all flows of a bridge when its controllers change, also when we take them away."""
    hearing = Hearing()
    assert hear(hearing, Nb(7))
    assert not hearing.must_ask_switch(is_wired=False)
    assert hearing.must_ask_switch(is_wired=True)
    assert not hearing.must_ask_switch(is_wired=False)
    assert not hearing.is_switch_asked
    assert hearing.must_ask_switch(is_wired=True)
