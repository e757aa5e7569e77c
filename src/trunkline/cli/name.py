"""The names and words that a shell completes, for the parameters that take them.

A name is completed only if a shell takes it as it is. The rows of the northbound are other people's text: one
that is called `$(reboot)` must not find its way into a command line by a tab.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from trunkline.cli.option import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click
    from click.shell_completion import CompletionItem

    from trunkline.northbound.operation import Row

    Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
    """Returns the completions of a text, for a parameter of a command that is being typed."""

PATIENCE_S = 2.0
"""How long a person at a prompt waits for the northbound; then nothing is completed."""

_PLAIN = re.compile(r"[\w./][\w./:@%+=-]*")


def named(table: str, column: str = "name") -> Complete:
    """Return what completes the names in *column* of *table*, of the northbound that the line names.

    Names that the line has already are left out. After a comma, the next name is completed.
    """

    def complete(context: click.Context, parameter: click.Parameter, text: str) -> list[CompletionItem]:
        given = context.params.get(parameter.name or "")
        said = {given} if isinstance(given, str) else set(given or ())
        return _after_comma(text, (name for name in _names(context, table, column) if name not in said))

    return complete


def among(words: Callable[[], Iterable[str]]) -> Complete:
    """Return what completes *words()*; after a comma, the next one."""
    return lambda _context, _parameter, text: _after_comma(text, words())


def files(_context: click.Context, _parameter: click.Parameter, text: str) -> list[CompletionItem]:
    """Have the shell complete the name of a file."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(text, type="file")]


NETWORKS, PORTS, CHASSIS = map(named, ("Network", "Port", "Chassis"))
PHYSNETS = named("Network", "physical_network")
"""The physical networks that have a network already."""


def _after_comma(text: str, words: Iterable[str]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    before, comma, begun = text.rpartition(",")
    said = set(before.split(","))
    return [
        CompletionItem(f"{before}{comma}{word}")
        for word in words
        if word.startswith(begun) and word not in said and _PLAIN.fullmatch(word)
    ]


def _names(context: click.Context, table: str, column: str) -> list[str]:
    """Return the names in *column* of *table*; none if the northbound does not tell them."""
    from trunkline.core.name import natural

    return sorted({row[column] for row in _rows(context, column, table)}, key=natural)


def _sets(context: click.Context, _parameter: click.Parameter, text: str) -> list[CompletionItem]:
    """Return the sets of which there are rows."""
    from trunkline.core.name import natural
    from trunkline.northbound.schema import SET

    rows = _rows(context, "external_ids", "Network", "Port")
    return _after_comma(text, sorted({row["external_ids"].get(SET, "") for row in rows}, key=natural))


SETS = _sets


def _rows(context: click.Context, column: str, *tables: str) -> list[Row]:
    """Return *column* of the rows of *tables*; none if the northbound does not tell them."""
    from click import ClickException

    from trunkline.core.error import TrunklineError
    from trunkline.northbound.operation import select

    top = context.find_root().params
    connection = Connection(*(top.get(field) for field in Connection._fields))
    try:
        with _limited(), connection.open(context.params.get("nb")) as nb:
            found = nb.read(*(select(table, only=(column,)) for table in tables))
    except (TrunklineError, ClickException, OSError):
        return []
    return [row for rows in found for row in rows]


@contextmanager
def _limited() -> Iterator[None]:
    """End this process if the block takes longer than `PATIENCE_S`: a lookup of a host name has no limit."""
    import threading

    timer = threading.Timer(PATIENCE_S, os._exit, (1,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
