"""`trunkline prove`: no frame crosses networks on this chassis, whatever frame it is."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.flows import with_chassis
from trunkline.cli.name import NETWORKS
from trunkline.cli.option import NOT_EMPTY, Connection, with_output
from trunkline.cli.output import Sheet, print_data, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COLUMNS = (
    *("explain", "from:interface", "from:port", "from:network", "to:interface", "to:port", "to:network"),
    *("to:vlan", "frame", "trace", "remedy"),
)


@click.command()
@click.option(
    "--network",
    type=NOT_EMPTY,
    metavar="N",
    shell_complete=NETWORKS,
    help="Only frames of one network: that they leave it for no other.",
)
@with_chassis
@with_output
@click.pass_context
def prove(ctx: click.Context, network: str | None, ovs_remote: str | None, output: str) -> int:
    """Prove for all frames that none crosses networks, by the flows that the switch holds now.

    Each port where frames can come in is looked at, with every frame that is possible. What may come of it is
    computed from the rows of the northbound and the frame rules alone. The switch is asked directly, so the
    agent may be busy, or down. Nothing is changed, and no frame is sent.

    If a frame may cross, it is shown in bytes, with its way, the flow that lets it out and what to do; and
    ovs-vswitchd is asked (ofproto/trace) whether it agrees.

    What the proof does not understand (NORMAL, groups, learn and others), it refuses by name.

    Exit codes: 0 proved; 1 could not; 3 the northbound or the flows changed all the time; 4 violated.

    \b
    Examples:
      trunkline prove                  no frame crosses networks on this chassis
      trunkline prove --network blue   no frame of the network blue leaves it
      trunkline prove -o json          the same for a program, with the ways that frames take
    """
    from trunkline.cli.main import EXIT_NO

    found = _here(ctx, ovs_remote, network)
    if output != "table":
        print_data(found, output, Sheet(found["leaks"], _COLUMNS))
    else:
        for line in lines(found):
            click.echo(printable(line))
    return 0 if found["is_proved"] else EXIT_NO


def _here(ctx: click.Context, ovs_remote: str | None, network: str | None) -> dict[str, Any]:
    from trunkline.cli.progress import Progress
    from trunkline.host.rundir import rundir
    from trunkline.insight import chassis
    from trunkline.insight.connection import Connection as Bridge
    from trunkline.insight.name import Names
    from trunkline.northbound.transaction import no_collection
    from trunkline.ovsdb.reading import Reading
    from trunkline.path.isolation import PATIENCE_S, Asked, answer

    there = chassis.read(ovs_remote)
    connection = ctx.find_object(Connection) or Connection()
    tls = connection.tls if connection.ca_cert else there.nb_tls
    names = Names(interface_by_ofport=there.interface_by_ofport)
    with (
        no_collection(),
        Progress().phase("reading both databases and the flows, and proving"),
        closing(Reading(there.remote, connection.names(), tls)) as reading,
        Bridge(there.management_socket, PATIENCE_S) as bridge,
    ):
        return answer(Asked(reading, bridge, rundir(), names, network))


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show *found* to a person."""
    flows, ports, networks = (
        f"{found[noun]:,} {noun.removesuffix('s') if found[noun] == 1 else noun}"
        for noun in ("flows", "ports", "networks")
    )
    size = f"{flows}, {ports} of {networks} here"
    whose = "no frame crosses networks" if found["network"] is None else f"no frame leaves {found['network']}"
    if found["is_proved"]:
        at = found["at"].partition("T")[2][:8]
        yield f"{size}: {whose}. Proved in {found['seconds']:.1f} s for the flows of {at}."
        yield f"Not covered: {'; '.join(found['not_covered'])}."
        return
    for leak in found["leaks"]:
        yield f"VIOLATED: {_crossing(leak)}"
        if leak["frame"] is not None:
            yield f"  frame   {leak['frame']}"
        for number, step in enumerate(leak["way"]):
            yield f"  {'' if number else 'way':7} {step}"
        yield f"  switch  {leak['trace']}"
        yield f"  remedy  {leak['remedy']}"
    if found["more_leaks"]:
        yield f"and {found['more_leaks']:,} more: mend these, and run again"


def _crossing(leak: Mapping[str, Any]) -> str:
    """Return from where to where frames leak, in words."""
    source, target = leak["from"], leak["to"]
    of = "of no network" if source["network"] is None else f"of {source['network']}"
    by = f"{source['port']} ({source['interface']})" if source["port"] else source["interface"]
    if target["physnet"] is not None:
        tag = "untagged" if target["vlan"] is None else f"with VLAN {target['vlan']}"
        to = f"leave by {target['interface']} to {target['physnet']}, {tag}"
        to += "" if target["network"] is None else f", which is {target['network']}"
    else:
        to = f"reach {target['port']} ({target['interface']})" if target["port"] else target["interface"]
        to += "" if target["network"] is None else f", of {target['network']}"
        to = to if target["port"] else f"leave by {to}"
    inner = ", with a tag inside that may not pass" if leak["has_inner_tag"] else ""
    return f"frames from {by}, {of}, {to}{inner}"
