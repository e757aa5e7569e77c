"""What the agent's log says of many things at once."""

from __future__ import annotations

from trunkline.runtime.log import MANY, Log, line


class Lines(Log):
    """A log that keeps its lines by level; it *is_detailed* if a developer reads it."""

    def __init__(self, *, is_detailed: bool = False) -> None:
        super().__init__("lines")
        self.lines: list[tuple[str, str]] = []
        self._is_detailed = is_detailed

    @property
    def is_detailed(self) -> bool:
        return self._is_detailed

    def info(self, text: str, **values: object) -> None:
        self.lines.append(("info", line(text, values)))

    def debug(self, text: str, **values: object) -> None:
        self.lines.append(("debug", line(text, values)))


def say(log: Log, count: int) -> None:
    log.each("vif", range(count), lambda number: {"iface_id": f"vm{number}"})


def test_of_a_few_things_each_has_its_line_and_of_many_there_is_their_number() -> None:
    log = Lines()
    for count in (0, 2, MANY + 1):
        say(log, count)
    assert log.lines == [
        ("info", "vif iface_id=vm0"),
        ("info", "vif iface_id=vm1"),
        ("info", f"vif count={MANY + 1}"),
    ]


def test_a_developer_sees_each_of_many_things() -> None:
    log = Lines(is_detailed=True)
    say(log, MANY + 1)
    assert [level for level, _ in log.lines] == ["info"] + ["debug"] * (MANY + 1)
