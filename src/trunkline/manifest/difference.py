"""The difference between what documents want and what there is, and the steps that make it go away."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from trunkline.core.error import InvalidValueError
from trunkline.manifest.complaint import MOST
from trunkline.manifest.form import REQUIRED, SPECS, columns
from trunkline.manifest.present import set_of
from trunkline.manifest.wanted import cleared
from trunkline.northbound.changed_row import changed_network, changed_port, faults_after
from trunkline.northbound.conflict import Written
from trunkline.northbound.port_option import WRITTEN
from trunkline.northbound.schema import SET
from trunkline.northbound.spec import completed, faults
from trunkline.northbound.step import Change, Delete, Insert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from trunkline.manifest.complaint import Complaint
    from trunkline.manifest.form import Kind
    from trunkline.manifest.present import Present
    from trunkline.manifest.wanted import Wanted
    from trunkline.northbound.changed_row import ChangedRow
    from trunkline.northbound.operation import Row
    from trunkline.northbound.spec import Fault
    from trunkline.northbound.step import Step

Verb = Literal["add", "change", "delete"]
VERBS: tuple[Verb, ...] = ("add", "change", "delete")

_EMPTY = {table: cleared(table) for table in SPECS}
_NEW = {table: {name: _EMPTY[table][name] for name in columns(table)} for table in SPECS}
"""What a row has that documents say nothing of, by kind: all columns, and those that people write."""


class RowChange(NamedTuple):
    """What happens to one row: as it was, None if it is added, and as it will be, None if it is deleted.

    *step* does it, None if the row cannot be; *wanted* is what asks for it, None of a row that no document
    wants any more. Of the columns *wrong*, nobody knows what they are to be.
    """

    verb: Verb
    table: Kind
    name: str
    old: Row | None
    new: Row | None
    step: Step | None
    wanted: Wanted | None = None
    wrong: frozenset[str] = frozenset()

    def changed(self) -> list[str]:
        """Return the columns whose values are others, in the schema's order; of a new row, those with one."""
        if self.new is None:
            return []
        before = self.old or _EMPTY[self.table]
        return [name for name in columns(self.table) if name != "name" and self.new[name] != before[name]]

    def writes(self, *wanted: str) -> bool:
        """Return whether the row is there before and after, and one of the columns *wanted* is another."""
        return (
            self.old is not None and self.new is not None and any(self.old[c] != self.new[c] for c in wanted)
        )


