"""How rows are printed: a table for a person, JSON or YAML for a program.

Names and reasons in the database can hold any characters. In a table, those that are not printable are
escaped, so none reaches the terminal as a command. JSON and YAML are in ASCII.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


def table(rows: Sequence[Sequence[Any]], headers: Sequence[str]) -> str:
    """Return a table of *rows* under *headers*."""
    from tabulate import tabulate

    cells = [[cell(value) for value in row] for row in rows]
    return tabulate(cells, headers=headers, tablefmt="simple", disable_numparse=True)


def print_list(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], output: str) -> None:
    """Print *rows*: as a table the *columns* (header by column name), else an array of whole objects."""
    if output != "table":
        print_data(list(map(dict, rows)), output)
        return
    click.echo(table([[row[column] for column in columns] for row in rows], list(columns.values())))


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

    text = json.dumps(data, indent=2)
    if output == "yaml":
        import yaml

        # Through JSON, which makes a subclass of str, such as a UUID, plain text.
        text = yaml.safe_dump(json.loads(text), sort_keys=False, default_flow_style=False).rstrip("\n")
    click.echo(text)
