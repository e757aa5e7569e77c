from __future__ import annotations

from itertools import pairwise

from trunkline.agent.wiring_contest import REPAIRS_PER_S, WiringContest
from trunkline.bridge.drift import (
    CONTEST_HOLD_S,
    CONTEST_TURNS,
    CONTEST_WINDOW_S,
    LINES_PER_S,
    Contest,
    DriftLog,
)
from trunkline.runtime.log import Log, line

KEY = bytes.fromhex("00 0064 80000004 00000001")
BODY = bytes.fromhex("7472010200000001")


class Lines(Log):
    """A log that keeps its lines."""

    def __init__(self) -> None:
        super().__init__("drift")
        self.lines: list[str] = []

    def warning(self, text: str, **values: object) -> None:
        self.lines.append(line(text, values))

    info = warning


def test_line_says_what_was_wanted_and_what_was_found() -> None:
    log = Lines()
    drift = DriftLog(log, clock=lambda: 1.0)
    drift.report(KEY, BODY, None)
    drift.report(KEY, None, BODY)
    drift.report(KEY, BODY, b"?")
    flow = '"cookie=0x7472010200000001,table=0,priority=100,in_port=1,actions=drop"'
    assert log.lines == [
        f"flow drifted wanted={flow} found=none",
        f"flow drifted wanted=none found={flow}",
        f"flow drifted wanted={flow} found=0x{KEY.hex()}",
    ]


def test_a_second_has_ten_lines_and_the_rest_is_counted_in_the_next() -> None:
    log, now = Lines(), [1.0]
    drift = DriftLog(log, clock=lambda: now[0])
    for _ in range(22_000):
        drift.report(KEY, BODY, None)
    assert len(log.lines) == LINES_PER_S
    assert not drift.is_settled
    now[0] = 2.0
    drift.settle()
    assert log.lines[LINES_PER_S:] == ["more flows drifted flows=21990"]
    assert drift.is_settled
    drift.report(KEY, BODY, None)
    assert len(log.lines) == LINES_PER_S + 2


class Opponent:
    """Somebody who deletes the flow at `KEY` as soon as it is back, and the contest that comes of it."""

    def __init__(self) -> None:
        self.log = Lines()
        self.now_s = 100.0
        self.contest = Contest(self.log, clock=lambda: self.now_s)
        self.turns_s: list[float] = []

    def fight(self, for_s: float, step_s: float = 0.002) -> None:
        end_s = self.now_s + for_s
        while self.now_s < end_s:
            self.contest.note(KEY)
            if self.contest.take_turn():
                self.turns_s.append(self.now_s)
            self.now_s += step_s
            self.contest.settle()


def test_repairs_are_not_held_up_until_they_are_a_contest() -> None:
    opponent = Opponent()
    opponent.fight(CONTEST_TURNS * 0.002 - 0.001)
    assert len(opponent.turns_s) == CONTEST_TURNS
    assert opponent.contest.faults == {}
    assert opponent.contest.next_s(is_waiting=True) is None


def test_repairs_of_a_contest_are_held_up_for_less_than_is_promised() -> None:
    opponent = Opponent()
    opponent.fight(30)
    gaps_s = [later - earlier for earlier, later in pairwise(opponent.turns_s[CONTEST_TURNS:])]
    assert min(gaps_s) >= CONTEST_HOLD_S
    assert max(gaps_s) < 0.1, "drift is repaired within 100 ms, on the clock of this test"


def test_a_contest_is_a_fault_and_a_line_in_ten_seconds_until_it_is_over() -> None:
    opponent = Opponent()
    opponent.fight(32)
    assert list(opponent.contest.faults) == ["flows"]
    assert "in table 0 again and again" in opponent.contest.faults["flows"]
    assert len(opponent.log.lines) == 4
    assert all(line.startswith("flows are contested repairs=") for line in opponent.log.lines)
    for _ in range(2):
        next_s = opponent.contest.next_s(is_waiting=False)
        assert next_s is not None
        opponent.now_s = next_s
        opponent.contest.settle()
    assert opponent.log.lines[-1] == "flows are no longer contested"
    assert opponent.contest.faults == {}
    assert opponent.contest.next_s(is_waiting=True) is None


def test_a_wipe_now_and_then_is_no_contest() -> None:
    opponent = Opponent()
    for _ in range(20):
        for _ in range(22_000):
            opponent.contest.note(KEY)
        assert opponent.contest.take_turn()
        opponent.now_s += 1
    assert opponent.log.lines == []


def test_wiring_is_repaired_at_once_until_it_is_a_contest_and_at_a_pace_from_then_on() -> None:
    log, now = Lines(), [100.0]
    contest = WiringContest(log, clock=lambda: now[0])
    assert all(contest.take_turn() for _ in range(CONTEST_TURNS))
    assert (contest.faults, contest.next_s) == ({}, None)
    assert not contest.take_turn()
    assert contest.next_s is not None
    assert contest.is_on
    assert "again and again" in contest.faults["wiring"]
    taken = 0
    for _ in range(200):
        now[0] += 0.01
        taken += contest.take_turn()
    assert abs(taken - 2 * REPAIRS_PER_S) <= 1
    assert log.lines == ["wiring is contested"]
    contest.rest()
    assert contest.next_s is None
    now[0] += CONTEST_WINDOW_S + 0.01
    assert not contest.is_on
    assert contest.faults == {}
    assert contest.take_turn()
