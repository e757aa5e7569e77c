"""Wanted rows: what documents say of networks and ports, in the northbound's own spelling."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.error import InvalidValueError
from trunkline.manifest.complaint import MOST, Complaint, Mark, summary
from trunkline.manifest.document import documents, shortened
from trunkline.manifest.form import KIND, formed
from trunkline.manifest.source import sources
from trunkline.northbound import schema
from trunkline.northbound.schema import SET, Shape
from trunkline.northbound.spec import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from trunkline.manifest.document import Document
    from trunkline.manifest.form import Kind

MOST_ROWS = 250_000
"""How many documents are read at most: a transaction of more rows takes the database minutes."""


class Wanted(NamedTuple):
    """What should be of one row: *columns*, with `name`, as they should be; others are left as they are.

    A port's network is given by name. *document* says it, if it comes from a file; what it says of the
    columns *wrong* is wrong.
    """

    table: Kind
    name: str
    columns: dict[str, Any]
    document: Document | None = None
    wrong: frozenset[str] = frozenset()

    @property
    def subject(self) -> str:
        """The row in words."""
        return f"{self.table.lower()} {shortened(self.name or '(without a name)')}"

    def complaint(self, text: str, column: str | None = None, item: str | None = None) -> Complaint:
        """Return the complaint *text* about *column*, or about *item* in it."""
        mark = self.document.marks.of(column, item) if self.document else None
        return Complaint(mark, f"{self.subject}: {text}")


class Manifest(NamedTuple):
    """What all files together say, and how many files those are."""

    rows: list[Wanted]
    file_count: int


class ManifestError(InvalidValueError):
    """Documents that are wrong whatever the northbound holds.

    The *others* are rows that can be looked at further, as far as they are right. They speak of networks of
    which the wrong documents may be: those called one of *named*, or any if that is None.
    """

    def __init__(
        self,
        complaints: Sequence[Complaint],
        others: Sequence[Wanted] = (),
        named: Collection[str] | None = None,
    ) -> None:
        super().__init__(summary(complaints))
        self.complaints = [each._replace(is_own=True) for each in complaints]
        self.others = others
        self.named = named


def read(names: Iterable[str]) -> Manifest:
    """Return what the files *names* say; `-` is standard input, a directory stands for its YAML files.

    Raises:
        ManifestError: something is wrong, whatever the northbound holds.
    """
    complaints: list[Complaint] = []
    rows: dict[tuple[str, str], Wanted] = {}
    files, named = 0, set[str]()
    for source in sources(names, complaints):
        files += 1
        for document in documents(source, complaints):
            row = _wanted(document, complaints)
            if row is None:
                named.add(str(document.value.get("name")))
            else:
                first = rows.setdefault((row.table, row.name), row)
                if first is not row:
                    complaints.append(row.complaint(f"this name is in {_place(first)} already", "name"))
            if len(rows) > MOST_ROWS:
                text = f"more than {MOST_ROWS:,} documents; apply fewer at a time"
                raise ManifestError([Complaint(Mark(source.name), text)])
            if len(complaints) >= MOST:
                raise ManifestError(complaints)
    if not rows and not complaints:
        complaints.append(Complaint(None, "the files contain no document, so there is nothing to apply"))
    if complaints:
        is_any_hidden = any(each.hides for each in complaints)
        raise ManifestError(complaints, list(rows.values()), None if is_any_hidden else named)
    return Manifest(list(rows.values()), files)


def _place(row: Wanted) -> str:
    return f"{row.document.source.name}:{row.document.line}" if row.document else "another place"


def _wanted(document: Document, complaints: list[Complaint]) -> Wanted | None:
    """Return the row that *document* wants, None if it has no kind or no name.

    What is wrong with it is added to *complaints*.
    """
    said = formed(document, complaints)
    if said is None:
        return None
    columns = dict(said.columns)
    columns.pop(KIND, None)
    if None in columns.values():
        empty = cleared(said.kind)
        columns = {name: empty[name] if value is None else value for name, value in columns.items()}
    row = Wanted(said.kind, columns.get("name", ""), columns, document, said.wrong)
    if SET in columns.get("external_ids", ()):
        text = f"`external_ids:{SET}` is written by Trunkline itself; leave it out"
        complaints.append(row.complaint(text, "external_ids"))
        columns["external_ids"] = {key: item for key, item in columns["external_ids"].items() if key != SET}
    if said.kind == "Port":
        right, faults = canonical(row.name, columns)
        complaints.extend(row.complaint(str(fault.error), fault.columns[0], fault.item) for fault in faults)
        wrong = row.wrong | (columns.keys() - right.keys()) if faults else row.wrong
        row = Wanted(row.table, row.name, right, document, wrong)
    return row if row.name else None


@cache
def cleared(table: str) -> dict[str, Any]:
    """Return the value of each column that is cleared."""
    empty: dict[Shape, Any] = {Shape.OPTIONAL: None, Shape.SET: [], Shape.MAP: {}, Shape.ONE: False}
    return {name: empty[column.shape] for name, column in schema.columns(table).items()}
