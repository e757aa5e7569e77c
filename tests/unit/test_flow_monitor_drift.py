from __future__ import annotations

from trunkline.agent.drift import LINES_PER_S, DriftLog
from trunkline.agent.log import Log, line

KEY = bytes.fromhex("00 0064 80000004 00000001")
BODY = bytes.fromhex("7472010200000001")


class Lines(Log):
    """A log that keeps its lines."""

    def __init__(self) -> None:
        super().__init__("drift")
        self.lines: list[str] = []

    def warning(self, text: str, **values: object) -> None:
        self.lines.append(line(text, values))


def test_line_says_what_was_wanted_and_what_was_found() -> None:
    log = Lines()
    drift = DriftLog(log, clock=lambda: 1.0)
    drift.say(KEY, BODY, None)
    drift.say(KEY, None, BODY)
    drift.say(KEY, BODY, b"?")
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
        drift.say(KEY, BODY, None)
    assert len(log.lines) == LINES_PER_S
    assert not drift.is_settled
    now[0] = 2.0
    drift.settle()
    assert log.lines[LINES_PER_S:] == ["more flows drifted flows=21990"]
    assert drift.is_settled
    drift.say(KEY, BODY, None)
    assert len(log.lines) == LINES_PER_S + 2
