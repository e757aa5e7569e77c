"""Which port may be the sub-port of which: checked against existing rows and rows of the same request."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.northbound.conflict import refuse
from trunkline.northbound.refusal import RefusedError
from trunkline.northbound.trunk import FEW, conflicts, orphans, selects

Row = dict[str, Any]


def port(name: str, network: str, parent: str | None = None, tag: int | None = None) -> Row:
    return {"name": name, "network": network, "parent": parent, "parent_vlan": tag}


THERE = [port("p", "n0"), port("s1", "n1", "p", 1), port("lone", "n7"), port("clear", "open")]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([port("s2", "n2", "nobody", 2)], "port 'nobody' cannot be a parent: it does not exist"),
        ([port("s2", "n2", "s1", 2)], "port 's1' cannot be a parent: it does not exist, or is a sub-port"),
        ([port("s2", "n2", "p", 1)], "port 'p' already has a sub-port with tag 1"),
        ([port("s2", "n0", "p", 2)], "port 'p' is in the same network"),
        ([port("s2", "n1", "p", 2)], "port 'p' already has a sub-port in that network"),
        ([port("p", "n0", "lone", 2)], "port 'p' has sub-ports, so it cannot be a sub-port"),
        ([port("p", "n1")], "port 'p' has a sub-port in that network"),
        ([port("s2", "n2", "clear", 2)], "port 'clear' cannot be a parent: network 'glass' carries"),
        ([port("s2", "n2", "p", 2), port("s3", "n3", "p", 2)], "already has a sub-port with tag 2"),
        ([port("s2", "n2", "p", 2), port("s3", "n2", "p", 3)], "already has a sub-port in that network"),
        ([port("q", "n5"), port("s2", "n5", "q", 2)], "port 'q' has a sub-port in that network"),
        ([port("s2", "n2", "p", 2), port("s3", "n3", "s2", 3)], "port 's2' has sub-ports"),
    ],
)
def test_what_does_not_go_together_is_refused(wanted: list[Row], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        refuse(conflicts(wanted, THERE, {"open": "glass"}))


def test_what_goes_together_is_not() -> None:
    new = [port("q", "n5"), port("s2", "n2", "p", 2), port("s3", "n1", "q", 2), port("s1", "n3", "p", 1)]
    refuse(conflicts(new, THERE, {"open": "glass"}))
    refuse(conflicts([port("s1", "n1")], THERE, {}))
    refuse(conflicts([port("p", "n9")], THERE, {}))


def test_a_sub_port_goes_with_its_parent_or_before_it() -> None:
    refuse(orphans({"p", "s1"}, THERE))
    refuse(orphans({"s1", "lone"}, THERE))
    with pytest.raises(RefusedError, match="port 'p' has sub-ports; delete them with it, or before it"):
        refuse(orphans({"p", "lone"}, THERE))


def test_many_are_looked_for_at_once() -> None:
    few, more = ([port(f"s{n}", f"n{n}", "p", n) for n in range(count)] for count in (FEW + 1, 100))
    assert selects(few) == selects(more)
