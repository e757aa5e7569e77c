"""What the log says of VIFs that change again and again."""

from __future__ import annotations

from trunkline.agent.vif_log import VifLog
from trunkline.core.model import Vif
from trunkline.runtime.log import MANY, Log, line


class Lines(Log):
    """A log that keeps its lines, without those for developers."""

    def __init__(self) -> None:
        super().__init__("vif")
        self.lines: list[str] = []

    def info(self, text: str, **values: object) -> None:
        self.lines.append(line(text, values))


def vif(iface_id: str, ofport: int) -> dict[str, tuple[Vif, ...]]:
    return {iface_id: (Vif(iface_id, iface_id, ofport, None, None),)}


def test_a_few_changes_have_a_line_each() -> None:
    log = Lines()
    vifs = VifLog(log, clock=lambda: 1.0)
    vifs.report(vif("a", 1) | vif("b", 2))
    vifs.report({"a": ()})
    assert log.lines == [
        "vif iface_id=a ofports=1",
        "vif iface_id=b ofports=2",
        "vif iface_id=a ofports=gone",
    ]
    assert vifs.next_s is None


def test_of_a_burst_the_first_changes_have_a_line_each_and_the_others_are_counted() -> None:
    log, now = Lines(), [1.5]
    vifs = VifLog(log, clock=lambda: now[0])
    for number in range(10_000):
        vifs.report(vif("a", number))
    assert len(log.lines) == MANY
    assert vifs.next_s == 2.0
    now[0] = 2.0
    vifs.settle()
    assert log.lines[MANY:] == [f"more vifs changed count={10_000 - MANY}"]
    assert vifs.next_s is None
    vifs.report(vif("a", 1))
    assert log.lines[-1] == "vif iface_id=a ofports=1"
