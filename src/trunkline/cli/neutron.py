"""The program `trunkline-neutron`: what an operator of Neutron does about its driver, on a controller."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from trunkline import __version__
from trunkline.cli.difference import lines, summary
from trunkline.cli.main import EXIT_NO, EXIT_REFUSED, run
from trunkline.cli.option import NOT_EMPTY
from trunkline.cli.output import printable
from trunkline.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.manifest.difference import Difference, RowChange
    from trunkline.manifest.form import Kind
    from trunkline.neutron.comparison import Result
    from trunkline.neutron.desired import Row
    from trunkline.northbound.step import Change, Create, Delete

PROGRAM = "trunkline-neutron"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message=f"{PROGRAM} %(version)s")
def trunkline_neutron() -> None:
    """Look after the northbound that Neutron drives. It needs Neutron, and runs where its server does."""


@trunkline_neutron.command()
@click.option(
    "--config-file",
    "files",
    multiple=True,
    type=NOT_EMPTY,
    metavar="FILE",
    help="A file of Neutron's configuration; may be repeated, and later files win. Default: "
    "/etc/neutron/neutron.conf and /etc/neutron/plugins/ml2/ml2_conf.ini.",
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Change nothing; exit code 4 if something would be.")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--full", "is_full", is_flag=True, help="Show every change, and whole values.")
def sync(files: tuple[str, ...], *, is_dry: bool, is_agreed: bool, is_full: bool) -> int:
    """Compare Neutron's database with the northbound once, and write the rows that differ.

    What is to be written is shown first. Without --yes a person is asked, at a terminal. Rows that are not
    Neutron's are never touched. It may run while Neutron does: a row that somebody else writes meanwhile is
    compared again. Neutron's worker does the same every minute, so this is for a look, and for when no worker
    runs. The status of ports is the worker's.

    Exit codes: 0 done, or nothing to do; 1 a row or all could not be written, or not agreed to; 4 with
    --dry-run: something differs.

    \b
    Examples:
      trunkline-neutron sync --dry-run  what differs
      trunkline-neutron sync --yes      write it
    """
    if not (is_dry or is_agreed or sys.stdin.isatty()):
        raise click.UsageError(
            "standard input is not a terminal, so sync cannot ask; give --yes or --dry-run"
        )
    try:
        from trunkline.neutron.command import comparison, configure
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Neutron is not installed for {sys.executable} ({error}); install trunkline beside Neutron"
        ) from error
    progress = Progress()
    configure(files)
    with progress.phase("comparing Neutron's database with the northbound"):
        result = comparison(is_dry=not is_agreed)
    found = _difference(result)
    for line in lines(found, _notes(result), is_full=is_full):
        click.echo(line, color=False if "NO_COLOR" in os.environ else None)
    _complain(result.faults)
    if not result.steps:
        click.echo("nothing to do" if not result.faults else "nothing can be done")
        return 0 if not result.faults else EXIT_NO if is_dry else EXIT_REFUSED
    if is_dry:
        click.echo(summary(found))
        return EXIT_NO
    if not is_agreed:
        if not click.confirm(f"{summary(found)}  Write?", prompt_suffix=" "):
            click.echo("nothing was written", err=True)
            return EXIT_REFUSED
        known = result.faults
        with progress.phase("writing what differs"):
            result = comparison(is_dry=False)
        _complain({row: reason for row, reason in result.faults.items() if known.get(row) != reason})
    click.echo(f"done: {len(result.steps):,} row{'' if len(result.steps) == 1 else 's'}")
    return EXIT_REFUSED if result.faults else 0


def _complain(faults: Mapping[Row, str]) -> None:
    """Print a line for each row that cannot be as it should."""
    for row, reason in sorted(faults.items()):
        click.echo(printable(f"{PROGRAM}: {row.table.lower()} {row.name}: {reason}"), err=True)


def _difference(result: Result) -> Difference:
    """Return what *result* has found, as the difference that `apply` shows."""
    from trunkline.manifest.difference import VERBS, Difference
    from trunkline.neutron.desired import SET_NAME

    changes = sorted(map(_change, result.steps), key=lambda each: (VERBS.index(each.verb), each.table))
    return Difference(SET_NAME, changes, result.unchanged)


def _change(step: Create | Change | Delete) -> RowChange:
    """Return what *step* means for its row, of which the driver knows the columns that it writes."""
    from trunkline.manifest.difference import RowChange
    from trunkline.manifest.wanted import cleared
    from trunkline.neutron.writer import row_of
    from trunkline.northbound.step import Change, Create

    row = row_of(step)
    kind: Kind = "Network" if row.table == "Network" else "Port"
    if isinstance(step, Create):
        return RowChange("add", kind, row.name, None, step.spec.row(), step)
    old = {**cleared(kind), **step.given}
    if isinstance(step, Change):
        return RowChange("change", kind, row.name, old, {**old, **step.columns}, step)
    return RowChange("delete", kind, row.name, old, None, step)


def _notes(result: Result) -> dict[tuple[str, str], str]:
    """Return what people call the rows: the networks' names, and where the ports are bound."""
    notes = {("Network", each.id): each.network_name for each in result.resources.segments}
    notes |= {
        ("Port", port.id): f"bound to {port.main.host}"
        for port in result.resources.ports
        if port.main is not None
    }
    return {key: printable(f"({text})") for key, text in notes.items() if text}


def main() -> NoReturn:
    """Run the program and exit."""
    run(trunkline_neutron, PROGRAM)
