"""What all commands that list rows share: which rows, which columns, in which order, and how printed."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from trunkline.cli.name import among
from trunkline.cli.option import NOT_EMPTY, with_output, with_raw
from trunkline.cli.output import NO_WORDS, print_list

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.filter import Filter
    from trunkline.northbound.operation import Row


class Listing(NamedTuple):
    """What the command line asks for: rows of *table* that all *filters* accept, and how they are printed.

    *titles* are headers by column, *columns* those that are asked for, None if none are, *order* is the
    column to sort by, with a "-" before it if from the largest.
    """

    table: str
    titles: Mapping[str, str]
    columns: tuple[str, ...] | None
    order: str
    filters: tuple[Filter, ...]
    output: str
    is_raw: bool

    def where(self, **values: str | None) -> Listing:
        """Return this listing, of rows that have each of *values*, if it is not None, in the column."""
        from trunkline.northbound.filter import parse

        given = [parse(self.table, f"{name}={value}") for name, value in values.items() if value is not None]
        return self._replace(filters=(*self.filters, *given))

    def rows(self, nb: Northbound) -> list[Row]:
        """Return the rows of *table* that are asked for, with the columns that are needed."""
        from trunkline.northbound.listing import matching

        return matching(nb, self.table, self.filters, only=self._needed(), is_raw=self.is_raw)

    def _needed(self) -> list[str]:
        """Return the columns that are printed or sorted by; none if all are."""
        if self.output in ("json", "yaml") and self.columns is None:
            return []
        return [*self._shown(), self.order.removeprefix("-")]

    def _shown(self) -> Mapping[str, str]:
        """Return the titles of the columns that are printed."""
        if self.output == "name":
            return {"name": "NAME"}
        if self.columns is None:
            return self.titles
        return {name: self.titles.get(name, name.upper().replace("_", " ")) for name in self.columns}

    def print(self, rows: Sequence[Row], words: Mapping[str, Callable[[Any], Any]] = NO_WORDS) -> None:
        """Print *rows*, which are by name; in a table with *words* for values, by column."""
        from trunkline.core.order import by_value

        column = self.order.removeprefix("-")
        if self.order != "name":
            is_reverse = column != self.order
            rows = sorted(rows, key=lambda row: by_value(row[column]), reverse=is_reverse)
        if self.columns is not None:
            rows = [{name: row[name] for name in self.columns} for row in rows]
        print_list(rows, self._shown(), self.output, words)


def with_listing(
    table: str, titles: Mapping[str, str], derived: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command what chooses and prints rows of *table*, and its function the argument *listing*.

    *titles* are the headers of the columns that are printed if no others are asked for. Rows have *derived*
    columns besides those of the table.
    """

    def known() -> Iterable[str]:
        from trunkline.northbound.schema import columns

        return (*columns(table), *derived)

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        def command(
            *args: Any,
            columns: str | None,
            order: str,
            filters: tuple[str, ...],
            output: str,
            is_raw: bool = False,
            **kwargs: Any,
        ) -> Any:
            from trunkline.northbound.filter import check_column, parse

            names = None if columns is None else tuple(dict.fromkeys(map(str.strip, columns.split(","))))
            for name in (*(names or ()), order.removeprefix("-")):
                check_column(table, name, derived)
            if names is not None and output == "name":
                raise click.UsageError("-o name prints names alone; leave out --columns, or use -o csv")
            wanted = tuple(parse(table, text, derived) for text in filters)
            listing = Listing(table, titles, names, order, wanted, output, is_raw)
            return function(*args, listing=listing, **kwargs)

        update_wrapper(command, function)
        wrapped: Callable[..., Any] = with_output(command)
        for option in (
            click.option(
                "--filter",
                "filters",
                multiple=True,
                type=NOT_EMPTY,
                metavar="COLUMN=VALUE|COLUMN!=VALUE|COLUMN~REGEX",
                help="Only rows with that in the column, or in COLUMN:KEY of a map; may be repeated.",
            ),
            click.option(
                "--sort",
                "order",
                type=NOT_EMPTY,
                default="name",
                show_default=True,
                metavar="[-]COLUMN",
                shell_complete=among(known),
                help="Sort by this column; with a - before it, from the largest.",
            ),
            click.option(
                "--columns",
                type=NOT_EMPTY,
                metavar="COLUMN,COLUMN",
                shell_complete=among(known),
                help="Print these columns: their names are those of the JSON.",
            ),
        ):
            wrapped = option(wrapped)
        return wrapped

    return decorated


def with_raw_listing(
    table: str, titles: Mapping[str, str]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `--raw` and what `with_listing` gives it."""
    return lambda function: with_raw(with_listing(table, titles)(function))
