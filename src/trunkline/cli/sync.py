"""`trunkline sync`: the acknowledgement that what is committed is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trunkline.cli.option import with_northbound
from trunkline.cli.output import printable

if TYPE_CHECKING:
    from trunkline.ovsdb.northbound import Northbound


@click.command()
@click.option("--wait", "waits", is_flag=True, help="Return when every live chassis has applied it.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="S",
    help="How long to wait, in seconds; exit code 3 after that.",
)
@with_northbound
def sync(nb: Northbound, waits: bool, timeout_s: float) -> None:
    """Ask all chassis to acknowledge what is committed, and print the number of the request.

    With --wait, return when every live chassis has done so: its switch forwards as the northbound says. A
    chassis that has left an earlier request unanswered for 10 s is not waited for, and named.
    """
    from trunkline.ovsdb.sync import request, wait

    asked = request(nb)
    for name in sorted(asked.silent) if waits else ():
        click.echo(
            printable(
                f"trunkline: not waiting for chassis {name!r}, which has left an earlier request unanswered; "
                f"start its agent, or `trunkline chassis delete {name}` where it is gone for good"
            ),
            err=True,
        )
    if waits:
        wait(nb, asked, timeout_s)
    click.echo(asked.nb_cfg)
