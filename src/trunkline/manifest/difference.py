"""The difference between what documents want and what there is, and the steps that make it go away."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from trunkline.core.error import InvalidValueError, Place
from trunkline.core.spelling import meant
from trunkline.manifest.complaint import MOST, Complaint, summary
from trunkline.manifest.document import shortened
from trunkline.manifest.form import REQUIRED, SPECS, columns
from trunkline.manifest.present import set_of
from trunkline.manifest.wanted import cleared
from trunkline.northbound.changed_row import changed_network, changed_port
from trunkline.northbound.port_option import WRITTEN
from trunkline.northbound.refusal import RefusedError, taken
from trunkline.northbound.schema import SET
from trunkline.northbound.step import Change, Create, Delete

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from trunkline.manifest.form import Kind
    from trunkline.manifest.present import Present
    from trunkline.manifest.wanted import Wanted
    from trunkline.northbound.operation import Row
    from trunkline.northbound.step import Step

Verb = Literal["add", "change", "delete"]
VERBS: tuple[Verb, ...] = ("add", "change", "delete")

_EMPTY = {table: cleared(table) for table in SPECS}
_UNIQUE = {"Network": ("physical_network", "segmentation_id"), "Port": ("network", "mac")}
"""The columns whose values together only one row has, by table, as the schema's indexes say."""


