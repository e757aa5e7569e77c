"""`trunkline lab`: real chassis, a physical switch and VMs in network namespaces."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.option import NOT_EMPTY, with_output
from trunkline.cli.output import print_list
from trunkline.cli.progress import Progress
from trunkline.lab import datapath, demonstration, present, topology
from trunkline.lab.chassis import DAEMONS
from trunkline.lab.error import LabError
from trunkline.lab.lab import Lab, down, names

if TYPE_CHECKING:
    from trunkline.lab.topology import Topology

_PROGRAMS = (
    "ip",
    "ovsdb-tool",
    "ovsdb-server",
    "ovsdb-client",
    "ovs-vswitchd",
    "ovs-vsctl",
    "ovs-ofctl",
    "ovs-appctl",
)
_file = click.option(
    "-f",
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The topology, in YAML (docs/lab.md).  [default: one that comes with the program]",
)
_name = click.option("--name", type=NOT_EMPTY, help="The lab's name, instead of the topology's.")


_datapath = click.option(
    "--datapath",
    type=click.Choice(datapath.DATAPATHS),
    envvar=datapath.VARIABLE,
    help="The bridges' datapath: netdev, in ovs-vswitchd, or system, the kernel's.  "
    f"[default: ${datapath.VARIABLE}, or {datapath.NETDEV}]",
)


@click.group()
def lab() -> None:
    """Real chassis, a physical switch and VMs in network namespaces of this machine."""


@lab.command()
@_file
@_name
@_datapath
def up(path: Path | None, name: str | None, datapath: str | None) -> None:
    """Bring a lab up and leave it running.

    \b
    Examples:
      trunkline lab up
    """
    _check_machine()
    wanted = _topology(path, name, datapath)
    _say_heading(f"Bringing up lab '{wanted.name}'")
    _say_next(_bring_up(wanted, Progress()))


@lab.command("down")
@_name
def take_down(name: str | None) -> None:
    """Take a lab down, even if its process crashed; without --name, that of the default topology.

    \b
    Examples:
      trunkline lab down
    """
    _check_root()
    if name is None and not names():
        click.echo("there is no lab")
        return
    chosen = _chosen(name)
    _take_down(chosen, Progress())
    click.echo(f"lab '{chosen}' is down")


@lab.command("list")
@with_output
def list_(output: str) -> None:
    """List the labs of this machine, with what each consists of, and which of its daemons do not run.

    \b
    Examples:
      trunkline lab list
    """
    _check_root()
    columns = {
        "name": "LAB",
        "state": "STATE",
        "chassis": "CHASSIS",
        "machines": "MACHINES",
        "northbound": "NORTHBOUND",
        "not_running": "NOT RUNNING",
    }
    print_list([_row(each) for each in present.present()], columns, output)


@lab.command()
@click.argument("chassis")
@_name
@click.option(
    "--only",
    "daemons",
    multiple=True,
    type=click.Choice(DAEMONS),
    help="Only this daemon; may be repeated.  [default: all three]",
)
def restart(chassis: str, name: str | None, daemons: tuple[str, ...]) -> None:
    """End the daemons of CHASSIS and start them, as a reboot of the host would; its VMs go on.

    A daemon that does not run is started as well. Returns when all run. `trunkline sync --wait` says when the
    switch forwards as the northbound says. If its database has restarted without its agent, that takes 5 s:
    until then, the chassis asks for its name, which another host might have.

    \b
    Examples:
      trunkline lab restart c1 --name mylab
      trunkline lab restart c1 --name mylab --only agent
    """
    _check_machine()
    found = present.chassis(_chosen(name), chassis)
    chosen = [each for each in DAEMONS if each in (daemons or DAEMONS)]
    with Progress().phase(f"restarting daemons of {chassis}"):
        found.restart(chosen)
    click.echo(f"restarted on {chassis}: {', '.join(chosen)}")


@lab.command()
@_file
@_name
@_datapath
@click.option("--keep", is_flag=True, help="Leave the lab running at the end.")
def run(path: Path | None, name: str | None, datapath: str | None, keep: bool) -> None:
    """Bring a lab up, show what it does, compare that with what is expected, and take it down.

    The exit code is 0 only if everything is as expected.

    \b
    Examples:
      trunkline lab run  show it at work, and take it down
    """
    _check_machine()
    began = time.monotonic()
    wanted = _topology(path, name, datapath)
    _say_heading(f"Bringing up lab '{wanted.name}'")
    progress = Progress()
    running = _bring_up(wanted, progress)
    try:
        complaints = running.nb.faults() + _show_reach(running, progress) + _show_restart(running, progress)
        _say_summary(running, complaints, time.monotonic() - began)
        if keep:
            _say_next(running)
    finally:
        if not keep:
            _take_down(running.name, progress)
    if not keep:
        click.echo("\nThe lab is down again. 'scripts/demo --keep' leaves it running, to look around in.")
    if complaints:
        sys.exit(1)


def _chosen(name: str | None) -> str:
    """Return the lab called *name*, or by default that of the default topology; it exists."""
    there = names()
    chosen = name or topology.default().name
    if name is None and chosen not in there and there:
        raise LabError(f"which lab? There are: {', '.join(there)}; give --name")
    if chosen not in there:
        raise LabError(f"there is no lab '{chosen}'; there are: {', '.join(there) or 'none'}")
    return chosen


def _row(lab: present.Present) -> dict[str, Any]:
    return {
        "name": lab.name,
        "state": "up" if lab.pids and not lab.not_running else "incomplete",
        "chassis": list(lab.chassis),
        "machines": list(lab.machines),
        "northbound": lab.remote,
        "not_running": lab.not_running,
        "pids": {part: dict(pids) for part, pids in lab.pids.items()},
    }


def _bring_up(wanted: Topology, progress: Progress) -> Lab:
    """Bring *wanted* up, and print each step with the seconds since the start."""
    began_s = time.monotonic()

    def report(line: str) -> None:
        with progress.hidden():
            click.echo(f"  {time.monotonic() - began_s:5.1f} s  {line}")

    with progress.phase("starting"):
        return Lab.up(wanted, report=report, begin=progress.say)


def _take_down(name: str, progress: Progress) -> bool:
    with progress.phase(f"taking down lab '{name}'"):
        return down(name, progress.counting("daemons have ended"))


def _check_root() -> None:
    if os.geteuid() != 0:
        raise LabError("permission denied: a lab creates network namespaces; run it as root, with sudo")


def _check_machine() -> None:
    _check_root()
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise LabError(f"{program} is not installed; run scripts/demo, which installs what it needs")


def _topology(path: Path | None, name: str | None, chosen: str | None) -> Topology:
    found = topology.default() if path is None else topology.read(path)
    if chosen is not None:
        found = replace(found, datapath=chosen)
    return found if name is None else found.named(name)


def _show_reach(running: Lab, progress: Progress) -> list[str]:
    _say_heading("Who reaches whom: every machine pings every other")
    with progress.phase(f"{len(running.expected_reach())} pings are under way"):
        matrix = demonstration.matrix(running)
    for line in matrix.lines():
        click.echo(f"  {line}")
    click.echo("\n  ● reached and · not reached, both as expected;  ! not as expected")
    return [
        f"{source} {'does not reach' if matrix.expected[source, to] else 'reaches'} {to}"
        for source, to in matrix.differing
    ]


def _show_restart(running: Lab, progress: Progress) -> list[str]:
    wanted = demonstration.series(running.topology)
    complaints = []
    for chassis in dict.fromkeys(each.chassis for each in wanted):
        _say_heading(f"Killing the agent of {chassis} with SIGKILL and starting it again, while pings run")
        of_chassis = [each for each in wanted if each.chassis == chassis]
        with progress.phase(f"pinging while the agent of {chassis} starts"):
            results = demonstration.restart(running, chassis, of_chassis)
        for each, result in results:
            line = f"{each.source} to {each.to}: {result.sent} sent, {result.lost} lost"
            click.echo(f"  {line} (one every {demonstration.SERIES_INTERVAL_S * 1000:.0f} ms)")
            if result.lost:
                complaints.append(line)
    return complaints


def _say_heading(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def _say_summary(running: Lab, complaints: list[str], took_s: float) -> None:
    pairs = len(running.expected_reach())
    _say_heading("Not as expected" if complaints else "Everything is as expected")
    for complaint in complaints:
        click.echo(f"  {complaint}")
    parts = f"{len(running.chassis)} chassis, {len(running.vm)} VMs, {len(running.host)} bare-metal hosts"
    click.echo(f"  {parts}; {pairs} pairs checked; {took_s:.1f} s")


def _say_next(running: Lab) -> None:
    _say_heading("What to try next")
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
