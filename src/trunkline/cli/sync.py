"""`trunkline sync`: the acknowledgement that what is committed is applied."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

import click

from trunkline.cli.option import with_data_output, with_northbound, with_wait
from trunkline.cli.output import print_data, printable
from trunkline.core.name import natural

if TYPE_CHECKING:
    from trunkline.cli.progress import Progress
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.sync import Request


@click.command()
@click.option(
    "--live", "is_live_enough", is_flag=True, help="With --wait: exit with 0 despite silent chassis."
)
@with_wait
@with_data_output
@with_northbound
def sync(nb: Northbound, is_live_enough: bool, wait_s: float | None, output: str) -> int:
    """Ask all chassis to acknowledge what is committed, and print the number of the request.

    With --wait, return when every chassis has done so: its switch forwards as the northbound says. If a
    chassis did not answer a request within 10 s while somebody waited, it is silent until it answers one. A
    silent chassis is named and not waited for, and the exit code is 4, or 0 with --live. It still forwards by
    what it applied before.

    \b
    Examples:
      trunkline sync --wait                      is everything in place that was committed?
      trunkline sync --wait --live --timeout 60  silent chassis do not count
    """
    from trunkline.cli.main import EXIT_NO
    from trunkline.cli.progress import Progress
    from trunkline.northbound.sync import request

    if is_live_enough and wait_s is None:
        raise click.UsageError("--live applies only to a wait; give --wait too")
    started_s = time.monotonic()
    asked = request(nb)
    silent = asked.silent if wait_s is None else awaited(nb, asked, wait_s, Progress())
    is_complete = wait_s is None or not report_unanswered(asked, silent)
    if output != "table":
        names = sorted(silent, key=natural)
        waited = {"version": 1, "nb_cfg": asked.nb_cfg, "waited": wait_s is not None, "silent": names}
        print_data(waited, output)
    else:
        asked_words = f"{len(asked.live | asked.silent):,} chassis asked"
        words = asked_words if wait_s is None else applied_words(asked, silent, started_s)
        click.echo(f"request {asked.nb_cfg}: {words}")
    return 0 if is_complete or is_live_enough else EXIT_NO


def applied_words(asked: Request, silent: frozenset[str], started_s: float) -> str:
    """Return how many chassis have applied what was *asked* at *started_s* (`time.monotonic`)."""
    all_ = len(asked.live | asked.silent)
    took_s = time.monotonic() - started_s
    after = f"{took_s:.1f} s" if took_s >= _LEAST_S else f"less than {2 * _LEAST_S:g} s"
    return f"applied by {all_ - len(silent):,} of {all_:,} chassis after {after}"


_LEAST_S = 0.05
"""A shorter time is not shown as 0.0 s."""


def awaited(nb: Northbound, asked: Request, timeout_s: float, progress: Progress) -> frozenset[str]:
    """Wait as `northbound.sync.wait` does, with *progress*."""
    from trunkline.northbound.sync import wait

    with progress.phase("waiting for the chassis"):
        return wait(nb, asked, timeout_s, progress.counting("chassis have applied it"))


def report_unanswered(asked: Request, silent: frozenset[str]) -> bool:
    """Name on standard error the *silent* chassis, and the rivals of others; return whether there are any."""
    said = [
        *(
            f"chassis {name!r} is silent: it has not applied {asked.nb_cfg}; start its agent, "
            f"or run `trunkline chassis delete {shlex.quote(name)}` if the host is gone for good"
            for name in sorted(silent, key=natural)
        ),
        *(
            f"host {rival.hostname!r} has the system-id {rival.chassis!r} of another host, and has not "
            f"applied {asked.nb_cfg}; give it a system-id of its own"
            if rival.is_denied
            else f"host {rival.hostname!r} asks for the system-id {rival.chassis!r}, as for 5 s after a "
            f"restart of Open vSwitch, and has not applied {asked.nb_cfg}; run this again"
            for rival in asked.rivals
        ),
    ]
    for line in said:
        click.echo(printable(f"trunkline: {line}"), err=True)
    return bool(said)
