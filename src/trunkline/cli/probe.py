"""`trunkline probe`: what the physical networks between the chassis really carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.name import CHASSIS, NETWORKS, PORTS
from trunkline.cli.option import NOT_EMPTY, with_northbound, with_output
from trunkline.cli.output import Sheet, print_data, printable
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.probe.asking import Probed
    from trunkline.probe.matrix import Cell, Matrix, ProbedNetwork
    from trunkline.probe.verdict import Verdict

_MOST_COLUMNS = 16
"""Of up to so many chassis, each has a column; of more, those with which something is wrong are named."""

_MOST_NAMED = 8
_MOST_UNSIZED = 3

_OK, _LOST, _UNKNOWN, _SMALL, _NOT_THERE = "●", "✗", "?", "▼", "·"

_COLUMNS = ("network", "physnet", "vlan", "from", "to", "state", "mtu")


@click.command()
@click.option(
    "--network",
    "networks",
    multiple=True,
    type=NOT_EMPTY,
    metavar="NAME",
    shell_complete=NETWORKS,
    help="Only this network; may be repeated.  [default: all]",
)
@click.option(
    "--chassis",
    "chassis",
    multiple=True,
    type=NOT_EMPTY,
    metavar="NAME",
    shell_complete=CHASSIS,
    help="Only what this chassis sends to others, and hears of them; may be repeated.  [default: all]",
)
@click.option(
    "--addresses",
    "has_addresses",
    is_flag=True,
    help="Instead of that, ask in each network whether somebody else uses an address of a port.",
)
@click.option(
    "--port",
    "ports",
    multiple=True,
    type=NOT_EMPTY,
    metavar="NAME",
    shell_complete=PORTS,
    help="With --addresses: only the addresses of this port; may be repeated.  [default: all]",
)
@click.option("--full", is_flag=True, help="Every pair of chassis; of at most 32.")
@click.option(
    "--wide",
    is_flag=True,
    help="Also hear in VLANs that no network of a chassis uses, where uplinks are pruned "
    "(trunkline-vlan-pruning); they let all through meanwhile.",
)
@click.option("--sizes", "has_sizes", is_flag=True, help="Also how large frames may be.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=4, max=240),
    default=20.0,
    show_default=True,
    metavar="S",
    help="How long it may take, in seconds; exit code 3 if that was not enough.",
)
@with_output
@with_northbound
def probe(
    nb: Northbound,
    networks: tuple[str, ...],
    chassis: tuple[str, ...],
    has_addresses: bool,
    ports: tuple[str, ...],
    full: bool,
    has_sizes: bool,
    wide: bool,
    timeout_s: float,
    output: str,
) -> int:
    """Find out what the physical networks carry: the chassis send one another frames in each network.

    Each network is probed between the chassis that have ports of it. Three of them send three small frames to
    all, and all others answer. No VM gets one of these frames, on any chassis, and physical switches learn no
    new MAC where a port of the network is up. A chassis sends 50 frames a second at most.

    A chassis has ● if all frames of it came and it heard all, ✗ if not, "▼1472" if larger packets are lost, ?
    if it did not answer or hear all, and · if it has no port of the network.

    With --addresses, the chassis ask for the addresses of their ports instead, as a machine does before it
    takes an address (ARP probes, duplicate address detection). Nobody may reply but a port that may use the
    address, too.

    With -o name, the networks are printed in which something is wrong, or with --addresses the ports of which
    somebody else uses an address.

    Exit codes: 0 all came, and no address is used twice; 1 there is nothing to probe, or no chassis that is
    named takes part; 3 a chassis did not answer, got too much to hear it
    all, or the time was not enough; 4 something is lost, joined, too large or used twice, with what to do.

    \b
    Examples:
      trunkline probe
      trunkline probe --network blue --chassis c2 --sizes
      trunkline probe --addresses --port vm1
    """
    if has_addresses:
        if full or wide or has_sizes:
            raise click.UsageError("--addresses goes with --network, --port and --chassis alone")
        from trunkline.cli.probe_addresses import probe_addresses

        return probe_addresses(nb, networks, ports, chassis, timeout_s, output)
    if ports:
        raise click.UsageError("--port goes with --addresses")
    from trunkline.cli.progress import Progress
    from trunkline.probe.asking import MOST_FULL, Wanted, probed
    from trunkline.probe.coverage import keep
    from trunkline.probe.judgement import verdicts

    if full and len(nb.all_chassis()) > MOST_FULL:
        raise click.UsageError(f"--full is for {MOST_FULL} chassis at most; name some by --chassis instead")
    wanted = Wanted(networks, chassis, full, has_sizes, is_wide=wide, timeout_s=timeout_s)
    progress = Progress()
    with progress.phase("probing"):
        found = probed(nb, wanted, progress.say)
        wrong = verdicts(found.matrix)
        is_kept = keep(nb, found, wrong)
    if output == "table":
        for line in lines(found, wrong):
            click.echo(line)
        if not is_kept:
            click.echo(
                "this connection may not write what was found: `trace` and `check` will not know it", err=True
            )
    else:
        print_data(_data(found, wrong), output, _sheet(found, wrong, output))
    return _code(found, wrong)


def _sheet(found: Probed, wrong: Sequence[Verdict], output: str) -> Sheet:
    if output == "name":
        names = dict.fromkeys(network.name for each in wrong for network in each.networks)
        return Sheet([{"network": name} for name in names], ("network",))
    return Sheet(_cells(found.matrix), _COLUMNS)


def _code(found: Probed, wrong: Sequence[Verdict]) -> int:
    from trunkline.cli.main import EXIT_NO, EXIT_TIMED_OUT

    if wrong:
        return EXIT_NO
    return 0 if found.is_whole else EXIT_TIMED_OUT


FLOODED = "too many frames that look like those of a probe came, so it did not hear all; find who sends them"


def _data(found: Probed, wrong: Sequence[Verdict]) -> dict[str, Any]:
    from trunkline.cli.column import in_options

    matrix = found.matrix
    return {
        "version": 1,
        "session": found.session,
        "took_s": round(found.took_s, 3),
        "frames": found.frames,
        "complete": found.is_whole,
        "cells": _cells(matrix),
        "islands": {network.name: matrix.islands(network) for network in matrix.networks},
        "silent": dict(found.silent),
        "off": dict(found.off),
        "flooded": sorted(found.flooded),
        "changed": [network.name for network in found.changed],
        "verdicts": [each.data() | {"remedy": in_options(each.remedy)} for each in wrong],
    }


def _cells(matrix: Matrix) -> list[dict[str, Any]]:
    return [
        {
            "network": network.name,
            "physnet": network.physnet,
            "vlan": network.vlan_id,
            "from": cell.sender,
            "to": cell.receiver,
            "state": str(cell.state),
            "mtu": cell.mtu,
        }
        for network in matrix.networks
        for cell in matrix.cells(network)
    ]


def lines(found: Probed, wrong: Sequence[Verdict]) -> Iterator[str]:
    """Yield the lines that show *found*, and what is *wrong*, to a person."""
    from trunkline.cli.column import in_options
    from trunkline.probe.verdict import remedies

    matrix = found.matrix
    columns = sorted({name for names in matrix.members.values() for name in names} | found.silent.keys())
    for physnet in dict.fromkeys(network.physnet for network in matrix.networks):
        networks = [network for network in matrix.networks if network.physnet == physnet]
        chassis = {name for network in networks for name in matrix.members[network.key]}
        yield printable(f"{physnet}: {len(chassis):,} chassis, {counted(len(networks), 'network')}")
        yield from _rows(found, networks, columns, wrong)
    for each in wrong:
        if each.fault not in _IN_ROWS:
            yield printable(f"{each.fault}: {each.text}")
    yield f"{counted(found.frames, 'frame')} in {found.took_s:.1f} s"
    for name, reason in sorted(found.silent.items()):
        yield printable(f"  ? {name}: {reason}")
    for name in sorted(found.flooded):
        yield printable(f"  ? {name}: {FLOODED}")
    if found.is_late:
        yield "  ? the time was not enough for all; give it more (--timeout), or name fewer networks"
    for network in found.changed:
        yield printable(
            f"  ? {network.name}: it was changed meanwhile, so its frames say nothing; probe again"
        )
    if found.unsized:
        yield printable(f"  ? {_unsized(found.unsized)}")
    for name, reason in sorted(found.off.items()):
        yield printable(f"  {name}: {reason}")
    for remedy in dict.fromkeys(remedies(wrong).values()):
        yield f"  → {printable(in_options(remedy))}"


def _unsized(cells: Sequence[Cell]) -> str:
    words = [f"{cell.sender} to {cell.receiver} in {cell.network.name}" for cell in cells[:_MOST_UNSIZED]]
    more = f" and {len(cells) - len(words):,} more" if cells[len(words) :] else ""
    where = f"from {', '.join(words)}{more}"
    return f"how large packets may be {where} is not known, as answers were lost; probe again"


_IN_ROWS = ("lost", "one way", "islands", "size")
"""What is said at the end of a network's line; the rest concerns several networks."""


