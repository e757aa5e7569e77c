"""Steps of a trace in words."""

from __future__ import annotations

import pytest

from trunkline.core.cookie import Subject, cookie
from trunkline.core.pipeline import Band, Owner
from trunkline.insight.name import Names, PortName
from trunkline.path.step import step
from trunkline.path.translation import Rule

OUT = "out to the VIF of vm1"


@pytest.mark.parametrize(
    ("does", "notes", "said"),
    [
        ("output:tap1", (), OUT),
        (
            "output:77",
            ("Nonexistent output port",),
            f"{OUT}, but no port has the number of output:77: it goes nowhere",
        ),
    ],
)
def test_a_flow_that_sends_to_a_number_that_no_port_has_is_said_to_send_nowhere(
    does: str, notes: tuple[str, ...], said: str
) -> None:
    names = Names({7: PortName("vm1", 1)}, {1: "blue"})
    band = Band.DELIVER
    rule = Rule(
        "br-int", band.table, band.priority, cookie(Owner.L2, Subject.PORT, 7), "reg7=0x7", (does,), notes
    )
    assert step(rule, (), names).text == said
