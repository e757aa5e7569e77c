"""A difference as it is shown: lines for a person, data for a program."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.output import cell, printable
from trunkline.core.amount import counted
from trunkline.core.name import natural
from trunkline.northbound.default import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trunkline.manifest.difference import Difference, RowChange

MOST_LINES = 20
"""How many changes of one verb and table are shown, unless all are asked for."""

CHANGE = ("name", "verb", "table", "old", "new", "file", "line")
"""What `data` has of a change: the columns of a list of changes."""

_SIGNS = {"add": ("+", "green"), "change": ("~", "yellow"), "delete": ("-", "red")}
_LONGEST_NAME = 30
_LONGEST_VALUE = 60


def lines(found: Difference, notes: Mapping[tuple[str, str], str], *, is_full: bool = False) -> Iterator[str]:
    """Yield a line for each change of *found*, with its note; those of one kind that are many, in one."""
    groups = _groups(found)
    shown = {kind: _first(group, is_full) for kind, group in groups.items()}
    width = max(
        (min(len(_subject(change)), _LONGEST_NAME) for group in shown.values() for change in group), default=0
    )
    for (verb, table), group in groups.items():
        sign, colour = _SIGNS[verb]
        first = shown[verb, table]
        for change in first:
            words = [*_columns(change, is_full), notes.get((change.table, change.name), "")]
            text = f"  {sign} {_subject(change):{width}}  {'  '.join(filter(None, words))}"
            yield click.style(text.rstrip(), fg=colour)
        if len(group) > len(first):
            more = counted(len(group) - len(first), f"more {table.lower()}")
            yield click.style(f"  {sign} {more}", fg=colour)


def summary(found: Difference) -> str:
    """Return how many rows are added, changed, deleted and left."""
    counts = found.counts
    parts = [f"{counts[verb]:,} to {verb}" for verb in _SIGNS]
    return f"{', '.join(parts)}, {counts['unchanged']:,} unchanged."


def data(found: Difference) -> dict[str, Any]:
    """Return *found* for a program: of each change the columns that are others, before and after."""
    return {
        "version": 1,
        "set": found.set,
        "changes": [_change(each) for group in _groups(found).values() for each in sorted(group, key=_name)],
        "counts": found.counts,
    }


def _groups(found: Difference) -> dict[tuple[str, str], list[RowChange]]:
    """Return the changes of *found* by verb and table, in the order in which these are shown."""
    groups: dict[tuple[str, str], list[RowChange]] = {
        (verb, table): [] for verb in _SIGNS for table in sorted(DEFAULTS)
    }
    for change in found.changes:
        groups[change.verb, change.table].append(change)
    return {kind: group for kind, group in groups.items() if group}


def _first(group: Sequence[RowChange], is_full: bool) -> list[RowChange]:
    """Return those of *group* that are shown, by name."""
    return sorted(group, key=_name) if is_full else nsmallest(MOST_LINES, group, key=_name)


def _name(change: RowChange) -> tuple[list[tuple[int, str]], str]:
    return natural(change.name)


def _change(change: RowChange) -> dict[str, Any]:
    from trunkline.manifest.form import columns

    document = change.wanted.document if change.wanted else None
    names = change.changed() if change.new is not None else columns(change.table)
    return {
        "verb": change.verb,
        "table": change.table,
        "name": change.name,
        "old": None if change.old is None else {name: change.old[name] for name in names},
        "new": None if change.new is None else {name: change.new[name] for name in names},
        "file": document.source.name if document else None,
        "line": document.line if document else None,
    }


def _subject(change: RowChange) -> str:
    return printable(f"{change.table.lower()} {change.name}")


def _columns(change: RowChange, is_full: bool) -> Iterator[str]:
    """Yield what is shown of each column that is another."""
    from trunkline.manifest.difference import given

    if change.new is None:
        return
    for column in change.changed():
        new = given(change.new, column)
        old = None if change.old is None else given(change.old, column)
        if change.old is None and new:
            yield f"{column} {_value(new, is_full)}"
        elif change.old is not None and old != new:
            # An empty column that stands for a value is shown as that.
            value = DEFAULTS[change.table].get(column)
            before, after = (value if each is None else each for each in (old, new))
            yield f"{column} {_changed(before, after, is_full)}"


def _changed(old: Any, new: Any, is_full: bool) -> str:
    if isinstance(new, list):
        return _parts(
            [item for item in new if item not in old], [item for item in old if item not in new], is_full
        )
    if isinstance(new, dict):
        before, after = _items(old), _items(new)
        return _parts(sorted(after - before), sorted(before - after), is_full)
    return f"{_value(old, is_full)} → {_value(new, is_full)}"


def _items(values: Mapping[str, str]) -> set[str]:
    return {f"{key}={value}" for key, value in values.items()}


def _parts(new: Sequence[str], gone: Sequence[str], is_full: bool) -> str:
    return _short(" ".join(printable(text) for text in _signed(new, gone)), is_full)


def _signed(new: Iterable[str], gone: Iterable[str]) -> Iterator[str]:
    yield from (f"+{text}" for text in new)
    yield from (f"−{text}" for text in gone)


def _value(value: Any, is_full: bool) -> str:
    return _short(cell(value) or "none", is_full)


def _short(text: str, is_full: bool) -> str:
    return text if is_full or len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