def _rows(
    found: Probed, networks: Sequence[ProbedNetwork], columns: Sequence[str], wrong: Sequence[Verdict]
) -> Iterator[str]:
    heads = [(printable(each.name), "" if each.vlan_id is None else str(each.vlan_id)) for each in networks]
    widths = [max(len(head[at]) for head in heads) for at in (0, 1)]
    has_columns = len(columns) <= _MOST_COLUMNS
    cells = [max(len(printable(name)), 6) for name in columns]
    if has_columns:
        names = "  ".join(printable(name).ljust(width) for name, width in zip(columns, cells, strict=True))
        yield f"  {'':{widths[0]}}  {'':{widths[1]}}  {names}".rstrip()
    for network, head in zip(networks, heads, strict=True):
        of_it = [each for each in wrong if network in each.networks]
        marks = _marks(found, network, columns, of_it)
        texts = [each.text for each in of_it if each.fault in _IN_ROWS]
        start = f"  {head[0]:{widths[0]}}  {head[1]:>{widths[1]}}  "
        said = "; ".join(texts)
        if has_columns:
            row = "  ".join(marks[name].ljust(width) for name, width in zip(columns, cells, strict=True))
            yield f"{start}{row}  {printable(said)}".rstrip()
        else:
            yield f"{start}{printable(_summary(marks, said))}"