class RowChange(NamedTuple):
    """What happens to one row: as it was, None if it is added, and as it will be, None if it is deleted.

    *step* does it, and *wanted* is what asks for it, None of a row that no document wants any more.
    """

    verb: Verb
    table: Kind
    name: str
    old: Row | None
    new: Row | None
    step: Step
    wanted: Wanted | None = None

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
    """What is to be done for the set *set*, and how many rows are as wanted; *names* are all wanted ones."""

    set: str
    changes: Sequence[RowChange]
    unchanged: int
    names: Collection[tuple[str, str]] = ()

    @property
    def steps(self) -> Iterator[Step]:
        """The steps that make the difference go away, in one transaction."""
        return (change.step for change in self.changes)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows are added, changed, deleted and left as they are."""
        found = Counter(change.verb for change in self.changes)
        return {verb: found[verb] for verb in VERBS} | {"unchanged": self.unchanged}


class ConflictError(RefusedError):
    """Documents that do not go with what the northbound holds; the changes of *rest* may."""

    def __init__(self, complaints: Sequence[Complaint], rest: Difference | None = None) -> None:
        super().__init__(summary(complaints))
        self.complaints = complaints
        self.rest = rest


def difference(
    wanted: Iterable[Wanted],
    there: Present,
    set_: str,
    *,
    prunes: bool = False,
    adopts: bool = False,
    assumed: Collection[str] | None = (),
) -> Difference:
    """Return what makes *there* as *wanted*, whose rows are, or will be, of the set *set_*.

    A row that is not of the set is changed only if *adopts*, and is of the set then. A row of the set that
    is not wanted is deleted if *prunes*. Networks called one of *assumed* are taken to be there; None: any.

    Raises:
        ConflictError: that cannot be, with everything that is in the way, as far as *there* shows it.
    """
    rows = list(wanted)
    complaints: list[Complaint] = []
    changes: list[RowChange] = []
    refused: set[tuple[str, str]] = set()
    for row in rows:
        old = there.rows(row.table).get(row.name)
        try:
            change = _added(row, set_) if old is None else _changed(row, old, set_, adopts)
        except (InvalidValueError, RefusedError) as error:
            told = row.complaint(str(error), error.place.column if error.place else None)
            complaints.append(told._replace(is_own=isinstance(error, InvalidValueError)))
            refused.add((row.table, row.name))
            if len(complaints) == MOST:
                raise ConflictError(complaints) from error
            continue
        if change is not None:
            changes.append(change)
    names = {(row.table, row.name) for row in rows}
    if prunes:
        changes += _pruned(there, names, set_)
    changes.sort(key=lambda change: (VERBS.index(change.verb), change.table))
    known = None if assumed is None else {*assumed, *(name for table, name in refused if table == "Network")}
    for change, told in islice(_in_the_way(changes, there, names, known), MOST):
        complaints.append(told)
        refused.add((change.table, change.name))
    if complaints:
        others = [each for each in changes if (each.table, each.name) not in refused]
        rest = [each for each in others if not _is_in(each, refused, known)]
        raise ConflictError(complaints, Difference(set_, rest, 0, names))
    unchanged = len(rows) - sum(change.wanted is not None for change in changes)
    return Difference(set_, changes, unchanged, names)


def _added(row: Wanted, set_: str) -> RowChange:
    missing = [column for column in REQUIRED[row.table] if column not in row.columns]
    if missing:
        needs = " and ".join(f"`{column}`" for column in missing)
        raise RefusedError(f"it does not exist yet, and a new {row.table.lower()} needs {needs}")
    marked = {**row.columns.get("external_ids", {}), SET: set_}
    spec = SPECS[row.table](**{**row.columns, "external_ids": marked})
    return RowChange("add", row.table, row.name, None, spec.row(), Create(spec), row)


def _changed(row: Wanted, old: Row, set_: str, adopts: bool) -> RowChange | None:
    """Return what is to be done to *old*; None if it is as *row* wants it."""
    differing = {column: value for column, value in row.columns.items() if value != given(old, column)}
    owner = set_of(old)
    if owner != set_ and differing and not adopts:
        whose = "no set" if owner is None else f'set "{owner}"'
        names = ", ".join(f"`{column}`" for column in differing)
        differ = "differs" if len(differing) == 1 else "differ"
        text = f"it is in {whose}, and its {names} {differ}; use `adopts` to take it over, or leave it out"
        raise RefusedError(text, Place(row.table, row.name, next(iter(differing))))
    if not differing and (owner == set_ or not adopts):
        return None
    if owner != set_ or "external_ids" in differing:
        differing["external_ids"] = {**differing.get("external_ids", given(old, "external_ids")), SET: set_}
    change = Change(row.table, row.name, differing)
    changed = changed_network(old, change) if row.table == "Network" else changed_port(old, change)
    written = {column: value for column, value in changed.columns.items() if value != old[column]}
    seen = {column: old[column] for column in (*row.columns, *written, "external_ids") if column != "name"}
    step = Change(row.table, row.name, written, seen)
    return RowChange("change", row.table, row.name, old, changed.new, step, row)


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


def _is_in(change: RowChange, refused: Collection[tuple[str, str]], assumed: Collection[str] | None) -> bool:
    """Return whether *change* is of a port in a network that is *refused* or *assumed*."""
    if change.table != "Port" or change.new is None:
        return False
    name = change.new["network"]
    return ("Network", name) in refused or assumed is None or name in assumed


def _in_the_way(
    changes: Sequence[RowChange],
    there: Present,
    names: Collection[tuple[str, str]],
    assumed: Collection[str] | None,
) -> Iterator[tuple[RowChange, Complaint]]:
    """Yield what the rows of *changes* cannot be together with others that are known.

    *names* are those of all rows that documents want: what two of them have is wrong whatever is there.
    """
    by_name: dict[tuple[str, str], RowChange] = {(change.table, change.name): change for change in changes}
    networks = {name for name in there.networks if _is_kept("Network", name, by_name)}
    networks |= {change.name for change in changes if change.table == "Network" and change.new is not None}
    holders: dict[tuple[object, ...], Row] = {}
    for table in {change.table for change in changes}:
        for name, row in there.rows(table).items():
            if (table, name) not in by_name:
                holders[_key(table, row)] = row
    for change in changes:
        wanted = change.wanted
        if change.new is None or wanted is None:
            continue
        row = change.new
        is_known = assumed is None or row.get("network") in assumed or row.get("network") in networks
        if change.table == "Port" and not is_known:
            yield change, wanted.complaint(_no_network(row["network"], networks, there), "network")
        first = holders.setdefault(_key(change.table, row), row)
        if first is not row:
            error = taken(change.table, _UNIQUE[change.table], first, row.get("network"))
            told = wanted.complaint(str(error), error.place.column if error.place else None)
            yield change, told._replace(is_own=(change.table, first["name"]) in names)


def _no_network(name: str, networks: Collection[str], there: Present) -> str:
    shown = f"network '{shortened(name)}'"
    if name in there.networks:
        return f"{shown} is in no file, and so it would be deleted; add it to the files"
    hint = meant(name, networks)
    return (
        f"there is no {shown}; {hint if hint.startswith('did you mean') else 'see `trunkline network list`'}"
    )


def _is_kept(table: str, name: str, by_name: Mapping[tuple[str, str], RowChange]) -> bool:
    change = by_name.get((table, name))
    return change is None or change.new is not None


def _key(table: str, row: Row) -> tuple[object, ...]:
    return (table, *(row[column] for column in _UNIQUE[table]))
