"""`trunkline chassis`: the chassis that have registered in the northbound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.change import deletions, with_if_exists, with_write
from trunkline.cli.listing import with_listing
from trunkline.cli.name import CHASSIS
from trunkline.cli.option import NOT_EMPTY, Seconds, asked, with_asking, with_northbound, with_output
from trunkline.cli.output import ago, print_each, print_list, printable
from trunkline.cli.place import with_chassis
from trunkline.core.name import natural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.cli.change import Write
    from trunkline.cli.listing import Listing
    from trunkline.northbound.client import Northbound

_LISTED = {
    "name": "NAME",
    "state": "STATE",
    "answer_age_s": "ANSWERED",
    "hostname": "HOSTNAME",
    "bridge_mappings": "BRIDGE MAPPINGS",
    "nb_cfg": "APPLIED",
    "version": "VERSION",
    "fault_count": "FAULTS",
}
_DERIVED = ("state", "answer_age_s", "fault_count")


@click.group()
def chassis() -> None:
    """The chassis: each registers by itself when its agent starts."""


@chassis.command("list")
@with_asking
@with_listing("Chassis", _LISTED, _DERIVED)
@with_northbound
def list_(nb: Northbound, listing: Listing, asks: bool) -> None:
    """List the chassis, by name.

    `chassis show` has the faults in words, and `status --help` says what STATE means.

    \b
    Examples:
      trunkline chassis list
      trunkline chassis list --no-ask -o json  what they have reported, at once
    """
    from trunkline.northbound.status import all_chassis

    rows = [row | {"fault_count": len(row["faults"])} for row in all_chassis(nb, asked(nb, asks))]
    kept = [row for row in rows if all(each.accepts(row) for each in listing.filters)]
    listing.print(kept, {"answer_age_s": ago})


@chassis.command()
@click.argument("names", type=NOT_EMPTY, nargs=-1, required=True, metavar="NAME...", shell_complete=CHASSIS)
@with_asking
@with_output
@with_northbound
def show(nb: Northbound, names: tuple[str, ...], output: str, asks: bool) -> None:
    """Show the chassis called NAME, and their faults with the reasons.

    JSON and YAML have an object for one name, and an array for several.

    \b
    Examples:
      trunkline chassis show c1
    """
    from trunkline.northbound.listing import named
    from trunkline.northbound.status import chassis_named

    named(nb, "Chassis", names)
    rows = chassis_named(nb, names, asked(nb, asks, of=names))
    print_each(
        [_in_words(row) for row in rows] if output == "table" else rows, output, is_one=len(names) == 1
    )


def _in_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return *row*, a chassis, for a person: what matters comes first, and faults name options."""
    from trunkline.cli.column import in_options

    words = {"name": row["name"], "state": row["state"], "answered": ago(row["answer_age_s"]), **row}
    del words["answer_age_s"]
    return words | {"faults": {subject: in_options(reason) for subject, reason in row["faults"].items()}}


_STATE = {
    "chassis": "CHASSIS",
    "version": "VERSION",
    "settled": "SETTLED",
    "networks": "NETWORKS",
    "vifs": "VIFS",
    "flows": "FLOWS",
    "repairs": "REPAIRS",
    "longest_turn_ms": "LONGEST TURN, MS",
}


@chassis.command()
@click.argument("names", type=NOT_EMPTY, nargs=-1, metavar="[NAME]...", shell_complete=CHASSIS)
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(),
    default=5.0,
    show_default=True,
    metavar="S",
    help="How long to wait for answers, in seconds; exit code 3 if some are missing.",
)
@with_output
@with_northbound
def state(nb: Northbound, output: str, names: tuple[str, ...], timeout_s: float) -> int:
    """Ask the agents of chassis, by default of all, for their own state: what each has in place.

    The question goes through the northbound: nothing else has to reach the chassis. -o json shows all that
    `ovs-appctl -t trunkline-agent status` shows on the chassis itself.

    \b
    Examples:
      trunkline chassis state
      trunkline chassis state c1 -o json
    """
    from trunkline.cli.column import in_options
    from trunkline.cli.main import EXIT_TIMED_OUT
    from trunkline.cli.progress import Progress
    from trunkline.northbound.question import DONE, ask

    progress = Progress()
    report = progress.counting("chassis have answered")
    with progress.phase("asking the chassis"):
        answers = ask(nb, "state", names or None, timeout_s=timeout_s, report=report)
    rows: list[dict[str, Any]] = []
    complaints = dict.fromkeys(answers.missing, f"has not answered within {timeout_s:g} s")
    for name, answer in sorted(answers.by_chassis.items(), key=lambda item: natural(item[0])):
        if answer.state == DONE and isinstance(answer.body, dict):
            rows.append(dict.fromkeys(_STATE) | answer.body | {"chassis": name})
        else:
            complaints[name] = f"has no answer: {answer.reason}"
    if rows or output != "table":
        print_list(rows, _STATE, output)
    for name, complaint in sorted(complaints.items(), key=lambda item: natural(item[0])):
        click.echo(printable(in_options(f"trunkline: chassis {name!r} {complaint}")), err=True)
    return EXIT_TIMED_OUT if complaints else 0


@chassis.command()
@click.argument("names", type=NOT_EMPTY, nargs=-1, required=True, metavar="NAME...", shell_complete=CHASSIS)
@with_if_exists
@with_write
def delete(write: Write, names: tuple[str, ...], if_exists: bool) -> int:
    """Delete chassis that are gone for good. Their ports are then held by no chassis.

    If an agent still runs, it registers its chassis again.

    \b
    Examples:
      trunkline chassis delete c9 --if-exists  a host that is gone for good
    """
    return write(deletions("Chassis", names, if_exists=if_exists))


@chassis.command("accept-nb")
@with_chassis
def accept_nb(ovs_remote: str | None) -> None:
    """Accept the northbound at trunkline-nb on this chassis, even if it is another one than before.

    A chassis obeys the first northbound that it connects to. A northbound with another identity, such as a
    new file, is a fault until it is accepted by this command; until then the chassis keeps what it has
    applied. A restored backup has the identity of the original, and need not be accepted.

    \b
    Examples:
      trunkline chassis accept-nb
    """
    from trunkline.ovsdb.acceptance import forget_northbound
    from trunkline.process.daemon import Options, require_socket

    remote = Options(ovs_remote=ovs_remote).remote
    require_socket(remote)
    forget_northbound(remote)
    click.echo("This chassis obeys the northbound at trunkline-nb from now on.")
