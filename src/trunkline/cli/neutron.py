"""The program `trunkline-neutron`: what an operator of Neutron does about its driver, on a controller."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from trunkline import __version__
from trunkline.cli.agreement import agreed
from trunkline.cli.column import OF_NEUTRON, in_options
from trunkline.cli.difference import lines, summary
from trunkline.cli.main import EXIT_NO, EXIT_REFUSED, run
from trunkline.cli.option import NOT_EMPTY
from trunkline.cli.output import printable
from trunkline.cli.progress import Progress
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from trunkline.manifest.difference import Difference, RowChange
    from trunkline.manifest.form import Kind
    from trunkline.neutron.command import Handing
    from trunkline.neutron.comparison import Result
    from trunkline.neutron.desired import Row
    from trunkline.neutron.switchover import Lines
    from trunkline.northbound.step import Change, Create, Delete

PROGRAM = "trunkline-neutron"
_NOTHING = "nothing was written"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message=f"{PROGRAM} %(version)s")
def trunkline_neutron() -> None:
    """Look after the northbound that Neutron drives. It needs Neutron, and runs where its server does."""


def _with_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that say which Neutron, and whether to ask."""
    for option in (
        click.option("--full", "is_full", is_flag=True, help="Show every change, and whole values."),
        click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask."),
        click.option(
            "--dry-run", "is_dry", is_flag=True, help="Change nothing; exit code 4 if something would be."
        ),
        click.option(
            "--config-file",
            "files",
            multiple=True,
            type=NOT_EMPTY,
            metavar="FILE",
            help="A file of Neutron's configuration; may be repeated, and later files win. Default: "
            "/etc/neutron/neutron.conf and /etc/neutron/plugins/ml2/ml2_conf.ini.",
        ),
    ):
        function = option(function)
    return function


@trunkline_neutron.command()
@_with_options
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
    command = _prepared("sync", files, is_quiet=is_dry or is_agreed)
    progress = Progress()
    with progress.phase("comparing Neutron's database with the northbound"):
        result = command.comparison(is_dry=not is_agreed)
    found = _shown(result, is_full=is_full)
    if not result.steps:
        click.echo("nothing to do" if not result.faults else "nothing can be done")
        return 0 if not result.faults else EXIT_NO if is_dry else EXIT_REFUSED
    if is_dry:
        click.echo(summary(found))
        return EXIT_NO
    if not is_agreed:
        if not _agreed(f"{summary(found)}  Write?"):
            return EXIT_REFUSED
        known = result.complaints
        with progress.phase("writing what differs"):
            result = command.comparison(is_dry=False)
        _complain({row: reason for row, reason in result.complaints.items() if known.get(row) != reason})
    click.echo(f"done: {counted(len(result.steps), 'row')}")
    return EXIT_REFUSED if result.faults else 0


@trunkline_neutron.command()
@_with_options
@click.option(
    "--chassis", type=NOT_EMPTY, metavar="NAME", help="The system-id that the host will have, if it is new."
)
@click.option("--back", "is_back", is_flag=True, help="Hand it back to the Open vSwitch agent.")
@click.option(
    "--through",
    type=NOT_EMPTY,
    metavar="COMMAND",
    help="Do what is to be done on the host too: COMMAND, as `ssh HOST`, has a shell there do its last word.",
)
@click.argument("host", type=NOT_EMPTY)
def adopt(
    host: str,
    files: tuple[str, ...],
    chassis: str | None,
    through: str | None,
    *,
    is_back: bool,
    is_dry: bool,
    is_agreed: bool,
    is_full: bool,
) -> int:
    """Take the ports of HOST over from Neutron's Open vSwitch agent, where they are.

    HOST is the host as Neutron calls it. Its ports that the driver `openvswitch` has bound become those of
    the driver `trunkline`, and get their rows in the northbound: all of them or none. Refused are hosts with
    ports on tunnels, of distributed routers, of special vnic types, of trunks, or behind a Linux bridge.

    With --through, that is all: the agents of the host are stopped and started, its switch goes over, and
    the ports that were ACTIVE are waited for. If any of it fails, all that was done is taken back. With
    --dry-run, the host is only asked whether it can go over. Without --through, nothing changes on the host:
    docs/migrate-from-neutron-ovs-agent.md has what is to be typed there.

    Exit codes: 0 done, or nothing to do; 1 refused, failed, or not agreed to; 4 with --dry-run: it would be
    done.

    \b
    Examples:
      trunkline-neutron adopt compute-7 --chassis compute-7 --dry-run  what would be done
      trunkline-neutron adopt compute-7 --chassis compute-7            do it
      trunkline-neutron adopt compute-7 --back                         back to the Open vSwitch agent
      trunkline-neutron adopt compute-7 --chassis compute-7 --through "ssh root@compute-7"  all of it
    """
    argv = _words(through)
    command = _prepared("adopt", files, is_quiet=is_dry or is_agreed)
    wanted = command.handing(host, chassis, is_back=is_back)
    if not (wanted.ports or argv):
        click.echo(f"nothing to do: the driver {wanted.before} has bound no port on {printable(host)}")
        return 0
    progress = Progress()
    _complain(command.obstacles(wanted))
    if command.obstacles(wanted):
        return EXIT_REFUSED
    with progress.phase("comparing the ports with the northbound"):
        result = command.handed_over(wanted, is_dry=True)
    found = _shown(result, is_full=is_full)
    if result.faults:
        return EXIT_REFUSED
    # With --yes each is shown when it is done.
    for step in _steps(wanted) if argv and not is_agreed else ():
        click.echo(printable(step))
    ports = counted(len(wanted.ports), "port")
    what = f"{ports} of {printable(host)} from {wanted.before} to {wanted.after}.  {summary(found)}"
    if is_dry:
        if argv:
            _check(wanted, argv)
        click.echo(what)
        return EXIT_NO
    if not (is_agreed or _agreed(f"{what}  Hand over?")):
        return EXIT_REFUSED
    if argv:
        _switch_over(wanted, argv)
        click.echo(f"done: {ports} handed over, and the host with them")
        return 0
    with progress.phase("handing over"):
        result = command.handed_over(wanted, is_dry=False)
    _complain(result.faults)
    click.echo("all is as before" if result.faults else f"done: {ports} handed over")
    return EXIT_REFUSED if result.faults else 0


