"""How rows are printed: a table for a person, JSON, YAML, CSV or names for a program.

Names and reasons in the database can hold any characters. In a table, those that are not printable are
escaped, so none reaches the terminal as a command. JSON and YAML are in ASCII. In a terminal, no line of a
table is longer than the terminal is wide.
"""

from __future__ import annotations

import shutil
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


NO_WORDS: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})


def printable(text: str) -> str:
    r"""Return *text* with control characters, line ends and direction marks escaped.

    >>> printable("web\x1b[2J\nvm")
    'web\\x1b[2J\\nvm'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def cell(value: Any) -> str:
    """Return *value* as text for a table: None is empty, lists and maps are comma separated.

    >>> cell(None), cell(True), cell(["a", "b"]), cell({"physnet1": "br-ex"})
    ('', 'yes', 'a, b', 'physnet1:br-ex')
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(cell(item) for item in value)
        case dict():
            return ", ".join(f"{cell(key)}:{cell(item)}" for key, item in value.items())
        case _:
            return printable(str(value))


def ago(age_s: float | None) -> str:
    """Return *age_s* in words for a person, in the largest unit that it has two of; None: never.

    >>> [ago(age_s) for age_s in (None, 0.0, 7.5, 119, 120, 7200, 200_000)]
    ['never', 'now', '8 s ago', '119 s ago', '2 min ago', '2 h ago', '2 d ago']
    """
    if age_s is None:
        return "never"
    if not age_s:
        return "now"
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if age_s >= 2 * seconds:
            return f"{age_s // seconds:.0f} {unit} ago"
    return f"{age_s:.0f} s ago"


def table(
    rows: Sequence[Sequence[Any]],
    headers: Sequence[str],
    width: int | None = None,
    *,
    ends_in_prose: bool = False,
) -> str:
    """Return a table of *rows* under *headers*, no line longer than *width*: long text is cut.

    If the table *ends_in_prose*, its last column is never cut, whatever its lines' length.
    """
    from tabulate import tabulate

    cells = [[cell(value) for value in row] for row in rows]
    if width is not None:
        columns = len(headers) - ends_in_prose
        widths = [_column_width(head, cells, n) for n, head in enumerate(headers[:columns])]
        fitting = _fitting(widths, width - _GAP * (len(headers) - 1) - _LEGIBLE * ends_in_prose)
        if fitting != widths:
            heads = [_cut(head, most - _PADDING) for head, most in zip(headers, fitting, strict=False)]
            headers = [*heads, *headers[columns:]]
            cells = [[*map(_cut, row, fitting), *row[columns:]] for row in cells]
    return tabulate(cells, headers=headers, tablefmt="simple", disable_numparse=True)


_GAP = 2
"""Between two columns of a table."""

_PADDING = 2
"""By how much tabulate makes a column wider than its header."""

_LEGIBLE = 8
"""To what width the other columns of a table are cut before the first one, which says what a row is about."""


def _column_width(head: str, cells: Sequence[Sequence[str]], column: int) -> int:
    return max([_width(head) + _PADDING, *(_width(row[column]) for row in cells)])


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """Return *widths* of columns, the largest made smaller until all together need *room*."""
    fitting = [*widths[:1], *_cut_widths(widths[1:], room - sum(widths[:1]), _LEGIBLE)]
    return fitting if sum(fitting) <= room else _cut_widths(widths, room, 1 + _PADDING)


def _cut_widths(widths: Sequence[int], room: int, least: int) -> list[int]:
    """Return *widths* with the largest made smaller, not below *least*, until all together need *room*."""
    most = max(widths, default=0)
    while most > least and sum(min(width, most) for width in widths) > room:
        most -= 1
    return [min(width, most) for width in widths]


def _width(text: str) -> int:
    """Return how many cells of a terminal *text*, which is printable, takes."""
    from wcwidth import wcswidth

    return wcswidth(text)


def _cut(text: str, width: int) -> str:
    """Return *text*, or its beginning and "…" if it is wider than *width*."""
    from wcwidth import clip

    return text if _width(text) <= width else f"{clip(text, 0, width - 1).rstrip()}…"


def print_table(
    rows: Sequence[Sequence[Any]], headers: Sequence[str], *, ends_in_prose: bool = False
) -> None:
    """Print a table of *rows* under *headers*; in a terminal, no wider than that, as `table` has it."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(table(rows, headers, width, ends_in_prose=ends_in_prose))


def print_list(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    output: str,
    words: Mapping[str, Callable[[Any], Any]] = NO_WORDS,
) -> None:
    """Print *rows*: as JSON or YAML an array of whole objects, else the *columns* (header by column name).

    In a table, *words* has what returns the words for a value, by column. As `name`, only the first of
    *columns* is printed, each on a line.
    """
    match output:
        case "table":
            said = [[words.get(column, _as_it_is)(row[column]) for column in columns] for row in rows]
            print_table(said, list(columns.values()))
        case "csv":
            click.echo(
                _csv([list(columns), *([row[column] for column in columns] for row in rows)]), nl=False
            )
        case "name":
            column = next(iter(columns))
            click.echo("".join(f"{cell(row[column])}\n" for row in rows), nl=False)
        case _:
            print_data(list(map(dict, rows)), output)


_FORMULA = ("=", "+", "-", "@")


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    """Return *rows* as CSV (RFC 4180), each on one line, without texts that a spreadsheet takes for formulas.

    Such a text has a "'" before it, as OWASP advises (CSV injection).
    """
    import csv
    import io

    def field(value: Any) -> Any:
        if value is None or isinstance(value, int | float):
            return str(value).lower() if isinstance(value, bool) else value
        text = cell(value)
        return f"'{text}" if text.startswith(_FORMULA) else text

    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([field(value) for value in row] for row in rows)
    return written.getvalue()


def _as_it_is(value: Any) -> Any:
    return value


def print_each(rows: Sequence[Mapping[str, Any]], output: str, *, is_one: bool) -> None:
    """Print *rows* whole, each as `print_one` does. For a program they are an array unless *is_one*."""
    if output != "table" and not is_one:
        print_data(list(map(dict, rows)), output)
        return
    for number, row in enumerate(rows):
        if number:
            click.echo()
        print_one(row, output)


def print_one(row: Mapping[str, Any], output: str) -> None:
    """Print *row*: as a table a line for each column, a line for each item of a map, else one object."""
    if output != "table":
        print_data(dict(row), output)
        return
    lines: list[tuple[str, str]] = []
    for column, value in row.items():
        items = list(value.items()) if isinstance(value, dict) else []
        if not items:
            lines.append((column, cell(None if value == {} else value)))
        lines += [(column if not n else "", f"{cell(k)}: {cell(v)}") for n, (k, v) in enumerate(items)]
    width = max(len(column) for column, _ in lines)
    for column, text in lines:
        click.echo(f"{column:{width}}  {text}".rstrip())


def print_data(data: Any, output: str) -> None:
    """Print *data* as `json` or `yaml`."""
    import json

    if output == "json":
        click.echo(json.dumps(data, indent=2))
        return
    from trunkline.manifest.emission import Emission

    # Through JSON, which makes a subclass of str, such as a UUID, plain text.
    click.echo(Emission().text(json.loads(json.dumps(data))).rstrip("\n"))
