"""`trunkline sync`: the acknowledgement that what is committed is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trunkline.cli.option import Seconds, with_northbound
from trunkline.cli.output import printable

if TYPE_CHECKING:
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.sync import Request


@click.command()
@click.option("--wait", "waits", is_flag=True, help="Return when every chassis has applied it.")
@click.option(
    "--live", "is_live_enough", is_flag=True, help="With --wait: exit with 0 despite silent chassis."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(),
    default=30.0,
    show_default=True,
    metavar="S",
    help="How long to wait, in seconds; exit code 3 after that.",
)
@with_northbound
def sync(nb: Northbound, waits: bool, is_live_enough: bool, timeout_s: float) -> int:
    """Ask all chassis to acknowledge what is committed, and print the number of the request.

    With --wait, return when every chassis has done so: its switch forwards as the northbound says. If a
    chassis did not answer a request within 10 s while somebody waited, it is silent until it answers one. A
    silent chassis is named and not waited for, and the exit code is 4, or 0 with --live. It still forwards by
    what it applied before.
    """
    from trunkline.cli.main import EXIT_NO
    from trunkline.northbound.sync import request, wait

    if is_live_enough and not waits:
        raise click.UsageError("--live applies only to a wait; give --wait too")
    asked = request(nb)
    silent = wait(nb, asked, timeout_s) if waits else frozenset[str]()
    is_complete = not (waits and report_unanswered(asked, silent))
    click.echo(asked.nb_cfg)
    return 0 if is_complete or is_live_enough else EXIT_NO


def report_unanswered(asked: Request, silent: frozenset[str]) -> bool:
    """Name on standard error the *silent* chassis, and the rivals of others; return whether there are any."""
    said = [
        *(
            f"chassis {name!r} is silent: it has not applied {asked.nb_cfg}; start its agent, "
            f"or run `trunkline chassis delete {name}` if the host is gone for good"
            for name in sorted(silent)
        ),
        *(
            f"host {rival.hostname!r} has the system-id {rival.chassis!r} of another host, and has not "
            f"applied {asked.nb_cfg}; give it a system-id of its own"
            for rival in asked.rivals
        ),
    ]
    for line in said:
        click.echo(printable(f"trunkline: {line}"), err=True)
    return bool(said)
