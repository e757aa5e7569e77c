"""What `trunkline lab` prints of a lab at work: who reaches whom, what a restart loses, what to try next."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from trunkline.core.amount import counted
from trunkline.lab import demonstration

if TYPE_CHECKING:
    from trunkline.cli.progress import Progress
    from trunkline.lab.lab import Lab


def show_reach(running: Lab, progress: Progress) -> list[str]:
    """Ping from every machine to every other, and return what is not as expected."""
    say_heading("Who reaches whom: every machine pings every other")
    with progress.phase(f"{len(running.expected_reach())} pings are under way"):
        matrix = demonstration.matrix(running)
    for line in matrix.lines():
        click.echo(f"  {line}")
    click.echo("\n  ● reached and · not reached, both as expected;  ! not as expected")
    return [
        f"{source} {'does not reach' if matrix.expected[source, to] else 'reaches'} {to}"
        for source, to in matrix.differing
    ]


def show_restart(running: Lab, progress: Progress) -> list[str]:
    """Kill agents and start them while pings run, and return what was lost."""
    wanted = demonstration.series(running.topology)
    complaints = []
    for chassis in dict.fromkeys(each.chassis for each in wanted):
        say_heading(f"Killing the agent of {chassis} with SIGKILL and starting it again, while pings run")
        of_chassis = [each for each in wanted if each.chassis == chassis]
        with progress.phase(f"pinging while the agent of {chassis} starts"):
            results = demonstration.restart(running, chassis, of_chassis)
        for each, result in results:
            line = f"{each.source} to {each.to}: {result.sent} sent, {result.lost} lost"
            click.echo(f"  {line} (one every {demonstration.SERIES_INTERVAL_S * 1000:.0f} ms)")
            if result.lost:
                complaints.append(line)
    return complaints


def say_heading(text: str) -> None:
    """Print the heading of what comes next."""
    click.secho(f"\n{text}", bold=True)


def say_summary(running: Lab, complaints: list[str], took_s: float) -> None:
    """Print what was not as expected, what the lab consists of, and how many seconds it took."""
    pairs = len(running.expected_reach())
    say_heading("Not as expected" if complaints else "Everything is as expected")
    for complaint in complaints:
        click.echo(f"  {complaint}")
    vms, hosts = counted(len(running.vm), "VM"), counted(len(running.host), "bare-metal host")
    parts = f"{len(running.chassis)} chassis, {vms}, {hosts}"
    click.echo(f"  {parts}; {counted(pairs, 'pair')} checked; {took_s:.1f} s")


def say_next(running: Lab) -> None:
    """Print what to try in the lab."""
    say_heading("What to try next")
    # scripts/demo runs the program from a virtual environment, which is not in a shell's PATH.
    program = "trunkline" if shutil.which("trunkline") else sys.argv[0]
    tries = [("see it all at a glance", f"{program} --nb {running.nb.remote} status")]
    for each in demonstration.series(running.topology)[:1]:
        argv = running.machine[each.source].namespace.argv(["ping", running.machine[each.to].ip])
        tries.append(("ping as a VM", " ".join(argv)))
        words = f"trace --from {each.source} --to {running.machine[each.to].ip}"
        tries.append(("see the way of a frame", f"{program} --nb {running.nb.remote} {words}"))
    tries.append(("find what is wrong", f"{program} --nb {running.nb.remote} check"))
    for chassis in list(running.chassis.values())[:1]:
        rundir = f"OVS_RUNDIR={chassis.rundir}"
        tries.append(("look at a switch", f"{rundir} ovs-vsctl show"))
        tries.append(("look at its flows", f"{rundir} {program} flows"))
        tries.append(("see what it drops", f"{rundir} {program} flows --drops"))
        tries.append(("read an agent's log", f"less {chassis.rundir}/trunkline-agent.log"))
    tries.append(("end it", f"{program} lab down --name {running.name}"))
    for what, how in tries:
        click.echo(f"  {what + ':':<24}{how}")