class Difference(NamedTuple):
    """What is to be done for the set *set*, and how many rows are as wanted; *names* are all wanted ones.

    *complaints* are what is wrong with the rows by themselves: then it cannot be done.
    """

    set: str
    changes: Sequence[RowChange]
    unchanged: int
    names: Collection[tuple[str, str]] = ()
    complaints: Sequence[Complaint] = ()

    @property
    def steps(self) -> Iterator[Step]:
        """The steps that make the difference go away, in one transaction."""
        return (change.step for change in self.changes if change.step is not None)

    def written(self, table: Kind) -> list[Written]:
        """Return the rows of *table* that there will be instead of others, or besides."""
        rows = (change for change in self.changes if change.table == table)
        return [Written(change.old, change.new) for change in rows if change.new is not None]

    def gone(self, table: Kind) -> frozenset[str]:
        """Return the names of the rows of *table* that are deleted."""
        rows = (change for change in self.changes if change.table == table)
        return frozenset(change.name for change in rows if change.new is None)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows are added, changed, deleted and left as they are."""
        found = Counter(change.verb for change in self.changes)
        return {verb: found[verb] for verb in VERBS} | {"unchanged": self.unchanged}


def difference(
    wanted: Iterable[Wanted], there: Present, set_: str, *, prunes: bool = False, adopts: bool = False
) -> Difference:
    """Return what makes *there* as *wanted*, whose rows are, or will be, of the set *set_*.

    A row that is not of the set is changed only if *adopts*, and is of the set then. A row of the set that
    is not wanted is deleted if *prunes*. Whether rows can be beside one another is not looked at here.
    """
    rows = list(wanted)
    complaints: list[Complaint] = []
    changes: list[RowChange] = []
    for row in rows:
        old = there.rows(row.table).get(row.name)
        change = (
            _added(row, set_, complaints) if old is None else _changed(row, old, set_, adopts, complaints)
        )
        if change is not None:
            changes.append(change)
        if len(complaints) >= MOST:
            break
    unchanged = len(rows) - len(changes)
    names = {(row.table, row.name) for row in rows}
    if prunes:
        changes += _pruned(there, names, set_)
    changes.sort(key=lambda change: (VERBS.index(change.verb), change.table))
    return Difference(set_, changes, unchanged, names, complaints)


def _added(row: Wanted, set_: str, complaints: list[Complaint]) -> RowChange:
    missing = [c for c in REQUIRED[row.table] if c not in row.columns and c not in row.wrong]
    if missing:
        needs = " and ".join(f"`{column}`" for column in missing)
        text = f"it does not exist yet, and a new {row.table.lower()} needs {needs}"
        complaints.append(row.complaint(text))
    new = _NEW[row.table] | row.columns
    new["external_ids"] = new["external_ids"] | {SET: set_}
    found = [*faults(row.table, new)]
    if missing or found or row.wrong:
        return _judged(row, None, new, found, row.wrong.union(missing), complaints)
    new = completed(row.table, new)
    return RowChange("add", row.table, row.name, None, new, Insert(row.table, new), row)


def _changed(row: Wanted, old: Row, set_: str, adopts: bool, complaints: list[Complaint]) -> RowChange | None:
    """Return what is to be done to *old*; None if it is as *row* wants it."""
    differing = {column: value for column, value in row.columns.items() if value != given(old, column)}
    owner = set_of(old)
    if owner != set_ and differing and not adopts:
        whose = "no set" if owner is None else f'set "{owner}"'
        names = ", ".join(f"`{column}`" for column in differing)
        differ = "differs" if len(differing) == 1 else "differ"
        text = f"it is in {whose}, and its {names} {differ}; use `adopts` to take it over, or leave it out"
        complaints.append(row.complaint(text, next(iter(differing))))
    elif not differing and (owner == set_ or not adopts):
        return None
    if owner != set_ or "external_ids" in differing:
        differing["external_ids"] = {**differing.get("external_ids", given(old, "external_ids")), SET: set_}
    change = Change(row.table, row.name, differing)
    changed = None if row.wrong else _changed_row(old, change)
    if changed is None:
        return _judged(row, old, *faults_after(old, change), row.wrong, complaints)
    written = {column: value for column, value in changed.columns.items() if value != old[column]}
    seen = {column: old[column] for column in (*row.columns, *written, "external_ids") if column != "name"}
    step = Change(row.table, row.name, written, seen)
    return RowChange("change", row.table, row.name, old, changed.new, step, row)


def _changed_row(old: Row, change: Change) -> ChangedRow | None:
    """Return *old* after *change*, None if something is wrong with it."""
    try:
        return changed_network(old, change) if change.table == "Network" else changed_port(old, change)
    except InvalidValueError:
        return None


def _judged(
    row: Wanted,
    old: Row | None,
    new: Row,
    found: Iterable[Fault],
    wrong: frozenset[str],
    complaints: list[Complaint],
) -> RowChange:
    """Return what *row* would do to *old* if it was right; add the faults *found* to *complaints*.

    Those that follow from columns which are *wrong* anyway are none.
    """
    told = [fault for fault in found if wrong.isdisjoint(fault.columns)]
    complaints += (
        row.complaint(str(each.error), each.columns[0], each.item)._replace(is_own=True) for each in told
    )
    wrong = wrong.union(each.columns[0] for each in told if len(each.columns) == 1)
    return RowChange("add" if old is None else "change", row.table, row.name, old, new, None, row, wrong)


def given(row: Row, column: str) -> Any:
    """Return what people give as *column* of *row*: without what follows from other columns, and the set."""
    value = row[column]
    if column == "options":
        return {key: item for key, item in value.items() if key not in WRITTEN}
    if column == "external_ids":
        return {key: item for key, item in value.items() if key != SET}
    return value


def _pruned(there: Present, names: Collection[tuple[str, str]], set_: str) -> Iterator[RowChange]:
    """Yield the end of each row of the set that is not called one of *names*."""
    for table in SPECS:
        for name, old in there.rows(table).items():
            if set_of(old) == set_ and (table, name) not in names:
                seen = {column: old[column] for column in columns(table) if column != "name"}
                yield RowChange("delete", table, name, old, None, Delete(table, name, seen))