def _summary(marks: dict[str, str], said: str) -> str:
    """Return the marks of many chassis in one line: how many are well, and who is not."""
    there = {name: mark for name, mark in marks.items() if mark != _NOT_THERE}
    bad = [f"{name} {mark}" for name, mark in there.items() if mark != _OK]
    text = f"{len(there) - len(bad):,} of {len(there):,}"
    if bad:
        more = f" and {len(bad) - _MOST_NAMED:,} more" if bad[_MOST_NAMED:] else ""
        text += f"; not: {', '.join(bad[:_MOST_NAMED])}{more}"
    return f"{text}  ({said})" if said else text


def _marks(
    found: Probed, network: ProbedNetwork, columns: Sequence[str], wrong: Sequence[Verdict]
) -> dict[str, str]:
    """Return the mark of each chassis in *network*, of which that is *wrong*."""
    matrix = found.matrix
    most = {name: each.most for each in wrong if each.most is not None for name in each.chassis}
    cells: dict[str, list[Cell]] = {name: [] for name in matrix.members[network.key]}
    unsure = found.silent.keys() | found.flooded
    for cell in matrix.cells(network):
        if not {cell.sender, cell.receiver} & unsure:
            cells[cell.sender].append(cell)
            cells[cell.receiver].append(cell)
    main = frozenset(next(iter(matrix.islands(network)), ()))
    return {
        name: _UNKNOWN
        if name in found.silent
        else _NOT_THERE
        if name not in cells
        else _UNKNOWN
        if not cells[name]
        else _mark(name, cells[name], main, most.get(name))
        for name in columns
    }


def _mark(chassis: str, cells: Sequence[Cell], main: frozenset[str], most: int | None) -> str:
    """Return the mark of *chassis*, by all *cells* that it is in; *main* is the largest island.

    *most* is the size of the largest packets that it passes, if larger ones are lost.
    """
    from trunkline.probe.matrix import State

    if any(cell.state is not State.OK for cell in cells):
        # What does not come from a chassis that is cut off is not the fault of the others.
        cells = [cell for cell in cells if cell.sender in main and cell.receiver in main]
        if chassis not in main or len(main) == 1 or any(cell.state is not State.OK for cell in cells):
            return _LOST
    return _OK if most is None else f"{_SMALL}{most}"
