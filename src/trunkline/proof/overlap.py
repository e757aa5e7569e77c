"""An overlap: flows of one priority that match the same frame, so that the switch may take either of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trunkline.core.field import Field
from trunkline.proof.space import just
from trunkline.proof.switch import Rule
from trunkline.proof.table import Table
from trunkline.proof.way import Way, acted


def overlap(
    tables: Mapping[int, Table], in_port: int, frame: int, rules: Iterable[Rule], *, is_tagged: bool
) -> tuple[Rule, ...]:
    """Return the flows of one table and priority that *frame* matches and that differ in their actions.

    The *frame* (`space`) comes in by *in_port* and goes by *rules*. Of several overlaps the first is
    returned, with the flow first that does what its way does; () if there is none.
    """
    way = Way(just(frame), (), {Field.IN_PORT: in_port}, (None,) if is_tagged else ())
    for rule in rules:
        top = way.tags[0] if way.tags else 0
        hits = tables[rule.table].split(way.frames, way.holes, way.registers, top, way.written)
        found = [hit for hit, _, _ in hits if hit is not None and hit.is_sure]
        # A way has one flow for all that do the same, so it may be another one that this frame matches.
        same = [each for each in found if each.actions == rule.actions]
        others = [each for each in found if each.actions != rule.actions]
        if rule.is_sure and same and others:
            return (same[0], *others)
        _, way = acted(rule, way, way.frames, way.holes)
    return ()
