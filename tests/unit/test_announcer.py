"""When a port is announced: the clock is an argument, so that no test waits for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest

from model import example
from model.example import FLAT, VLAN
from trunkline.bridge.announcer import BURST, FRAMES_PER_S, Announcer
from trunkline.core.flow import Action, Output, PushVlan
from trunkline.core.view import LocalPortView

ONE, TWO = UUID(int=1), UUID(int=2)
PORT = example.PORT._replace(addresses=(ip_address("192.0.2.1"),))


@dataclass
class Recorder:
    """What a session is to the announcer: it takes frames, and says whether it can."""

    is_ready: bool = True
    sent: list[tuple[bytes, tuple[Action, ...]]] = field(default_factory=list)

    def packet_out(self, frame: bytes, actions: tuple[Action, ...], in_port: int | None = None) -> None:
        assert self.is_ready
        self.sent.append((frame, actions))


def times(announcer: Announcer, session: Any, start_s: float = 100.0, end_s: float = 200.0) -> list[float]:
    """Return when, after *start_s*, frames go out until *end_s*, woken as the agent's loop would be."""
    found = []
    now_s = start_s
    while now_s <= end_s:
        before = len(session.sent)
        announcer.run(now_s, 1, session)
        found += [now_s - start_s] * (len(session.sent) - before)
        if announcer.next_s is None:
            break
        assert announcer.next_s > now_s, "the loop would spin"
        now_s = announcer.next_s
    return found


def announced(view: LocalPortView = PORT) -> tuple[Announcer, Any]:
    announcer = Announcer()
    announcer.schedule(ONE, view, 1)
    return announcer, Recorder()


def test_rule_16_a_port_is_announced_at_once_and_after_1_2_4_8_and_16_seconds_more() -> None:
    assert times(*announced()) == [0, 1, 3, 7, 15, 31]


def test_each_address_is_announced_each_time() -> None:
    addresses = (ip_address("192.0.2.1"), ip_address("192.0.2.2"))
    assert times(*announced(PORT._replace(addresses=addresses))) == [0, 0, 1, 1, 3, 3, 7, 7, 15, 15, 31, 31]


def test_an_announcement_leaves_by_the_uplink_tagged_as_its_network() -> None:
    announcer, session = announced()
    announcer.run(0, 1, session)
    announcer.schedule(TWO, PORT._replace(wire=FLAT), 1)
    announcer.run(0, 1, session)
    assert [actions for _, actions in session.sent] == [(PushVlan(101), Output(1)), (Output(1),)]


def test_nothing_is_announced_before_the_ports_flows_are_acknowledged() -> None:
    announcer, session = announced()
    announcer.schedule(TWO, PORT._replace(mac=2), 5)
    for applied, count in ((-1, 0), (0, 0), (1, 1), (4, 1), (5, 2)):
        announcer.run(0, applied, session)
        assert len(session.sent) == count


def test_a_port_that_leaves_or_is_not_to_be_announced_is_silent_at_once() -> None:
    for now in (None, PORT._replace(is_announced=False), PORT._replace(wire=None)):
        announcer, session = announced()
        announcer.run(0, 1, session)
        announcer.schedule(ONE, now, 2)
        announcer.run(50, 9, session)
        assert len(session.sent) == 1
        assert announcer.next_s is None


def test_it_is_known_when_a_port_was_announced_as_it_is_now() -> None:
    announcer, session = announced()
    assert announcer.said_s(ONE) is None
    announcer.run(100, 1, session)
    announcer.run(101, 1, session)
    assert announcer.said_s(ONE) == 101
    # What another VLAN has carried says nothing of this one.
    announcer.schedule(ONE, PORT._replace(wire=VLAN._replace(vlan_id=5)), 2)
    assert announcer.said_s(ONE) is None
    announcer.run(102, 2, session)
    assert announcer.said_s(ONE) == 102
    announcer.schedule(ONE, None, 3)
    assert announcer.said_s(ONE) is None


def test_a_port_that_leaves_before_its_first_announcement_has_none() -> None:
    announcer, session = announced()
    announcer.schedule(ONE, None, 2)
    assert times(announcer, session) == []


def test_what_does_not_change_the_announcement_does_not_begin_it_anew() -> None:
    announcer, session = announced()
    announcer.run(100, 1, session)
    announcer.schedule(ONE, PORT._replace(is_secured=False), 1)
    assert times(announcer, session, 100.5) == [0.5, 2.5, 6.5, 14.5, 30.5]


def test_another_mac_address_or_wire_is_announced_from_the_start() -> None:
    for change in ({"mac": 7}, {"addresses": (ip_address("192.0.2.9"),)}, {"wire": VLAN._replace(vlan_id=5)}):
        announcer, session = announced()
        announcer.run(100, 1, session)
        announcer.schedule(ONE, PORT._replace(**change), 1)
        assert times(announcer, session, 100.5) == [0, 1, 3, 7, 15, 31]


def test_all_ports_are_announced_from_the_start_when_the_switch_is_back() -> None:
    announcer, session = announced()
    assert len(times(announcer, session)) == 6
    announcer.repeat_all(1)
    announcer.run(300, -1, session)
    assert len(session.sent) == 6, "its flows are not back yet"
    assert times(announcer, session, 300, 400) == [0, 1, 3, 7, 15, 31]


