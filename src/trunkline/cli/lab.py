"""`trunkline lab`: real chassis, a physical switch and VMs in network namespaces."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trunkline.cli import demonstration as shown
from trunkline.cli.name import among
from trunkline.cli.option import FILE, NOT_EMPTY, with_output
from trunkline.cli.output import print_list
from trunkline.cli.progress import Progress
from trunkline.lab import datapath, duplicate, present, topology
from trunkline.lab.chassis import DAEMONS
from trunkline.lab.error import LabError
from trunkline.lab.impairment import Impairment, Loss
from trunkline.lab.lab import Lab, down, names

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from trunkline.lab.physical_switch import PhysicalSwitch
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
    type=FILE,
    help="The topology, in YAML (docs/lab.md).  [default: one that comes with the program]",
)


def _chassis(context: click.Context, parameter: click.Parameter, text: str) -> list[CompletionItem]:
    """Return the chassis of the lab that is named on the line, or of all labs."""
    wanted = context.params.get("name")
    labs = [lab for lab in present.present() if wanted in (None, lab.name)]
    return among(lambda: dict.fromkeys(chassis for lab in labs for chassis in lab.chassis))(
        context, parameter, text
    )


_name = click.option(
    "--name",
    type=NOT_EMPTY,
    shell_complete=among(names),
    help="The lab's name, instead of the topology's.",
)

_datapath = click.option(
    "--datapath",
    type=click.Choice(datapath.DATAPATHS),
    envvar=datapath.VARIABLE,
    help="The bridges' datapath: netdev, in ovs-vswitchd, or system, the kernel's.  "
    f"[default: ${datapath.VARIABLE}, or {datapath.NETDEV}]",
)

_physnet = click.option(
    "--physical-network",
    "physnet",
    type=NOT_EMPTY,
    metavar="NAME",
    help="In which physical network.  [default: the only one of the lab]",
)
_VLAN = click.IntRange(0, 4094)


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
    shown.say_heading(f"Bringing up lab '{wanted.name}'")
    shown.say_next(_bring_up(wanted, Progress()))


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
    words = dict.fromkeys(("chassis", "machines", "not_running"), _few)
    print_list([each.data() for each in present.present()], columns, output, words)


@lab.command()
@click.argument("chassis", type=NOT_EMPTY, shell_complete=_chassis)
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
@click.argument("part", type=NOT_EMPTY, metavar="CHASSIS|HOST", shell_complete=_chassis)
@_name
@_physnet
@click.option(
    "--without-vlan",
    "lacks",
    multiple=True,
    type=_VLAN,
    metavar="VLAN",
    help="It does not carry this VLAN, 0 for untagged frames; may be repeated.",
)
@click.option(
    "--native-vlan",
    "native",
    type=click.IntRange(1, 4094),
    metavar="VLAN",
    help="It takes untagged frames for this VLAN, and sends that VLAN's frames untagged.",
)
@click.option(
    "--mtu", type=click.IntRange(68, 1500), metavar="BYTES", help="It loses larger packets, both ways."
)
@click.option(
    "--loses",
    type=click.Choice([each.name.lower() for each in Loss]),
    help="It loses all that CHASSIS sends, or all that CHASSIS would receive.",
)
@click.option(
    "--apart", "is_apart", is_flag=True, help="It is at a second switch, with no link to the first."
)
@click.option(
    "--takes",
    "taken",
    type=NOT_EMPTY,
    multiple=True,
    metavar="ADDRESS|MAC",
    help="HOST, a bare-metal host, uses this IP address, or this MAC, of somebody else; may be repeated.",
)
def impair(
    part: str,
    name: str | None,
    physnet: str | None,
    lacks: tuple[int, ...],
    native: int | None,
    mtu: int | None,
    loses: str | None,
    is_apart: bool,
    taken: tuple[str, ...],
) -> None:
    """Have the physical switch's port of CHASSIS do wrong what the options say, and nothing else.

    The other ports stay as they are. If several chassis are --apart, they are at one second switch: it is as
    if the switch were cut in two. With --takes, the bare-metal host HOST uses what it says, and nothing else
    that is somebody else's. `trunkline lab mend` mends everything.

    \b
    Examples:
      trunkline lab impair c2 --without-vlan 101 --physical-network physnet1 --name mylab
      trunkline lab impair c2 --mtu 1400 --physical-network physnet1 --name mylab
      trunkline lab impair c2 --loses received --physical-network physnet1 --name mylab
      trunkline lab impair router --takes 10.0.0.11 --name mylab
    """
    _check_machine()
    wrong = Impairment(
        frozenset(lacks), native, mtu, None if loses is None else Loss[loses.upper()], is_apart
    )
    if taken:
        if physnet is not None or wrong != Impairment():
            raise click.UsageError("--takes is about a bare-metal host, and all else about a chassis")
        duplicate.impair(present.host(_chosen(name), part), duplicate.duplicate(taken))
        click.echo(f"impaired: {part} takes {', '.join(taken)}")
        return
    if wrong == Impairment():
        raise click.UsageError("say what is wrong, such as --mtu 1400; 'trunkline lab mend' mends everything")
    switch = present.switch(_chosen(name))
    physnet = _chosen_physnet(switch, physnet)
    port = switch.trunk(physnet, part)
    switch.impair(port, wrong)
    click.echo(f"impaired: the port of {part} in {physnet} ({port})")


@lab.command()
@click.argument("vlan", type=_VLAN)
@click.argument("other", type=_VLAN)
@_name
@_physnet
def join(vlan: int, other: int, name: str | None, physnet: str | None) -> None:
    """Join VLAN and OTHER in the physical switch, as a cable between two of its ports does.

    0 stands for untagged frames. `trunkline lab mend` parts them.

    \b
    Examples:
      trunkline lab join 101 102 --physical-network physnet1 --name mylab
    """
    _check_machine()
    switch = present.switch(_chosen(name))
    physnet = _chosen_physnet(switch, physnet)
    switch.join(physnet, vlan, other)
    click.echo(f"joined in {physnet}: VLANs {vlan} and {other}")


@lab.command()
@_name
def mend(name: str | None) -> None:
    """Have the physical switch work again: no port is impaired, and no VLANs are joined.

    No bare-metal host uses any longer what is somebody else's.

    \b
    Examples:
      trunkline lab mend --name mylab
    """
    _check_machine()
    chosen = _chosen(name)
    present.switch(chosen).mend()
    for host in present.hosts(chosen).values():
        duplicate.mend(host)
    click.echo(f"the physical switch of lab '{chosen}' is mended")


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
    shown.say_heading(f"Bringing up lab '{wanted.name}'")
    progress = Progress()
    running = _bring_up(wanted, progress)
    try:
        complaints = (
            running.nb.faults() + shown.show_reach(running, progress) + shown.show_restart(running, progress)
        )
        shown.say_summary(running, complaints, time.monotonic() - began)
        if keep:
            shown.say_next(running)
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


def _chosen_physnet(switch: PhysicalSwitch, physnet: str | None) -> str:
    there = sorted(switch.bridge_by_physnet)
    if physnet is None and len(there) > 1:
        raise LabError(f"which physical network? There are: {', '.join(there)}; give --physical-network")
    chosen = physnet or there[0]
    if chosen not in there:
        raise LabError(f"there is no physical network '{chosen}' in this lab; there are: {', '.join(there)}")
    return chosen


def _few(names: list[str]) -> str:
    """Return *names* as a table shows them: the first ones, and of many how many they are."""
    first = ", ".join(names[:_MOST_NAMES])
    return first if len(names) <= _MOST_NAMES else f"{first}, … ({len(names)})"


_MOST_NAMES = 4


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
