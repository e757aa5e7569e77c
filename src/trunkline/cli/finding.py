"""How findings are shown to a person: each cause on one line, with its remedy below."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import click

from trunkline.cli.output import printable
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from trunkline.health.check import Verdict
    from trunkline.health.finding import Finding

_MOST_LINES = 10
"""How many lines of one code are shown without `--only`."""

_AREAS = {"1": "northbound", "2": "wire", "3": "port", "4": "switch", "5": "chassis"}

_ASKED = frozenset("234")
"""The areas of which some is found only by a chassis that is asked."""


class Seen(NamedTuple):
    """What was *found*, under a *title*; *checks* counts what was looked for.

    *unasked* says why it is not known what chassis find at themselves; None if all that are meant said it.
    *came* says when frames last came from other chassis over the physical network, and to them.
    """

    title: str
    found: Sequence[Finding]
    checks: int
    unasked: str | None = None
    came: Sequence[str] = ()


def count_words(found: Collection[Finding]) -> str:
    """Return how many errors and warnings there are."""
    errors = sum(each.severity == "error" for each in found)
    counts = {"error": errors, "warning": len(found) - errors}
    return ", ".join(counted(count, noun) for noun, count in counts.items() if count) or "nothing found"


def verdict_words(verdict: Verdict) -> str:
    """Return whether a port works."""
    count = len(verdict.reasons)
    if not count:
        return f"{verdict.port} works"
    if not verdict.is_known:
        return f"{verdict.port} is not known to work, for {counted(count, 'reason')}"
    if verdict.works:
        return f"{verdict.port} works, with {counted(count, 'warning')}"
    return f"{verdict.port} does not work, for {counted(count, 'reason')}"


class Marks(NamedTuple):
    """The signs before each line."""

    error: str = "✗"
    warning: str = "!"
    fine: str = "✓"
    unknown: str = "–"
    remedy: str = "→"

    @classmethod
    def shown(cls) -> Marks:
        """Return those that standard output can show."""
        try:
            "".join(cls()).encode(sys.stdout.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return cls("x", "!", "+", "-", "->")
        return cls()


def show(seen: Seen, *, shows_all: bool) -> None:
    """Print *seen*; of each code all lines if *shows_all*, and then nothing else."""
    from trunkline.health.group import groups

    marks = Marks.shown()
    found = groups(seen.found)
    _echo(f"{seen.title}{':' if found else ''}")
    shown: dict[str, int] = {}
    for group in found:
        first = group.first
        shown[first.code] = shown.get(first.code, 0) + 1
        if shown[first.code] > _MOST_LINES and not shows_all:
            continue
        mark = marks.error if first.severity == "error" else marks.warning
        since = f" (since {_clock(first.since)})" if first.since else ""
        # The text is about one of them: "it does not answer".
        each = ", each" if group.is_each else ""
        _echo(f" {mark} {first.code} {group.where}{each}: {first.text}{since}")
        _echo(f"        {marks.remedy} {first.remedy}")
    for code, count in shown.items():
        if count > _MOST_LINES and not shows_all:
            _echo(f"   {code} {count - _MOST_LINES:,} more: trunkline check --only {code}")
    if not shows_all:
        _print_rest(seen, marks)


def _print_rest(seen: Seen, marks: Marks) -> None:
    """Print where nothing was found, and how much was looked for; and where not all was."""
    codes = {each.code for each in seen.found}
    quiet = [digit for digit in _AREAS if not any(code[1] == digit for code in codes)]
    unknown = [digit for digit in quiet if seen.unasked and digit in _ASKED]
    fine = [_AREAS[digit] for digit in quiet if digit not in unknown]
    if fine:
        _echo(f" {marks.fine} {', '.join(fine)}: {seen.checks - len(codes)} checks")
    if seen.came:
        _echo(
            f" {marks.fine} physical network: frames came {'; '.join(seen.came)}. "
            "If it was changed since, check again in 5 s"
        )
    if unknown:
        areas = ", ".join(_AREAS[digit] for digit in unknown)
        _echo(f" {marks.unknown} {areas}: by what the northbound knows, as {seen.unasked}")


def _clock(since: str) -> str:
    """Return the ISO time *since* in the time zone here: of today, the time alone."""
    try:
        at = datetime.fromisoformat(since).astimezone()
    except (ValueError, OverflowError):
        # A chassis in wrong hands may write anything, and some times exist in no other time zone.
        return since
    is_today = at.date() == datetime.now().astimezone().date()
    return at.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def _echo(line: str) -> None:
    from trunkline.cli.column import in_options

    encoding = sys.stdout.encoding or "ascii"
    text = printable(in_options(line)).encode(encoding, "backslashreplace").decode(encoding)
    click.echo(text)
