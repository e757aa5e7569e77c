"""Likeness: values of registers that the flows treat alike, and the flows that are left if such are one.

Of a thousand VMs that differ in names and addresses alone, the proof follows the frames of one. It does not
look at addresses, so their flows do the same to it. The flows that are left prove the same as all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from trunkline.core.field import Field, Set
from trunkline.proof.switch import KNOWN, Action, Rule


def distinct(rules: Sequence[Rule]) -> list[Rule]:
    """Return the *rules* that a proof needs; values of a register that are alike are one."""
    alike = _alike(rules)
    found: dict[Hashable, Rule] = {}
    for number, rule in enumerate(rules):
        acting = rule._replace(actions=_seen(rule.actions, alike))
        # Two that may match are one if they do the same; one that surely matches takes frames from others.
        key: Hashable = number if rule.is_sure else acting[:-2]
        found.setdefault(key, acting)
    return list(found.values())


def _seen(actions: Iterable[Action], alike: dict[Field, dict[int, int]]) -> tuple[Action, ...]:
    """Return what the proof sees of *actions*: not what they write to fields that it does not follow."""
    return tuple(
        Set(action.field, alike[action.field].get(action.value, action.value))
        if isinstance(action, Set) and action.field in alike
        else action
        for action in actions
        if not isinstance(action, Set) or action.field in KNOWN
    )


def _alike(rules: Iterable[Rule]) -> dict[Field, dict[int, int]]:
    """Return, for each register that flows write, the value that stands for each value that they match.

    Two values are alike if every rule that matches one has a rule beside it that matches the other, and that
    is the same in all that the proof looks at.
    """
    rules = list(rules)
    written = {action.field for rule in rules for action in rule.actions if isinstance(action, Set)} & KNOWN
    masked = {field for rule in rules for field, _, mask in rule.known if mask != (1 << field.bits) - 1}
    uses: dict[Field, dict[int, list[Hashable]]] = {field: defaultdict(list) for field in written - masked}
    for rule in rules:
        if not any(field in uses for field, _, _ in rule.known):
            continue
        actions = tuple(act for act in rule.actions if not isinstance(act, Set) or act.field in KNOWN)
        # A register that no flow writes is 0, or was copied from the frame: what else it is, is all one.
        known = [
            (field, value if field in written else value != 0, mask) for field, value, mask in rule.known
        ]
        for field, value, _ in rule.known:
            if field in uses:
                rest = tuple(each for each in known if each[0] is not field)
                use = rule.table, rule.priority, rest, rule.frames, rule.is_sure, actions
                uses[field][value].append(use)
    found: dict[Field, dict[int, int]] = {}
    for field, uses_by_value in uses.items():
        first: dict[Hashable, int] = {}
        found[field] = {
            value: first.setdefault(frozenset(some), value) for value, some in sorted(uses_by_value.items())
        }
    return found
