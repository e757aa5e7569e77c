"""How long a turn of the loop goes on, and that nothing keeps the process from ending."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from trunkline.agent.turn import TURN_S, Turn

BUSY = """
from trunkline.process.daemon import Stopped, Wakeup
wakeup = Wakeup()
wakeup.is_armed = True
try:
    print("busy", flush=True)
    while True:
        pass
except Stopped:
    print("stopped", wakeup.is_asked, wakeup.is_armed)
"""


def test_a_turn_grants_one_slice_of_each_kind_and_more_until_it_is_over() -> None:
    now_s = 100.0
    turn = Turn(lambda: now_s)
    turn.begin()
    assert [turn.grants("rows") for _ in range(3)] == [True] * 3
    now_s += TURN_S
    assert [turn.grants(work) for work in ("rows", "views", "views", "flows")] == [False, True, False, True]
    turn.begin()
    assert turn.grants("rows")


def test_the_longest_turn_is_kept() -> None:
    now_s = 100.0
    turn = Turn(lambda: now_s)
    for length_s in (0.1, 0.3, 0.2):
        turn.begin()
        now_s += length_s
        turn.end()
    assert turn.longest_s == pytest.approx(0.3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_at_work_ends_when_it_is_told_to(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", BUSY], stdout=subprocess.PIPE, text=True
    ) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == "busy\n"
        busy.send_signal(number)
        assert busy.communicate(timeout=20)[0] == "stopped True False\n"
