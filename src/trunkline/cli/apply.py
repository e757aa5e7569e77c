"""`trunkline apply` and `trunkline export`: networks and ports by files that say what should be."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import click

from trunkline.cli.agreement import agreed
from trunkline.cli.change import interrupted, unprinted, waited
from trunkline.cli.column import ARGUMENTS, in_options
from trunkline.cli.commit import Commit, told
from trunkline.cli.difference import CHANGE, data, lines, summary
from trunkline.cli.name import NETWORKS, SETS, files
from trunkline.cli.option import NOT_EMPTY, with_connection, with_northbound, with_output, with_wait
from trunkline.cli.output import Sheet, print_data, printable
from trunkline.cli.progress import Progress
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trunkline.manifest.complaint import Complaint
    from trunkline.manifest.difference import Difference
    from trunkline.manifest.wanted import Manifest, ManifestError
    from trunkline.northbound.client import Northbound

    Notes: TypeAlias = Mapping[tuple[str, str], str]

_MOST_COMPLAINTS = 100
_NOTHING = "nothing was applied"


@click.command()
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    type=NOT_EMPTY,
    metavar="FILE|DIR|-",
    shell_complete=files,
    help="What should be: a YAML file, a directory of them, or - for standard input; may be repeated.",
)
@click.option(
    "--set",
    "set_",
    type=NOT_EMPTY,
    default="default",
    show_default=True,
    metavar="NAME",
    shell_complete=SETS,
    help="The set that the files are all of; each row says which set it is of.",
)
@click.option("--prune", "prunes", is_flag=True, help="Delete the rows of the set that no file has.")
@click.option("--adopt", "adopts", is_flag=True, help="Take over rows that are of another set, or of none.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Change nothing; exit code 4 if something would be.")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--full", "is_full", is_flag=True, help="Show every change, and whole values.")
@with_wait
@with_output
@with_connection
def apply(connect: Callable[[], Northbound], files: tuple[str, ...], **options: Any) -> int:
    """Make networks and ports what files say, in one transaction: all of it or nothing.

    A document of a file has `kind: Network` or `kind: Port`, a name, and columns of the northbound. A column
    that is left out is left as it is, and null clears it. What is to be changed is shown first, and a person
    is asked, at a terminal; with --yes, what was changed is shown. A row that somebody else has changed
    meanwhile is not written.

    All errors that can be known are told at once. Exit codes: 0 done, or nothing to do; 1 refused, as the
    northbound is now, or not agreed to; 2 a file is wrong, whatever the northbound holds; 3 committed, not
    waited for; 4 with --dry-run: something would be changed, with --wait: a chassis is silent.

    \b
    Examples:
      trunkline apply -f blue.yaml --dry-run             what would be changed
      trunkline apply -f blue.yaml --prune --yes --wait  do it, and return when it is in place
    """
    from trunkline.core.name import check_name
    from trunkline.manifest.obstacle import ConflictError
    from trunkline.manifest.wanted import ManifestError, read
    from trunkline.northbound.transaction import no_collection

    asked, progress = _Asked(**options), Progress()
    check_name("set", asked.set_)
    if asked.is_question and (asked.output != "table" or not sys.stdin.isatty()):
        is_data = asked.output != "table"
        why = f"-o {asked.output} is for programs" if is_data else "standard input is not a terminal"
        raise click.UsageError(f"{why}, so apply cannot ask; give --yes, or --dry-run to look only")
    with Commit(progress, waits=asked.wait_s is not None) as commit:
        try:
            with no_collection():
                with progress.phase("reading and checking the files"):
                    manifest = read(files)
                with connect() as nb:
                    return _apply(nb, manifest, asked, commit)
        except (ManifestError, ConflictError) as error:
            wrong = list(error.complaints)
            if isinstance(error, ManifestError):
                wrong += further(connect, error, asked.set_, **asked.how)
            code = complained(wrong)
            _say(_NOTHING)
            return code
        except (KeyboardInterrupt, click.Abort):
            return interrupted(commit, _NOTHING, "not shown in full")
        except OSError as error:
            return unprinted(commit, _NOTHING, error)


class _Asked(NamedTuple):
    """What the command line asks for."""

    set_: str
    prunes: bool
    adopts: bool
    is_dry: bool
    is_agreed: bool
    is_full: bool
    wait_s: float | None
    output: str

    @property
    def is_question(self) -> bool:
        """Whether a person is to be asked."""
        return not (self.is_dry or self.is_agreed)

    @property
    def is_written(self) -> bool:
        """Whether the difference is written without a look at it."""
        return self.is_agreed and not self.is_dry

    @property
    def how(self) -> dict[str, bool]:
        """How documents are compared with what there is."""
        return {"prunes": self.prunes, "adopts": self.adopts}


def _apply(nb: Northbound, manifest: Manifest, asked: _Asked, commit: Commit) -> int:
    """Make the northbound as *manifest* has it, and return the exit code.

    A person sees the difference if nothing is refused: before the question, or else when it is committed.
    """
    from trunkline.cli.main import EXIT_NO, EXIT_REFUSED

    found, notes = _compared(nb, manifest, asked, commit.progress)
    if found.changes and not asked.is_written:
        with commit.progress.phase(f"checking {_rows(found)} with the northbound"):
            _refuse(nb, manifest, found, asked, lambda: nb.rehearse(found.steps))
    if asked.output == "table":
        # Before anything is committed: if it cannot be printed, that is known now.
        click.echo(_title(manifest, asked.set_))
    if not asked.is_written:
        _show(found, notes, asked)
    if asked.is_dry:
        _print(found, asked.output, is_applied=False)
        return EXIT_NO if found.changes else 0
    if found.changes:
        if asked.is_question and not agreed(f"{summary(found)}  Apply?"):
            _say(_NOTHING)
            return EXIT_REFUSED
        with commit.progress.phase(f"committing {_rows(found)}"):
            _refuse(nb, manifest, found, asked, lambda: nb.write(found.steps, around=commit.guarded))
    if asked.is_written:
        _show(found, notes, asked)
    _print(found, asked.output, is_applied=True)
    if asked.wait_s is None:
        return 0
    return waited(nb, asked.wait_s, commit.progress, is_told=asked.output == "table")


def _title(manifest: Manifest, set_: str) -> str:
    """Return what the files are, and what they want."""
    kinds = Counter(row.table.lower() for row in manifest.rows)
    parts = [(manifest.file_count, "file"), *((kinds[kind], kind) for kind in ("network", "port"))]
    counts = ", ".join(counted(count, noun) for count, noun in parts)
    return f'set "{set_}": {counts}'


def _compared(
    nb: Northbound, manifest: Manifest, asked: _Asked, progress: Progress
) -> tuple[Difference, Notes]:
    """Return the difference between *manifest* and the northbound, and what it means for ports."""
    from trunkline.manifest.consequence import consequences
    from trunkline.manifest.obstacle import judged

    with progress.phase(f"comparing {len(manifest.rows):,} documents with the northbound"):
        there, found = judged(nb, manifest.rows, asked.set_, is_committed=asked.is_written, **asked.how)
        return found, consequences(nb, found, there)


def _show(found: Difference, notes: Notes, asked: _Asked) -> None:
    """Print *found* for a person; the question, if there is one, has its summary."""
    if asked.output != "table":
        return
    for line in lines(found, notes, is_full=asked.is_full):
        click.echo(line, color=False if "NO_COLOR" in os.environ else None)
    if found.changes and not asked.is_question:
        click.echo(summary(found))


def _print(found: Difference, output: str, *, is_applied: bool) -> None:
    """Print what became of *found*: for a program all of it."""
    if output != "table":
        told = data(found)
        print_data(told | {"applied": is_applied}, output, Sheet(told["changes"], CHANGE))
    elif not found.changes:
        click.echo("nothing to do")
    elif is_applied:
        click.echo(f"done: transaction of {_rows(found)}")


def _rows(found: Difference) -> str:
    return f"{len(found.changes):,} row{'s' if found.changes[1:] else ''}"


def _refuse(
    nb: Northbound, manifest: Manifest, found: Difference, asked: _Asked, write: Callable[[], None]
) -> None:
    """Do *write*; raise a ConflictError, with everything that is in the way, if the northbound refuses it."""
    from trunkline.core.error import InvalidValueError
    from trunkline.manifest.difference import difference
    from trunkline.manifest.obstacle import ConflictError, obstacles
    from trunkline.manifest.present import present
    from trunkline.manifest.refused import refusal
    from trunkline.northbound.client import NotFoundError, RefusedError, TransactionError

    try:
        write()
    except (InvalidValueError, RefusedError, NotFoundError, TransactionError) as error:
        refused = refusal(nb, found, error)
        there = present(nb, manifest.rows, asked.set_ if asked.prunes else None)
        wrong = obstacles(nb, difference(manifest.rows, there, asked.set_, **asked.how), there)
        if refused.is_beaten or not wrong:
            wrong.append(refused.complaint)
        raise ConflictError(wrong) from error


def further(
    connect: Callable[[], Northbound], error: ManifestError, set_: str, *, prunes: bool, adopts: bool
) -> list[Complaint]:
    """Return what else is wrong with the documents of *error*, as far as the northbound says it."""
    from trunkline.core.error import TrunklineError
    from trunkline.manifest.difference import difference
    from trunkline.manifest.obstacle import obstacles
    from trunkline.manifest.present import present

    if not error.others:
        return []
    try:
        with connect() as nb:
            there = present(nb, error.others, set_ if prunes else None)
            found = difference(error.others, there, set_, prunes=prunes, adopts=adopts)
            return obstacles(nb, found, there, error.named)
    except TrunklineError:
        # If the northbound is away, what is wrong whatever it holds is told all the same.
        return []


def complained(complaints: Iterable[Complaint]) -> int:
    """Print each of *complaints* on a line, in the order of the files, and return the exit code.

    That is 2 if one of them is wrong whatever the northbound holds, else 1.
    """
    from trunkline.cli.main import EXIT_REFUSED, EXIT_USAGE

    code_by_line: dict[str, int] = {}
    for each in sorted(complaints, key=_place):
        line = str(each) if each.mark else f"trunkline: {each}"
        code_by_line.setdefault(line, EXIT_USAGE if each.is_own else EXIT_REFUSED)
    for line in list(code_by_line)[:_MOST_COMPLAINTS]:
        _say(line)
    others = len(code_by_line) - _MOST_COMPLAINTS
    if others > 0:
        _say(f"trunkline: and {others:,} more")
    return max(code_by_line.values())


def _place(complaint: Complaint) -> tuple[str, int, int]:
    """Return where *complaint* comes among others: those of no file last."""
    mark = complaint.mark
    return ("\U0010ffff", 0, 0) if mark is None else (mark.file, mark.line or 0, mark.column or 0)


def _say(line: str) -> None:
    told(printable(in_options(line, ARGUMENTS)))


@click.command()
@click.option(
    "--set", "set_", type=NOT_EMPTY, metavar="NAME", shell_complete=SETS, help="Only the rows of this set."
)
@click.option(
    "--network",
    type=NOT_EMPTY,
    metavar="NETWORK",
    shell_complete=NETWORKS,
    help="Only this network, and its ports.",
)
@with_northbound
def export(nb: Northbound, set_: str | None, network: str | None) -> None:
    """Print networks and ports as the documents that `trunkline apply` takes.

    What Trunkline itself writes, such as keys and which chassis holds a port, is left out, and so is the set.

    \b
    Examples:
      trunkline export --network blue > blue.yaml
      trunkline export --set default  what `apply` has made
    """
    from trunkline.manifest.export import documents, text
    from trunkline.manifest.present import chosen

    for document in text(documents(chosen(nb, set_, network))):
        click.echo(document, nl=False)