def test_a_port_announced_again_in_the_middle_is_not_announced_twice_over() -> None:
    announcer, session = announced()
    announcer.run(100, 1, session)
    announcer.repeat_all(1)
    assert times(announcer, session, 100.5) == [0, 1, 3, 7, 15, 31]


def test_a_switch_that_is_away_is_not_spoken_to_and_what_was_due_is_sent_once() -> None:
    announcer, session = announced()
    announcer.run(0, 1, session)
    session.is_ready = False
    announcer.run(10, 1, session)
    session.is_ready = True
    announcer.run(20, 1, session)
    assert len(session.sent) == 2
    assert announcer.next_s == 22


def test_the_loop_does_not_spin_while_a_switch_is_away_with_an_announcement_due() -> None:
    announcer, session = announced()
    announcer.run(0, 1, session)
    session.is_ready = False
    for now_s in (0.5, 10):
        announcer.run(now_s, 1, session)
        assert announcer.next_s is None


def test_ports_are_announced_each_by_its_own_clock() -> None:
    announcer, session = announced()
    announcer.run(0, 1, session)
    announcer.schedule(TWO, PORT._replace(mac=2), 1)
    announcer.run(0.5, 1, session)
    assert announcer.next_s == 1
    announcer.run(1, 1, session)
    assert announcer.next_s == 1.5
    assert announcer.sent == 3


def many(count: int, addresses: int) -> tuple[Announcer, Any]:
    """Return an announcer of *count* ports with as many IPv4 *addresses* each, ready to be announced."""
    announcer = Announcer()
    for number in range(1, count + 1):
        own = tuple(ip_address("10.0.0.0") + 256 * number + each for each in range(addresses))
        announcer.schedule(UUID(int=number), PORT._replace(mac=number, addresses=own), 1)
    return announcer, Recorder()


def senders(session: Any) -> list[int]:
    """Return the MAC, which is its number, of the port that each frame announces."""
    return [int.from_bytes(frame[6:12], "big") for frame, _ in session.sent]


def test_rule_16_600_ports_are_announced_at_a_pace_and_every_frame_goes_out() -> None:
    announcer, session = many(600, 2)
    found = times(announcer, session, end_s=1000)
    assert len(found) == 600 * 2 * 6
    for start, end in ((0, BURST), (100, 100 + 2 * FRAMES_PER_S)):
        assert found[end] - found[start] == pytest.approx(
            (end - start) / FRAMES_PER_S, abs=BURST / FRAMES_PER_S
        )
    in_a_second = [sum(at <= each < at + 1 for each in found) for at in range(int(found[-1]) + 1)]
    assert max(in_a_second) <= FRAMES_PER_S + BURST
    assert len(set(found)) >= len(found) / BURST, "never more than a burst at once"


def test_frames_that_wait_for_their_pace_do_not_wake_the_loop_one_by_one() -> None:
    announcer, session = many(600, 2)
    found = times(announcer, session, end_s=105)
    assert len(set(found)) < len(found) / (BURST / 2)


def test_every_port_is_heard_once_before_any_is_heard_twice() -> None:
    announcer, session = many(100, 3)
    announcer.schedule(ONE, PORT._replace(mac=1, addresses=tuple(map(ip_address, range(1, 1000)))), 1)
    times(announcer, session, end_s=1000)
    heard = senders(session)
    assert set(heard[:100]) == set(range(1, 101))
    assert len(heard) == 6 * (99 * 3 + 999)
    assert heard[300:310] == [1] * 10, "nobody waits for the one with many addresses"


def test_a_port_that_comes_up_does_not_wait_for_those_that_are_announced_again() -> None:
    announcer, session = many(600, 1)
    times(announcer, session, end_s=103.2)
    assert announcer.next_s is not None
    before = len(session.sent)
    announcer.schedule(TWO, PORT._replace(mac=0xFFFF), 1)
    announcer.run(announcer.next_s, 1, session)
    announcer.run(announcer.next_s, 1, session)
    assert 0xFFFF in senders(session)[before : before + BURST]


def test_a_port_that_goes_leaves_its_frames_unsent() -> None:
    announcer, session = many(20, 5)
    announcer.run(100, 1, session)
    announcer.schedule(ONE, None, 2)
    announcer.schedule(TWO, PORT._replace(is_announced=False), 2)
    before = len(session.sent)
    times(announcer, session, 100.001, 300)
    assert {1, 2} & set(senders(session)[before:]) == set()
    assert len(session.sent) - before == 18 * 5 * 6 - (BURST - 2)


def test_ports_that_are_back_are_announced_from_the_start_and_others_are_not() -> None:
    announcer, session = announced()
    announcer.schedule(TWO, PORT._replace(mac=PORT.mac + 1), 1)
    times(announcer, session)
    session.sent.clear()
    announcer.repeat([ONE, UUID(int=3)], 1)
    assert times(announcer, session, 300.0, 400.0) == [0, 1, 3, 7, 15, 31]
    assert len({frame for frame, _ in session.sent}) == 1
