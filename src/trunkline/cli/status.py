"""`trunkline status`: the whole at a glance."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.option import LISTS, PICTURES, asked, with_asking, with_northbound, with_picture
from trunkline.cli.output import Sheet, ago, print_data, print_table, printable
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from trunkline.northbound.client import Northbound


_CHASSIS = ("name", "state", "answer_age_s", "nb_cfg", "ports", "faults")


@click.command()
@click.option(
    "--check",
    "checks",
    is_flag=True,
    help="For monitoring: print one line. The exit code is 4 if there is a fault or a silent chassis, else 3 "
    "if a chassis is behind or unknown.",
)
@click.option(
    "--topology",
    "is_topology",
    is_flag=True,
    help="Show which networks each physical network carries, and which chassis have ports of them.",
)
@with_asking
@with_picture
@with_northbound
def status(nb: Northbound, output: str, asks: bool, checks: bool, is_topology: bool) -> int:
    """Show chassis, networks, ports and faults at a glance. A fault is what a chassis cannot honour, and why.

    All chassis are asked, and have 2 s to answer. STATE of a chassis: "live" has applied what is committed;
    "behind" answers and has not applied it yet; "silent" does not answer: its agent is dead or stopped, or
    cut off; "no switch": its agent answers, and its switch does not forward; "disobeys": it obeys another
    northbound; "unknown": the northbound seems to be too busy to tell, or this connection may not
    ask. With --no-ask, "current" had applied the last request. ANSWERED is "now", or how long ago, by that
    chassis' own clock.

    -o csv and -o name print the chassis alone; `trunkline check` lists the faults with what to do about them.

    With --topology, a network's line has its chassis, with the number of ports that are up, and of all that
    are not disabled: "c2 4/5 !", or a cross if none is up. Of more than 40 chassis or networks, those that
    are well are counted and not named.

    \b
    Examples:
      trunkline status --check                 for monitoring
      trunkline status --topology              the whole site as text
      trunkline status --topology -o svg >site.svg
    """
    from trunkline.northbound.status import overview

    if checks and is_topology:
        raise click.UsageError("--check prints one line, and --topology a picture; give one of them")
    if output in PICTURES and not is_topology:
        raise click.UsageError(f"-o {output} is a picture; give --topology too")
    if output in LISTS and is_topology:
        raise click.UsageError(f"-o {output} prints a list, and the topology is none; use -o json")
    if is_topology:
        _show_topology(nb, output, asks)
        return 0
    seen = overview(nb, asked(nb, asks))
    _add_probes(nb, seen)
    if output != "table":
        print_data({"version": 1} | seen, output, Sheet(seen["chassis"], _CHASSIS))
    elif checks:
        click.echo(_summary(seen))
    else:
        _print(seen)
    return _exit_code(seen) if checks else 0


def _show_topology(nb: Northbound, output: str, asks: bool) -> None:
    from trunkline.cli import dot, svg, tree
    from trunkline.cli.drawing import drawing
    from trunkline.northbound.topology import topology

    found = topology(nb, asked(nb, asks))
    if output not in ("table", *PICTURES):
        print_data({"version": 1} | found, output)
        return
    lines = {"table": tree.lines, "svg": svg.lines, "dot": dot.lines}[output](drawing(found))
    click.echo("\n".join(lines) or "there is no chassis, and no network")


def _add_probes(nb: Northbound, seen: dict[str, Any]) -> None:
    """Add to each network of *seen* when it was last probed, and how many faults are known by probes.

    A fault stays until another probe has looked there, so the oldest one has an age of its own.
    """
    from trunkline.northbound.operation import select
    from trunkline.probe.record import records

    (rows,) = nb.read(select("Network", only=("_uuid", "name")))
    name_by_uuid = {row["_uuid"]: row["name"] for row in rows}
    probes = {name_by_uuid[uuid]: found for uuid, found in records(nb).items() if uuid in name_by_uuid}
    for network in seen["networks"]:
        found = probes.get(network["name"], ())
        ages_s = [round(each.age_s(), 1) for each in found for _ in each.wrong]
        network["probe_age_s"] = round(found[0].age_s(), 1) if found else None
        network["probe_faults"] = len(ages_s) if found else None
        network["probe_oldest_fault_s"] = max(ages_s, default=None)


def _probed(network: dict[str, Any]) -> str:
    """Return when *network* was last probed, in words."""
    if network["probe_age_s"] is None:
        return ""
    when, oldest_s = ago(network["probe_age_s"]), network["probe_oldest_fault_s"]
    if oldest_s is None:
        return when
    is_older = oldest_s > network["probe_age_s"]
    age = f"{', the oldest' if network['probe_faults'] > 1 else ''} found {ago(oldest_s)}" if is_older else ""
    return f"{when}, {counted(network['probe_faults'], 'fault')}{age}"


def _exit_code(seen: dict[str, Any]) -> int:
    """Return what the states and faults come to: a state that will pass by itself is no answer yet."""
    from trunkline.cli.main import EXIT_NO, EXIT_TIMED_OUT
    from trunkline.northbound.liveness import UNSETTLED, WELL

    states = {chassis["state"] for chassis in seen["chassis"]}
    if seen["faults"] or states - WELL - UNSETTLED:
        return EXIT_NO
    return EXIT_TIMED_OUT if states & UNSETTLED else 0


def _summary(seen: dict[str, Any]) -> str:
    """Return how many chassis are in which state, those that are not well by name, and how many faults."""
    from trunkline.northbound.liveness import WELL
    from trunkline.northbound.refusal import some

    names_by_state: dict[str, list[str]] = defaultdict(list)
    for chassis in seen["chassis"]:
        names_by_state[chassis["state"]].append(chassis["name"])
    parts = [
        f"{len(names)} {state}" + ("" if state in WELL else f" {some(names)}")
        for state, names in sorted(names_by_state.items(), key=lambda item: item[0] not in WELL)
    ]
    chassis = f"{len(seen['chassis'])} chassis" + (f": {', '.join(parts)}" if parts else "")
    return printable(f"{chassis}; {counted(len(seen['faults']), 'fault')}")


def _print(seen: dict[str, Any]) -> None:
    from trunkline.cli.column import in_options

    seen["faults"] = [fault | {"reason": in_options(fault["reason"])} for fault in seen["faults"]]
    seen["chassis"] = [row | {"answered": ago(row["answer_age_s"])} for row in seen["chassis"]]
    seen["networks"] = [row | {"probed": _probed(row)} for row in seen["networks"]]
    probed = {"probed": "PROBED"} if any(row["probed"] for row in seen["networks"]) else {}
    ports = seen["ports"]
    networks, faults = counted(len(seen["networks"]), "network"), counted(len(seen["faults"]), "fault")
    click.echo(
        f"{len(seen['chassis'])} chassis, {networks}, {counted(ports['total'], 'port')} "
        f"({ports['up']} up, {ports['down']} down, {ports['disabled']} disabled), {faults}"
    )
    sections = [
        (
            "chassis",
            {
                "name": "CHASSIS",
                "state": "STATE",
                "answered": "ANSWERED",
                "nb_cfg": "APPLIED",
                "ports": "PORTS",
                "faults": "FAULTS",
            },
        ),
        ("networks", {"name": "NETWORK", "wire": "ON THE WIRE", "ports": "PORTS", "up": "UP"} | probed),
        ("faults", {"chassis": "CHASSIS", "subject": "FAULT", "reason": "REASON"}),
    ]
    for section, columns in sections:
        if seen[section]:
            click.echo()
            rows = [[row[column] for column in columns] for row in seen[section]]
            print_table(rows, list(columns.values()), ends_in_prose=section == "faults")
