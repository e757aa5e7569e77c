"""What another chassis answers is a hop, or it is said what is wrong with it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.northbound.operation import Uuid
from trunkline.path.endpoint import End, Source, Target, Wire
from trunkline.path.hop_form import problem
from trunkline.path.trace import trace

OUT = {"kind": "wire", "interface": "eth1", "vlans": [101], "mtu": 1500, "port": None, "fault": None}
HOP: dict[str, Any] = {
    "chassis": "c1",
    "fault": None,
    "steps": [
        {
            "bridge": "br-int",
            "table": 0,
            "band": "VIF",
            "row": "vm1",
            "text": "it is vm1",
            "rules": [14],
            "packets": 3,
            "age_s": 2.5,
        }
    ],
    "out": [
        OUT | {"physnet": "physnet1"},
        OUT | {"kind": "vif", "port": "vm2", "vlans": [], "physnet": None},
    ],
    "more": 0,
    "drop": None,
    "dropped": [
        {
            "band": "MAC_REFUSED",
            "packets": 3,
            "idle_s": None,
            "text": "from a MAC",
            "rules": [13],
            "remedy": None,
        }
    ],
    "counters": {"sender": {"packets": 0, "age_s": 9.0, "idle_s": None}},
}
VM1 = End("vm1", 1, (), "vm1", "c1")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(HOP)), inner),
    max_leaves=6,
)


def test_a_hop_is_one() -> None:
    assert problem(HOP, "c1") is None
    assert problem(HOP, "c2") == "it is of chassis 'c1'"


@pytest.mark.parametrize("column", sorted(HOP))
def test_a_hop_without_a_part_is_none(column: str) -> None:
    found = copy.deepcopy(HOP)
    del found[column]
    assert column in str(problem(found, "c1"))


@given(st.data())
def test_what_passes_as_a_hop_can_be_followed_whatever_it_says(data: st.DataObject) -> None:
    found = copy.deepcopy(HOP)
    place: Any = found
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(ANYTHING)
    if problem(found, "c1") is not None:
        return
    here = Source(Wire("blue", "physnet1", 101, Uuid("u")), VM1)
    to = Target(2, (End("vm2", 2, (), "vm2", "c1"), End("vm3", 3, (), "vm3", "c2")))
    way = trace(
        here, to, bytes(60), "a frame", lambda names, _: {name: copy.deepcopy(found) for name in names}
    )
    assert way.data()["verdict"] in ("DELIVERED", "DROPPED", "NOT DELIVERED")


def test_a_drop_of_which_a_chassis_names_no_rule_is_told_without_one() -> None:
    found = copy.deepcopy(HOP)
    found["dropped"][0] |= {"rules": [], "idle_s": None}
    assert problem(found, "c1") is None
    here = Source(Wire("blue", "physnet1", 101, Uuid("u")), VM1)
    way = trace(
        here, Target(2, (End("vm2", 2, (), "vm2", "c1"),)), bytes(60), "a frame", lambda *_: {"c1": found}
    )
    assert "dropped, " in way.notes[0][0]