def _words(through: str | None) -> list[str]:
    """Return the words of the command *through*."""
    try:
        found = shlex.split(through or "")
    except ValueError as error:
        raise click.BadParameter(f"{through!r} is no command: {error}", param_hint="--through") from error
    if through and not found:
        raise click.BadParameter("it is empty", param_hint="--through")
    return found


def _lines() -> Lines:
    """Return what is typed on a host, as docs/migrate-from-neutron-ovs-agent.md has it."""
    from trunkline.neutron.switchover import Lines

    return Lines(
        who="ovs-vsctl get Open_vSwitch . external_ids:system-id",
        look="trunkline agent --take-over --dry-run",
        stop_agent="systemctl disable --now neutron-openvswitch-agent",
        start_agent="systemctl enable --now neutron-openvswitch-agent",
        stop="systemctl disable --now trunkline-agent",
        start="systemctl enable --now trunkline-agent",
        take_over="trunkline agent --take-over",
        clean_up="trunkline agent --cleanup",
    )


def _steps(wanted: Handing) -> list[str]:
    from trunkline.neutron.switchover import steps

    return steps(wanted, _lines())


def _check(wanted: Handing, argv: list[str]) -> None:
    """Raise if the host cannot be reached, is another one, or cannot go over."""
    from trunkline.neutron.switchover import Shell, check

    check(wanted, Shell(wanted.host, argv, _lines(), lambda _: None))


def _switch_over(wanted: Handing, argv: list[str]) -> None:
    """Take the whole host over, or back, and print each step."""
    from trunkline.neutron.switchover import Shell, switch_over

    def say(text: str) -> None:
        click.echo(printable(text))

    switch_over(wanted, Shell(wanted.host, argv, _lines(), say), say)


def _prepared(name: str, files: tuple[str, ...], *, is_quiet: bool) -> ModuleType:
    """Return what works on Neutron, which is configured by *files*; unless *is_quiet*, a person is there."""
    if not (is_quiet or sys.stdin.isatty()):
        raise click.UsageError(
            f"standard input is not a terminal, so {name} cannot ask; give --yes or --dry-run"
        )
    try:
        from trunkline.neutron import command
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Neutron is not installed for {sys.executable} ({error}); install trunkline beside Neutron"
        ) from error
    command.configure(files)
    return command


def _agreed(question: str) -> bool:
    """Return whether a person agrees; say that nothing was written if not."""
    try:
        is_agreed = agreed(question)
    except click.Abort:
        click.echo(_NOTHING, err=True)
        raise
    if not is_agreed:
        click.echo(_NOTHING, err=True)
    return is_agreed


def _shown(result: Result, *, is_full: bool) -> Difference:
    """Return what *result* has found, after printing a line for each row that differs or cannot be."""
    found = _difference(result)
    for line in lines(found, _notes(result), is_full=is_full):
        click.echo(line, color=False if "NO_COLOR" in os.environ else None)
    _complain(result.complaints)
    return found


def _complain(faults: Mapping[Row, str]) -> None:
    """Print a line for each row that cannot be as it should."""
    for row, reason in sorted(faults.items()):
        line = f"{PROGRAM}: {row.table.lower()} {row.name}: {reason}"
        click.echo(printable(in_options(line, OF_NEUTRON)), err=True)


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
    run(trunkline_neutron, PROGRAM, OF_NEUTRON)
