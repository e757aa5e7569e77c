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
    from trunkline.northbound.filter import Filter, Item
    from trunkline.northbound.operation import Row


class Listing(NamedTuple):
    """What the command line asks for: rows of *table* that all *filters* accept, and how they are printed.

    *titles* are headers by column, *columns* what is asked for, None if nothing is, *order* is what to sort
    by, from the largest if it *is_reverse*.
    """

    table: str
    titles: Mapping[str, str]
    columns: tuple[Item, ...] | None
    order: Item
    is_reverse: bool
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
        if self.output in _WHOLE and self.columns is None:
            return []
        shown = self._shown() if self.columns is None else [each.column for each in self.columns]
        return [*shown, self.order.column]

    def _shown(self) -> Mapping[str, str]:
        """Return the titles of what is printed."""
        if self.output == "name":
            return {"name": "NAME"}
        if self.columns is None:
            return self.titles
        return {str(each): self._title(each) for each in self.columns}

    def _title(self, item: Item) -> str:
        title = self.titles.get(item.column, item.column.upper().replace("_", " "))
        return title if item.key is None else f"{title}:{item.key}"

    def print(self, rows: Sequence[Row], words: Mapping[str, Callable[[Any], Any]] = NO_WORDS) -> None:
        """Print *rows*, which are by name; in a table with *words* for values, by column."""
        from trunkline.core.order import by_value

        if self.is_reverse or self.order.column != "name":
            rows = sorted(rows, key=lambda row: by_value(self.order.of(row)), reverse=self.is_reverse)
        if self.columns is not None:
            part = _whole_part if self.output in _WHOLE else _flat_part
            rows = [part(row, self.columns) for row in rows]
        print_list(rows, self._shown(), self.output, words)


_WHOLE = ("json", "yaml")
"""The forms that have rows whole, with maps as maps."""


def _whole_part(row: Row, items: Sequence[Item]) -> Row:
    """Return *items* of *row*, those of a map in a map.

    >>> from trunkline.northbound.filter import Item
    >>> _whole_part({"name": "vm1", "options": {"a": "1", "b": "2"}}, [Item("options", "b"), Item("name")])
    {'options': {'b': '2'}, 'name': 'vm1'}
    """
    whole = {each.column for each in items if each.key is None}
    part: Row = {}
    for each in items:
        value = row[each.column]
        if each.column in whole:
            part[each.column] = value
        else:
            found = part.setdefault(each.column, {})
            found.update({each.key: value[each.key]} if each.key in value else {})
    return part


def _flat_part(row: Row, items: Sequence[Item]) -> Row:
    """Return *items* of *row*, each by its text."""
    return {str(each): each.of(row) for each in items}


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
            from trunkline.northbound.filter import item, parse

            names = () if columns is None else dict.fromkeys(map(str.strip, columns.split(",")))
            chosen = tuple(item(table, name, derived) for name in names) or None
            by = item(table, order.removeprefix("-"), derived)
            if chosen is not None and output == "name":
                raise click.UsageError("-o name prints names alone; leave out --columns, or use -o csv")
            wanted = tuple(parse(table, text, derived) for text in filters)
            is_reverse = order.startswith("-")
            listing = Listing(table, titles, chosen, by, is_reverse, wanted, output, is_raw)
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
                help="Sort by this column, or by COLUMN:KEY of a map; with a - before it, from the largest.",
            ),
            click.option(
                "--columns",
                type=NOT_EMPTY,
                metavar="COLUMN,COLUMN",
                shell_complete=among(known),
                help="Print these columns: named as in the JSON. COLUMN:KEY is an item of a map.",
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
