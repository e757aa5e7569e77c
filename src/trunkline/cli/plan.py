"""`trunkline plan`: what would change on this chassis' switch."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple

import click

from trunkline.cli.apply import complained, further
from trunkline.cli.flows import FLOW
from trunkline.cli.name import files
from trunkline.cli.option import NOT_EMPTY, Connection, with_output
from trunkline.cli.output import Sheet, print_data, printable
from trunkline.cli.place import asked_northbound, names_northbound, with_afar, with_chassis
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trunkline.insight.chassis import Chassis
    from trunkline.insight.flow import Kind
    from trunkline.insight.name import Names
    from trunkline.insight.plan import ChangeLine, FlowChange, FlowPlan, Verb
    from trunkline.insight.plan_summary import PlanSummary
    from trunkline.northbound.rpc import Tls
    from trunkline.ovsdb.assumed import Assumed

MOST_LINES = 20
"""How many changes of one kind are shown, unless all are asked for."""

_CHANGE = ("explain", "verb", *FLOW[1:], "held_by")
_COUNT = ("band", "verb", "table", "flows")
_MOST_PORTS = 10
_SIGNS: dict[Verb, tuple[str, str]] = {
    "change": ("~", "yellow"),
    "add": ("+", "green"),
    "delete": ("-", "red"),
}


@click.command()
@click.option(
    "--with",
    "files",
    multiple=True,
    type=NOT_EMPTY,
    metavar="FILE|DIR|-",
    shell_complete=files,
    help="Plan as if `trunkline apply` had applied these files; may be repeated.",
)
@click.option(
    "--set",
    "set_",
    type=NOT_EMPTY,
    default="default",
    show_default=True,
    metavar="NAME",
    help="With --with: the set that the files are all of.",
)
@click.option("--prune", "prunes", is_flag=True, help="With --with: without the set's rows that no file has.")
@click.option(
    "--adopt", "adopts", is_flag=True, help="With --with: take over rows of another set, or of none."
)
@click.option("--summary", "is_short", is_flag=True, help="Show counts alone, by band.")
@click.option("--full", "is_full", is_flag=True, help="Show every change.")
@click.option("--exit-code", "has_code", is_flag=True, help="Exit code 4 if there is something to do.")
@with_chassis
@with_afar
@with_output
@click.pass_context
def plan(
    ctx: click.Context,
    files: tuple[str, ...],
    set_: str,
    prunes: bool,
    adopts: bool,
    is_short: bool,
    is_full: bool,
    has_code: bool,
    ovs_remote: str | None,
    afar: str | None,
    output: str,
) -> int:
    """Show how the flows of this chassis differ from what both databases ask for.

    The flows are computed here, as the agent computes them, and compared with those that the switch holds.
    So the agent may be busy, or down. Nothing is changed. If the northbound is away, the agent says what it
    would do by what it knew before.

    With --chassis, the agent of another chassis says what it would do: counts, and some changes of each kind.

    With --with, the rows of the northbound are taken to be as `trunkline apply` would make them. What `apply`
    would refuse is told in the same words.

    Exit codes: 0 shown; 1 could not; 2 a file is wrong, whatever the northbound holds; 3 the other chassis
    does not answer; 4 with --exit-code: there is something to do.

    \b
    Examples:
      trunkline plan                   what the agent would do now
      trunkline plan --exit-code       for monitoring: 4 if the switch is not as it should be
      trunkline plan --with blue.yaml  what these networks and ports would change here
      trunkline plan --chassis c1      what the agent of another chassis would do now
    """
    from trunkline.cli.main import EXIT_NO
    from trunkline.cli.progress import Progress
    from trunkline.manifest.obstacle import ConflictError
    from trunkline.manifest.wanted import ManifestError
    from trunkline.northbound.transaction import no_collection

    if not files and (prunes or adopts or set_ != "default"):
        raise click.UsageError("--set, --prune and --adopt are about files; name them by --with")
    if afar is not None and (files or is_full):
        what = "what files would change" if files else "every change"
        raise click.UsageError(f"another chassis does not say {what}: run this command there")
    found: FlowPlan | PlanSummary
    try:
        with no_collection(), Progress().phase("reading both databases and the flows, and computing"):
            if afar is not None:
                found = _afar(ctx, ovs_remote, afar)
            else:
                found = _here(ctx, ovs_remote, _Files(files, set_, prunes, adopts))
    except (ManifestError, ConflictError) as error:
        return complained(error.complaints)
    if output != "table":
        told = found.data()
        # An agent tells all of its counts, and only some of its changes.
        counts = told.get("bands")
        print_data(told, output, Sheet(told["changes"], _CHANGE) if counts is None else Sheet(counts, _COUNT))
    else:
        for line in lines(found, is_short=is_short, is_full=is_full):
            click.echo(line)
    return EXIT_NO if has_code and any(found.counts.values()) else 0


class _Files(NamedTuple):
    """The files that are taken to be applied, none if there are no *names*."""

    names: tuple[str, ...]
    set_: str
    prunes: bool
    adopts: bool


def _afar(ctx: click.Context, ovs_remote: str | None, chassis: str) -> PlanSummary:
    """Return what the agent of that *chassis* would do."""
    from trunkline.insight.afar import answer, readable
    from trunkline.insight.plan_summary import KIND, summary

    with asked_northbound(ctx, ovs_remote) as nb:
        body = answer(nb, chassis, KIND, {})
    with readable(chassis):
        return summary(body)


def _here(ctx: click.Context, ovs_remote: str | None, files: _Files) -> FlowPlan | PlanSummary:
    """Return the plan of this chassis; that of its agent if the northbound is away."""
    from trunkline.cli.column import in_options
    from trunkline.health import own_agent
    from trunkline.insight.afar import readable
    from trunkline.insight.connection import SwitchError
    from trunkline.insight.plan_summary import KIND, summary
    from trunkline.northbound.rpc import UnreachableError

    try:
        return _found(ctx, ovs_remote, files)
    except UnreachableError as away:
        if files.names:
            raise
        try:
            body = own_agent.answer(KIND)
        except SwitchError as error:
            raise UnreachableError(f"{away}; nor does the agent say what it would do: {error}") from error
        with readable(str(body.get("chassis"))):
            found = summary(body)
        note = f"{away}; this is what the agent would do by what it knew before"
        click.echo(printable(in_options(note)), err=True)
        return found


def _found(ctx: click.Context, ovs_remote: str | None, files: _Files) -> FlowPlan:
    """Return the plan of the chassis whose database is at *ovs_remote*, with *files*."""
    from trunkline.insight import chassis
    from trunkline.insight.connection import Connection as Bridge
    from trunkline.insight.plan import flow_plan
    from trunkline.ovsdb.reading import Reading

    there = chassis.read(ovs_remote)
    assumed, names = _assumed(ctx, there, files)
    reading = Reading(there.remote, *_northbound(ctx, there), assumed)
    try:
        with Bridge(there.management_socket) as bridge:
            return flow_plan(reading, bridge, names)
    finally:
        reading.close()


def _assumed(ctx: click.Context, chassis: Chassis, files: _Files) -> tuple[Assumed, Names]:
    """Return the rows that would be others with *files*, and the names that these rows have now."""
    from trunkline.insight.name import Names, PortName
    from trunkline.manifest.obstacle import judged
    from trunkline.manifest.prospect import prospect
    from trunkline.manifest.wanted import ManifestError, read

    if not files.names:
        return {}, Names(interface_by_ofport=chassis.interface_by_ofport)
    how = {"prunes": files.prunes, "adopts": files.adopts}
    try:
        rows = read(files.names).rows
    except ManifestError as error:
        error.complaints += further(lambda: names_northbound(ctx, chassis), error, files.set_, **how)
        raise
    with names_northbound(ctx, chassis) as nb:
        there, found = judged(nb, rows, files.set_, **how)
        assumed = prospect(nb, found, there)
    networks = {name: row["unique_key"] for name, row in there.networks.items()}
    return assumed, Names(
        port_by_key={
            row["unique_key"]: PortName(name, networks.get(row["network"]))
            for name, row in there.ports.items()
        },
        network_by_key={key: name for name, key in networks.items()},
        interface_by_ofport=chassis.interface_by_ofport,
    )


def _northbound(ctx: click.Context, chassis: Chassis) -> tuple[str | None, Tls | None]:
    """Return the northbound that was named, None for that of *chassis*, and the files for it."""
    connection = ctx.find_object(Connection) or Connection()
    named = connection.names()
    return named, connection.tls if connection.ca_cert else chassis.nb_tls


def lines(found: FlowPlan | PlanSummary, *, is_short: bool = False, is_full: bool = False) -> Iterator[str]:
    """Yield the lines that show *found* to a person."""
    from trunkline.insight.plan_summary import PlanSummary

    yield _head(found)
    if isinstance(found, PlanSummary):
        if found.hold is not None:
            yield printable(f"nothing is changed now: {found.hold}")
        yield from _groups(_told(found), found.names, 0 if is_short else MOST_LINES)
        if not found.is_steady:
            yield "the agent is at work: some of this may be under way; run again"
        return
    for physnet, vlans in found.vlans.items():
        words = [*(f"+{vlan}" for vlan in vlans.new), *(f"−{vlan}" for vlan in vlans.gone)]
        yield f"the VLANs of {printable(physnet)} change: {' '.join(words)}"
    most = 0 if is_short else len(found.changes) if is_full else MOST_LINES
    yield from _groups(_by_kind(found), found.names, most)
    if found.changes:
        yield from _affected(found)
    listed = found.others_by_cookie
    for cookie, count in listed.items():
        yield f"{counted(count, 'flow')} of another program left alone: cookie {cookie:#x}"
    if rest := len(found.others) - sum(listed.values()):
        yield f"{counted(rest, 'flow')} of other programs left alone, with other cookies"
    if not found.is_steady:
        yield "what is known changes all the time: some of this may be under way; run again"


def _head(found: FlowPlan | PlanSummary) -> str:
    counts = found.counts
    if not any(counts.values()):
        return f"nothing to do: the switch holds all {found.flow_count:,} flows as computed"
    parts = [(counts["add"], "add"), (counts["delete"], "delete"), (counts["change"], "change")]
    (first, verb), *rest = [part for part in parts if part[0]]
    said = [f"{counted(first, 'flow')} to {verb}", *(f"{count:,} to {what}" for count, what in rest)]
    return f"{printable(found.chassis)}: {', '.join(said)}, of {found.flow_count:,}"


class _Group(NamedTuple):
    """The changes of one kind: how many there are, and all or some of them."""

    size: int
    changes: list[FlowChange]


def _groups(groups: Mapping[tuple[Verb, str], _Group], names: Names, most: int) -> Iterator[str]:
    """Yield the lines of *groups*, by verb and place: *most* changes of each, and how many more there are."""
    from trunkline.insight.plan import change_lines

    for (verb, place), group in groups.items():
        sign, colour = _SIGNS[verb]
        shown = list(change_lines(islice(group.changes, most), names))
        for line in shown:
            yield click.style(f"  {sign} {printable(_words(line))}", fg=colour)
        if rest := group.size - len(shown):
            more = counted(rest, "more flow" if shown else "flow")
            yield click.style(f"  {sign} {more}: {place}", fg=colour)


def _by_kind(found: FlowPlan) -> dict[tuple[Verb, str], _Group]:
    """Return the changes by verb and band, in the order in which a frame meets them."""
    from trunkline.insight.flow import kind

    changes: dict[tuple[Verb, str], list[FlowChange]] = defaultdict(list)
    for what, some in groupby(found.changes, key=lambda change: (change.verb, kind(change.shown))):
        changes[what[0], _place(what[1].table, what[1].name)].extend(some)
    return {key: _Group(len(some), some) for key, some in changes.items()}


def _told(found: PlanSummary) -> dict[tuple[Verb, str], _Group]:
    """Return the changes by verb and band, as far as an agent has told them."""
    from trunkline.insight.plan_summary import kind_of

    changes: dict[tuple[Verb, Kind], list[FlowChange]] = defaultdict(list)
    for change in found.changes:
        changes[kind_of(change)].append(change)
    ordered = sorted(found.count_by_kind, key=lambda key: (key[1].table, -key[1].priority, key[0]))
    return {
        (verb, _place(what.table, what.name)): _Group(found.count_by_kind[verb, what], changes[verb, what])
        for verb, what in ordered
    }


def _place(table_id: int, band: str) -> str:
    from trunkline.core.pipeline import Table

    name = next((table.name for table in Table if table.value == table_id), "")
    return f"{table_id:<2} {name} {band}"


def _words(line: ChangeLine) -> str:
    """Return one change: its place, its row, what it matches and does; what is there now, and its frames."""
    shown, old = line.shown, line.old
    does = shown.does
    if old is not None and line.new is not None and old.does != does:
        does = f"{old.does} → {does}"
    parts = [
        _place(shown.kind.table, shown.kind.name),
        shown.row or "the chassis",
        f"{shown.matches}: {does}",
    ]
    if line.holder is not None:
        parts.append(f"({line.holder})")
    if old is not None and line.new is None:
        parts.append(counted(old.flow.counters.packet_count, "frame"))
    return "  ".join(parts)


def _affected(found: FlowPlan) -> Iterator[str]:
    ports = found.affected
    if ports:
        more = f" and {len(ports) - _MOST_PORTS:,} more" if ports[_MOST_PORTS:] else ""
        names = printable(", ".join(ports[:_MOST_PORTS]))
        yield f"affected: {counted(len(ports), 'local port')}: {names}{more}"
    if found.counts["delete"]:
        yield f"the flows to delete have carried {counted(found.lost_packets, 'frame')}"
