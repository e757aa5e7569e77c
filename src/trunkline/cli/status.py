"""`trunkline status`: the whole at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.option import with_northbound, with_output
from trunkline.cli.output import print_data, table

if TYPE_CHECKING:
    from trunkline.northbound.client import Northbound


@click.command()
@with_output
@with_northbound
def status(nb: Northbound, output: str) -> None:
    """Show chassis, networks, ports and faults at a glance.

    STATE of a chassis: "current" has applied the last request of `trunkline sync`, "behind" has not yet,
    "silent" was waited for by `sync --wait` for 10 s or more and has not answered since. "no switch": its
    agent answers, and its switch does not forward. A fault is what a chassis cannot honour, and why.
    """
    from trunkline.northbound.status import overview

    seen = overview(nb)
    if output == "table":
        _print(seen)
    else:
        print_data(seen, output)


def _print(seen: dict[str, Any]) -> None:
    from trunkline.cli.column import in_options
    from trunkline.northbound.refusal import counted

    seen["faults"] = [fault | {"reason": in_options(fault["reason"])} for fault in seen["faults"]]
    ports = seen["ports"]
    networks, faults = counted(len(seen["networks"]), "network"), counted(len(seen["faults"]), "fault")
    click.echo(
        f"{len(seen['chassis'])} chassis, {networks}, {counted(ports['total'], 'port')} "
        f"({ports['up']} up, {ports['down']} down, {ports['disabled']} disabled), {faults}"
    )
    sections = [
        (
            "chassis",
            {"name": "CHASSIS", "state": "STATE", "nb_cfg": "APPLIED", "ports": "PORTS", "faults": "FAULTS"},
        ),
        ("networks", {"name": "NETWORK", "wire": "ON THE WIRE", "ports": "PORTS", "up": "UP"}),
        ("faults", {"chassis": "CHASSIS", "subject": "FAULT", "reason": "REASON"}),
    ]
    for section, columns in sections:
        if seen[section]:
            click.echo()
            rows = [[row[column] for column in columns] for row in seen[section]]
            click.echo(table(rows, list(columns.values())))
