"""Violations: what a flow does although the rule of its table does not allow it."""

from __future__ import annotations

from trunkline.core.cookie import cookie_parts
from trunkline.core.field import Field, Set
from trunkline.core.flow import Controller, Copy, Flow, Goto, Output, PopVlan, PushVlan, Resubmit
from trunkline.core.table_rule import TABLE_RULES


def violations(flow: Flow) -> list[str]:
    """Return what *flow* does although its table's rule does not allow it; an empty list if it obeys.

    Tests check every flow of every app with this. The agent does not, because it would double the cost of a
    flow.
    """
    rule = TABLE_RULES[flow.table]
    name = flow.band.name
    found = [f"{name} matches {term.field.name}" for term in flow.match if term.field not in rule.matches]
    fields = [term.field for term in flow.match]
    if len(set(fields)) != len(fields):
        found.append(f"{name} matches a field twice")
    found += [f"{name} has a value outside its mask" for term in flow.match if not _is_canonical(*term)]
    for position, action in enumerate(flow.actions):
        match action:
            case Set(field, value):
                if field not in rule.writes:
                    found.append(f"{name} writes {field.name}")
                if value >> field.bits:
                    found.append(f"{name} writes {value} to {field.name}, which has {field.bits} bits")
            case Copy(source, first_bit, destination, bits):
                if destination not in rule.writes or source not in rule.matches:
                    found.append(f"{name} copies {source.name} to {destination.name}")
                if first_bit + bits > source.bits or bits > destination.bits:
                    found.append(f"{name} copies {bits} bits from {first_bit} of {source.name}")
            case Goto(table):
                if table not in rule.next_tables or table <= flow.table:
                    found.append(f"{name} goes to {table.name}")
                if position != len(flow.actions) - 1:
                    found.append(f"{name} goes on before its last action")
            case Resubmit(table):
                if table not in rule.next_tables:
                    found.append(f"{name} resubmits to {table.name}")
            case Output():
                if not rule.may_output:
                    found.append(f"{name} outputs")
            case Controller():
                if not rule.may_report:
                    found.append(f"{name} reports to the agent")
            case PushVlan() | PopVlan():
                if not rule.may_tag:
                    found.append(f"{name} changes a tag")
    parts = cookie_parts(flow.cookie)
    if parts is None or parts.owner is not flow.band.owner:
        found.append(f"{name} carries the cookie {flow.cookie:#x}, which is not its owner's")
    return found


def _is_canonical(field: Field, value: int, mask: int | None) -> bool:
    full = (1 << field.bits) - 1
    if mask is None:
        return 0 <= value <= full
    return 0 < mask < full and value & ~mask == 0
