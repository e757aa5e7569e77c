"""How rows are printed: a table for a person, JSON, YAML, CSV or names for a program.

Names and reasons in the database can hold any characters. In a table, those that are not printable are
escaped, so none reaches the terminal as a command. JSON and YAML are in ASCII. In a terminal, long text in a
table is cut so that lines fit, and words stay whole.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from functools import reduce
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


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
    folds: bool = False,
) -> str:
    """Return a table of *rows* under *headers*, its lines no longer than *width* if long text can be cut.

    A MAC, a name or what `explain` takes is of no use if it is cut. So no word is, unless it is longer than
    all of these, and a line may be longer than *width*. If the table *folds*, long text goes on below instead
    of being cut. If it *ends_in_prose*, its last column stays as it is.
    """
    from tabulate import tabulate

    lines = [list(headers), *([cell(value) for value in row] for row in rows)]
    if width is not None:
        cut = len(headers) - ends_in_prose
        columns = [[line[n] for line in lines] for n in range(cut)]
        widths = _fitting(columns, width - _GAP * (len(headers) - 1) - _LEGIBLE * ends_in_prose)
        shorter = _folded if folds else _cut
        lines = [[*map(shorter, line, widths), *line[cut:]] for line in lines]
    below = [
        "-" * max(_width(part) for line in lines for part in line[n].split("\n")) for n in range(len(headers))
    ]
    # The headers are lines like others, because tabulate makes columns wider than their headers.
    return tabulate([lines[0], below, *lines[1:]], tablefmt="plain", disable_numparse=True)


_GAP = 2
"""Between two columns of a table."""

_LEGIBLE = 8
"""No column of a table is made smaller than this."""

_WORD = 48
"""The longest word that stays whole: longer than a UUID, an IPv6 prefix, and a flow as `explain` takes it."""


def _fitting(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the widths of *columns*, the largest made smaller until all together need *room*.

    None is made smaller than its longest word.
    """
    widths = [max(map(_width, column)) for column in columns]
    least = [max(_LEGIBLE, *map(_longest_word, column)) for column in columns]
    most = max(widths, default=0)
    fitting = widths
    while most > _LEGIBLE and sum(fitting) > room:
        most -= 1
        fitting = [min(width, max(most, few)) for width, few in zip(widths, least, strict=True)]
    return fitting


def _longest_word(text: str) -> int:
    """Return the width of the longest word of *text*, of which the rest can be cut."""
    words = text.split()
    # "…" takes one cell, unless the word is the end of the text.
    return min(_WORD, max((_width(word) + (word is not words[-1]) for word in words), default=0))


def _width(text: str) -> int:
    """Return how many cells of a terminal *text*, which is printable, takes."""
    from wcwidth import wcswidth

    return wcswidth(text)


def _cut(text: str, width: int) -> str:
    """Return *text*, or its beginning and "…" if it is wider than *width*."""
    from wcwidth import clip

    return text if _width(text) <= width else f"{clip(text, 0, width - 1).rstrip()}…"


def _folded(text: str, width: int) -> str:
    """Return *text* in lines of at most *width*, broken at blanks if possible."""
    from wcwidth import wrap

    return text if _width(text) <= width else "\n".join(wrap(text, width, break_on_hyphens=False))


def print_table(
    rows: Sequence[Sequence[Any]], headers: Sequence[str], *, ends_in_prose: bool = False, folds: bool = False
) -> None:
    """Print a table of *rows* under *headers*; in a terminal as `table` has it for that width."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(table(rows, headers, width, ends_in_prose=ends_in_prose, folds=folds))


def print_list(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    output: str,
    words: Mapping[str, Callable[[Any], Any]] = NO_WORDS,
) -> None:
    """Print *rows*: as JSON or YAML an array of whole objects, else the *columns* (header by column name).

    In a table, *words* has what returns the words for a value, by column.
    """
    match output:
        case "table":
            said = [[words.get(column, _as_it_is)(row[column]) for column in columns] for row in rows]
            print_table(said, list(columns.values()))
        case _:
            print_data(list(map(dict, rows)), output, Sheet(rows, tuple(columns)))


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
    if output != "table":
        columns = tuple(dict.fromkeys(column for row in rows for column in row))
        data = list(map(dict, rows))
        print_data(data[0] if is_one else data, output, Sheet(rows, columns, columns[0] == "name"))
        return
    for number, row in enumerate(rows):
        if number:
            click.echo()
        print_one(row, output)


def print_one(row: Mapping[str, Any], output: str) -> None:
    """Print *row*: as a table a line for each column, a line for each item of a map, else one object."""
    if output != "table":
        print_each([row], output, is_one=True)
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


class Sheet(NamedTuple):
    """What `csv` and `name` print of a document: *rows*, with *columns*, of which the first is the name.

    A column is called as in JSON; an item of a map is a column too, called COLUMN:KEY.
    """

    rows: Sequence[Mapping[str, Any]]
    columns: tuple[str, ...]
    has_names: bool = True

    def lines(self) -> Iterator[list[Any]]:
        """Yield the values of each row."""
        paths = [[column] if column in self._first() else column.split(":") for column in self.columns]
        return ([reduce(_part, path, row) for path in paths] for row in self.rows)

    def _first(self) -> Mapping[str, Any]:
        return self.rows[0] if self.rows else {}


def _part(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def print_data(data: Any, output: str, sheet: Sheet | None = None) -> None:
    """Print *data* as `json` or `yaml`, or *sheet*, what is a list in it, as `csv` or `name`."""
    import json

    match output:
        case "json":
            click.echo(json.dumps(data, indent=2))
        case "yaml":
            from trunkline.manifest.emission import Emission

            # Through JSON, which makes a subclass of str, such as a UUID, plain text.
            click.echo(Emission().text(json.loads(json.dumps(data))).rstrip("\n"))
        case _ if sheet is None:
            raise click.UsageError(f"-o {output} prints a list, and this is none; use -o json")
        case "csv":
            click.echo(_csv([sheet.columns, *sheet.lines()]), nl=False)
        case _:
            if not sheet.has_names:
                raise click.UsageError("-o name prints names, and this has none; use -o csv")
            names = Sheet(sheet.rows, sheet.columns[:1])
            click.echo("".join(f"{cell(name)}\n" for (name,) in names.lines()), nl=False)
