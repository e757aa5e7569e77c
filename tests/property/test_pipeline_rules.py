"""The flows of any chassis obey the pipeline, and no two of them contend for a frame."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

from hypothesis import given, settings

from model import rows
from model.drawn import worlds
from trunkline.core.flow import Field, Flow
from trunkline.core.pipeline import Table
from trunkline.core.violation import violations
from trunkline.insight.meaning import MEANING


@settings(max_examples=150)
@given(chassis=worlds())
def test_every_flow_obeys_the_rule_of_its_table(chassis: rows.Rows) -> None:
    """DESIGN.md section 4."""
    assert [found for flow in rows.flows(chassis) for found in violations(flow)] == []


@settings(max_examples=150)
@given(chassis=worlds())
def test_no_two_flows_of_equal_priority_overlap(chassis: rows.Rows) -> None:
    """DESIGN.md section 4: a frame is decided by one flow of a table, whatever order they were added in."""
    flows_by_place: dict[tuple[Table, int], list[Flow]] = defaultdict(list)
    for flow in rows.flows(chassis):
        flows_by_place[flow.table, flow.priority].append(flow)
    overlapping = [
        pair for flows in flows_by_place.values() for pair in combinations(flows, 2) if _overlap(*pair)
    ]
    assert overlapping == []


@settings(max_examples=150)
@given(chassis=worlds())
def test_a_band_that_drops_has_a_remedy(chassis: rows.Rows) -> None:
    dropping = {flow.band for flow in rows.flows(chassis) if not flow.actions}
    assert {band for band in dropping if MEANING[band].remedy is None} == set()


def _overlap(one: Flow, other: Flow) -> bool:
    """Return whether some frame matches both flows."""
    terms = {term.field: term for term in one.match}
    for field, value, mask in other.match:
        term = terms.get(field)
        if term is None:
            continue
        full = (1 << field.bits) - 1
        common = (full if mask is None else mask) & (full if term.mask is None else term.mask)
        if value & common != term.value & common:
            return False
    return True


def test_overlap_is_seen_if_masks_leave_room_for_it() -> None:
    flow = rows.flows(rows.Rows())[0]
    wide = flow._replace(match=(Field.IPV4_SRC(0xC0000200, 0xFFFFFF00),))
    assert _overlap(wide, flow._replace(match=(Field.IPV4_SRC(0xC0000201),)))
    assert not _overlap(wide, flow._replace(match=(Field.IPV4_SRC(0xC0000301),)))
