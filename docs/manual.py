"""Write the manual pages of the programs, as `scripts/package` installs them: `manual.py DIRECTORY`.

They say what `--help` says, from the same source: a page for each program, and one for each of its commands
with all its verbs, so that `man trunkline port` shows everything about ports.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from generate import commands

from trunkline import __version__
from trunkline.cli.main import trunkline
from trunkline.cli.neutron import trunkline_neutron

_VERBATIM = "\b"
"""What click marks a paragraph with whose lines are to stay as they are."""

_GLYPHS = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
"""The characters for which groff prints others, and what prints them as they are (groff_char(7))."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the file name and the text of each page."""
    for program, called in ((trunkline, "trunkline"), (trunkline_neutron, "trunkline-neutron")):
        found = list(commands(program, called, None))
        names = [_name(path) for path, *_ in found if path.count(" ") == 1]
        has_pages = program is trunkline  # the other one is described on one page
        yield from _page(found[:1] if has_pages else found, names if has_pages else [])
        for name in names if has_pages else ():
            others = [each for each in names if each != name]
            yield from _page([each for each in found if _name(each[0]) == name], ["trunkline", *others])


def _name(path: str) -> str:
    """Return the page of the command *path*: `trunkline port set` is on the page trunkline-port."""
    return "-".join(path.split(" ")[:2])


def _page(
    found: list[tuple[str, click.Command, click.Context]], related: list[str]
) -> Iterator[tuple[str, str]]:
    path, command, context = found[0]
    name = path.replace(" ", "-")
    lines = [
        f'.TH "{_text(name.upper())}" 1 "" "Trunkline {__version__}" "Trunkline"',
        ".ad l",
        ".nh",
        ".SH NAME",
        _text(f"{name} - {_paragraphs(command)[0].rstrip('.')}").replace(" \\- ", " \\- ", 1),
        ".SH SYNOPSIS",
        *_synopsis(path, command, context),
        ".SH DESCRIPTION",
        *_description(command),
        *_options(".SH OPTIONS", command, context),
    ]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *_verbs(command, context, found[1:])]
    if related:
        lines += [".SH SEE ALSO", *(f".BR {_text(each)} (1)," for each in sorted(related)[:-1])]
        lines.append(f".BR {_text(sorted(related)[-1])} (1)")
    yield f"{name}.1", "\n".join(lines) + "\n"


def _verbs(
    group: click.Group, context: click.Context, found: list[tuple[str, click.Command, click.Context]]
) -> Iterator[str]:
    """Yield each verb of *group* in full, or, if these have pages of their own, what they are for."""
    for path, command, inner in found:
        yield f".SS {_text(path)}"
        yield from _synopsis(path, command, inner)
        yield ".PP"
        yield from _description(command)
        yield from _options(None, command, inner)
    for name in () if found else group.list_commands(context):
        verb = group.get_command(context, name)
        assert verb is not None
        page = f"{context.info_name} {name}".replace(" ", "-")
        yield from (".TP", f".BR {_text(page)} (1)", _text(_paragraphs(verb)[0]))


def _synopsis(path: str, command: click.Command, context: click.Context) -> Iterator[str]:
    yield f".B {_text(path)}"
    yield _text(" ".join(command.collect_usage_pieces(context)))


def _description(command: click.Command) -> Iterator[str]:
    for number, paragraph in enumerate(_paragraphs(command)):
        if number:
            yield ".PP"
        if paragraph.startswith(_VERBATIM):
            yield from (".nf", *map(_text, paragraph.splitlines()[1:]), ".fi")
        else:
            yield _text(" ".join(paragraph.split()))


def _paragraphs(command: click.Command) -> list[str]:
    return re.split(r"\n\s*\n", cleandoc(command.help or ""))


def _options(head: str | None, command: click.Command, context: click.Context) -> Iterator[str]:
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    if head and any(records):
        yield head
    for record in records:
        if record and record[1]:
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]))


def _text(text: str) -> str:
    """Return *text* as groff prints it unchanged."""
    return "\\&" * text.startswith(".") + "".join(_GLYPHS.get(char, char) for char in text)


if __name__ == "__main__":
    (directory,) = map(Path, sys.argv[1:])
    directory.mkdir(parents=True, exist_ok=True)
    for file_name, text in pages():
        (directory / file_name).write_text(text)
