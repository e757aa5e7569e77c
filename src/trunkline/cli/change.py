"""A command that changes the northbound: its commit, and the wait for the chassis that `--wait` asks for."""

from __future__ import annotations

import errno
import time
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click

from trunkline.cli.column import in_options
from trunkline.cli.commit import Commit, told
from trunkline.cli.option import with_connection, with_wait
from trunkline.cli.output import printable
from trunkline.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
    from trunkline.northbound.step import Step

    Write: TypeAlias = Callable[[Iterable[Step]], int]
    """Does steps in one transaction, waits if that was asked for, and returns the exit code."""


with_may_exist = click.option(
    "--may-exist",
    is_flag=True,
    help="If it exists as it is given here, change nothing; if it is otherwise, refuse.",
)
"""Gives a command `--may-exist`, and its function the argument *may_exist*, for `creation`."""

with_if_exists = click.option("--if-exists", is_flag=True, help="Pass over names that nothing is called.")
"""Gives a command `--if-exists`, and its function the argument *if_exists*, for `deletions`."""


def creation(spec: NetworkSpec | PortSpec, given: Iterable[str], *, may_exist: bool) -> Step:
    """Return the step that creates the row of *spec*, of which the columns *given* are given."""
    from trunkline.northbound.client import Create, Ensure

    return Ensure(spec, [column for column in given if column != "name"]) if may_exist else Create(spec)


def deletions(
    table: Literal["Network", "Port", "Chassis"], names: Iterable[str], *, if_exists: bool
) -> list[Step]:
    """Return the steps that delete the rows of *table* called *names*."""
    from trunkline.northbound.client import Delete

    return [Delete(table, name, may_be_gone=if_exists) for name in dict.fromkeys(names)]


def with_write(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--nb`, `--wait` and `--timeout`, and its function, as first argument, a `Write`."""

    def command(connect: Callable[[], Northbound], *args: Any, wait_s: float | None, **kwargs: Any) -> Any:
        return function(lambda steps: _written(connect, steps, wait_s), *args, **kwargs)

    return with_wait(with_connection(update_wrapper(command, function)))


def _written(connect: Callable[[], Northbound], steps: Iterable[Step], wait_s: float | None) -> int:
    with Commit(Progress(), waits=wait_s is not None) as commit:
        try:
            with connect() as nb:
                with commit.progress.phase("committing"):
                    nb.write(steps, around=commit.guarded)
                return 0 if wait_s is None else waited(nb, wait_s, commit.progress)
        except (KeyboardInterrupt, click.Abort):
            return interrupted(commit, _NOTHING)
        except OSError as error:
            return unprinted(commit, _NOTHING, error)


_NOTHING = "nothing was changed"


def waited(nb: Northbound, timeout_s: float, progress: Progress, *, is_told: bool = True) -> int:
    """Return, when every live chassis has applied what is committed, the exit code.

    If *is_told*, say how many have applied it. An error is printed, with the word that all is committed.
    """
    from trunkline.cli.main import EXIT_NO, EXIT_TIMED_OUT
    from trunkline.cli.sync import applied_words, awaited, report_unanswered
    from trunkline.core.error import TrunklineError
    from trunkline.northbound.sync import request

    started_s = time.monotonic()
    try:
        asked = request(nb)
        silent = awaited(nb, asked, timeout_s, progress)
    except TrunklineError as error:
        _say(f"trunkline: committed; {error}")
        return EXIT_TIMED_OUT
    if is_told:
        click.echo(applied_words(asked, silent, started_s))
    return EXIT_NO if report_unanswered(asked, silent) else 0


def interrupted(commit: Commit, nothing: str, left: str = "") -> int:
    """Say what became of *commit*, *nothing* if it was not reached, and return the exit code.

    *left* is what is not done then, if it is committed and does not wait.
    """
    from trunkline.cli.main import EXIT_TIMED_OUT

    if commit.is_under_way:
        _say(
            "ended before the database answered: it is unknown whether the change was made; run again to see"
        )
    elif commit.is_done:
        left = "not waited for" if commit.waits else left
        _say(f"committed; {left}" if left else "committed")
        return EXIT_TIMED_OUT if left else 0
    else:
        _say(nothing)
        return 128 + commit.interrupt  # as a shell reports it
    return EXIT_TIMED_OUT


def unprinted(commit: Commit, nothing: str, error: OSError) -> int:
    """Say what became of *commit*, although standard output cannot be written, and return the exit code.

    Raises:
        OSError: it is *error*, and nothing was committed.
    """
    from trunkline.cli.main import EXIT_TIMED_OUT, words

    if not commit.is_done:
        if error.errno != errno.EPIPE:
            _say(nothing)
        raise error
    _say(f"committed; standard output cannot be written: {words(error)}")
    return EXIT_TIMED_OUT


def _say(line: str) -> None:
    told(printable(in_options(line)))
