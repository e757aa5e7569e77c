"""`trunkline check`: what is wrong, why, and what to do about it."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import click

from trunkline.cli.flows import with_chassis
from trunkline.cli.name import CHASSIS, NETWORKS, PORTS, among
from trunkline.cli.option import NOT_EMPTY, Connection, asked, with_connection, with_output
from trunkline.cli.output import Sheet, print_data, printable
from trunkline.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from trunkline.health.check import Verdict
    from trunkline.health.finding import Finding
    from trunkline.health.fleet import Fleet
    from trunkline.northbound.client import Northbound

_MOST_LINES = 10
"""How many lines of one code are shown without `--only`."""

_COLUMNS = ("subject", "code", "severity", "chassis", "since", "text", "remedy")
_AREAS = {"1": "northbound", "2": "wire", "3": "port", "4": "switch", "5": "chassis"}

_ASKED = frozenset("234")
"""The areas of which some is found only by a chassis that is asked."""


def _codes() -> Iterable[str]:
    from trunkline.health.finding import CODES

    return CODES


@click.command()
@click.option(
    "--chassis",
    type=NOT_EMPTY,
    metavar="NAME",
    shell_complete=CHASSIS,
    help="Only what concerns this chassis; it is asked.",
)
@click.option(
    "--port",
    type=NOT_EMPTY,
    metavar="NAME",
    shell_complete=PORTS,
    help="Whether this port works; its chassis is asked.",
)
@click.option(
    "--network",
    type=NOT_EMPTY,
    metavar="NAME",
    shell_complete=NETWORKS,
    help="Only what concerns this network.",
)
@click.option(
    "--only",
    "codes",
    multiple=True,
    metavar="CODE",
    shell_complete=among(_codes),
    help="Only this code, such as T202. May be repeated.",
)
@click.option(
    "--local", "is_local", is_flag=True, help="Look at the chassis of this machine itself, agent up or not."
)
@click.option("--deep", is_flag=True, help="Ask each chassis what it finds at itself, and wait up to 5 s.")
@with_chassis
@with_output
@with_connection
def check(
    connect: Callable[[], Northbound],
    output: str,
    chassis: str | None,
    port: str | None,
    network: str | None,
    codes: tuple[str, ...],
    is_local: bool,
    deep: bool,
    ovs_remote: str | None,
) -> int:
    """Find what keeps ports from working, each cause on one line with its remedy.

    Without an option, all is checked that the northbound knows: the faults that chassis report, and what is
    wrong with networks, ports, chassis and the northbound itself. An error keeps frames from passing; a
    warning may. docs/checks.md explains each code.

    The exit code is 0 if nothing was found, 4 if something was, be it an error or a warning, and 3 if all
    that was found is that a chassis is behind or has not answered yet.

    \b
    Examples:
      trunkline check
      trunkline check --port vm1     why does this VM reach nobody?
      trunkline check --network blue -o json
    """
    from trunkline.cli.progress import Progress
    from trunkline.northbound.transaction import no_collection

    scope = _Scope(chassis, port, network)
    if sum(map(bool, (*scope, is_local))) > 1:
        raise click.UsageError("give only one of --chassis, --port, --network and --local")
    wanted = _known(codes)
    if ovs_remote is not None and not is_local:
        raise click.UsageError("--ovs says where the chassis of --local is; give both")
    with no_collection(), Progress().phase("asking and checking"):
        if is_local:
            seen = _own(ovs_remote)
        else:
            with connect() as nb:
                seen = _seen(nb, scope, is_deep=deep)
    if wanted:
        seen = seen._replace(found=[each for each in seen.found if each.code in wanted])
    if output != "table":
        found = [each.data() for each in seen.found]
        print_data(found, output, Sheet(found, _COLUMNS))
    else:
        _print(seen, shows_all=bool(wanted))
    return _exit_code(seen.found)


class _Scope(NamedTuple):
    """The one thing that is asked about, if any."""

    chassis: str | None
    port: str | None
    network: str | None


class _Seen(NamedTuple):
    """What was *found*, under a *title*; *checks* counts what was looked for.

    *unasked* says why it is not known what chassis find at themselves; None if all that are meant said it.
    """

    title: str
    found: Sequence[Finding]
    checks: int
    unasked: str | None = None


def _known(codes: Collection[str]) -> frozenset[str]:
    """Return *codes* as they are written; raise a usage error if one does not exist."""
    from trunkline.core.spelling import meant
    from trunkline.health.finding import CODES

    wanted = frozenset(code.upper() for code in codes)
    for code in sorted(wanted - CODES.keys()):
        raise click.BadParameter(
            f"there is no code {code[:20]!r}; {meant(code, CODES)} (docs/checks.md has all)",
            param_hint="--only",
        )
    return wanted


# -- what is looked at ---------------------------------------------------------------------------------


def _seen(nb: Northbound, scope: _Scope, *, is_deep: bool) -> _Seen:
    from trunkline.health import check as checks
    from trunkline.health.answer import SILENT, asked_findings
    from trunkline.health.finding import CODES

    fleet = _fleet(nb, scope)
    asks = _asked_too(fleet, scope, is_deep=is_deep)
    live = sorted(name for name in asks if fleet.state_by_chassis[name] not in ("silent", "disobeys"))
    parameters = {name: value for name, value in scope._asdict().items() if value and name != "chassis"}
    if is_deep and scope.port is not None:
        network = fleet.network_by_id[fleet.port_by_name[scope.port]["network"]]
        parameters = {"network": network["name"]}
    progress = Progress()
    with progress.phase(f"asking {len(live):,} chassis what they find"):
        report = progress.counting("chassis have said what they find")
        own = checks.lonely(asked_findings(nb, live, parameters, report), fleet)
    found = checks.merged([*own, *_servers(), *checks.findings(fleet)])
    is_asked = bool(live) and len(live) == len(asks) and not any(each.code == SILENT for each in own)
    unasked = (
        None if is_asked else "their chassis did not say" if asks else "no chassis was asked (--deep does)"
    )
    looked_for = CODES.keys() if is_asked else checks.FROM_ROWS
    if scope.port is not None:
        verdict = checks.of_port(found, fleet, scope.port)
        if is_asked and verdict.works:
            lost = _lost(nb, fleet, verdict)
            verdict = checks.of_port([*found, *lost], fleet, scope.port)
        if not asks:
            unasked = "no chassis holds it, so none was asked"
        return _Seen(_verdict(verdict), verdict.reasons, len(looked_for), unasked)
    if scope.chassis is not None:
        found, title = checks.of_chassis(found, fleet, scope.chassis), f"chassis {scope.chassis}"
    elif scope.network is not None:
        found, title = checks.of_network(found, fleet, scope.network), f"network {scope.network}"
    else:
        title = _size(fleet)
    return _Seen(f"{title}: {_count(found)}", found, len(looked_for), unasked)


def _lost(nb: Northbound, fleet: Fleet, verdict: Verdict) -> list[Finding]:
    """Return where the physical network loses frames between the port and its peers; all else works."""
    from trunkline.cli.trace import asker
    from trunkline.health.reach import reach_findings

    troubled = {each.chassis for each in verdict.reasons}
    return reach_findings(nb, fleet, verdict.port, asker(nb, None), troubled)


def _own(ovs_remote: str | None) -> _Seen:
    """Return what is wrong with the chassis whose database is at *ovs_remote*, by default this machine."""
    from trunkline.health.finding import CODES
    from trunkline.health.own_check import own_findings
    from trunkline.insight import chassis

    there = chassis.read(ovs_remote)
    connection = _connection()
    files = connection.tls if connection.ca_cert else there.nb_tls
    name, found = own_findings(there, _remotes(), files)
    return _Seen(f"chassis {name}: {_count(found)}", found, len(CODES))


def _connection() -> Connection:
    return click.get_current_context().find_object(Connection) or Connection()


def _remotes() -> str | None:
    """Return the remotes of the northbound that are named, None if none are."""
    return _connection().names(click.get_current_context().params.get("nb"))


def _servers() -> list[Finding]:
    """Return what is wrong with the servers of the northbound, if several are named."""
    from trunkline.health.cluster import findings, members

    remotes = _remotes()
    if remotes is None or "," not in remotes:
        return []
    return list(findings(members(remotes, _connection().tls)))


def _fleet(nb: Northbound, scope: _Scope) -> Fleet:
    """Return the rows that *scope* needs, after the chassis in it were asked whether they live."""
    from trunkline.health.fleet import Times, read

    of: frozenset[str] | None = None
    if scope.chassis is not None:
        nb.chassis(scope.chassis)
        of = frozenset({scope.chassis})
    elif scope.port is not None or scope.network is not None:
        before = read(nb, network=scope.network, port=scope.port)
        of = frozenset(name for names in before.chassis_by_network.values() for name in names)
    asked_ms = time.time_ns() // 1_000_000
    request = asked(nb, True, of)
    times = Times(asked_ms, time.time_ns() // 1_000_000)
    return read(nb, request, times, network=scope.network, port=scope.port)


def _asked_too(fleet: Fleet, scope: _Scope, *, is_deep: bool) -> Collection[str]:
    """Return the names of the chassis that are asked for what they find at themselves."""
    if scope.chassis is not None:
        return {scope.chassis}
    if scope.port is not None and not is_deep:
        holder = fleet.port_by_name[scope.port]["chassis"]
        return [holder] if holder in fleet.chassis_by_name else []
    if not is_deep:
        return ()
    if scope.port is not None or scope.network is not None:
        held = {name for names in fleet.chassis_by_network.values() for name in names}
        return held & fleet.chassis_by_name.keys()
    return fleet.chassis_by_name.keys()


# -- how it is shown -----------------------------------------------------------------------------------


def _size(fleet: Fleet) -> str:
    from trunkline.northbound.refusal import counted

    networks, ports = counted(len(fleet.networks), "network"), counted(len(fleet.ports), "port")
    return f"{len(fleet.chassis)} chassis, {networks}, {ports}"


def _count(found: Collection[Finding]) -> str:
    """Return how many errors and warnings there are."""
    from trunkline.northbound.refusal import counted

    errors = sum(each.severity == "error" for each in found)
    counts = {"error": errors, "warning": len(found) - errors}
    return ", ".join(counted(count, noun) for noun, count in counts.items() if count) or "nothing found"


def _verdict(verdict: Verdict) -> str:
    from trunkline.northbound.refusal import counted

    count = len(verdict.reasons)
    if not count:
        return f"{verdict.port} works"
    if not verdict.is_known:
        return f"{verdict.port} is not known to work, for {counted(count, 'reason')}"
    if verdict.works:
        return f"{verdict.port} works, with {counted(count, 'warning')}"
    return f"{verdict.port} does not work, for {counted(count, 'reason')}"


def _exit_code(found: Collection[Finding]) -> int:
    from trunkline.cli.main import EXIT_NO, EXIT_TIMED_OUT
    from trunkline.health.check import UNSETTLED

    codes = {each.code for each in found}
    if codes - UNSETTLED:
        return EXIT_NO
    return EXIT_TIMED_OUT if codes else 0


class _Marks(NamedTuple):
    """The signs before each line."""

    error: str = "✗"
    warning: str = "!"
    fine: str = "✓"
    unknown: str = "–"
    remedy: str = "→"

    @classmethod
    def shown(cls) -> _Marks:
        """Return those that standard output can show."""
        try:
            "".join(cls()).encode(sys.stdout.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return cls("x", "!", "+", "-", "->")
        return cls()


def _print(seen: _Seen, *, shows_all: bool) -> None:
    from trunkline.health.group import groups

    marks = _Marks.shown()
    found = groups(seen.found)
    _echo(f"{seen.title}{':' if found else ''}")
    shown: dict[str, int] = {}
    for group in found:
        first = group.first
        shown[first.code] = shown.get(first.code, 0) + 1
        if shown[first.code] > _MOST_LINES and not shows_all:
            continue
        mark = marks.error if first.severity == "error" else marks.warning
        since = f"   since {_clock(first.since)}" if first.since else ""
        _echo(f" {mark} {first.code} {group.where}: {first.text}{since}")
        _echo(f"        {marks.remedy} {first.remedy}")
    for code, count in shown.items():
        if count > _MOST_LINES and not shows_all:
            _echo(f"   {code} {count - _MOST_LINES:,} more: trunkline check --only {code}")
    if not shows_all:
        _print_rest(seen, marks)


def _print_rest(seen: _Seen, marks: _Marks) -> None:
    """Print where nothing was found, and how much was looked for; and where not all was."""
    codes = {each.code for each in seen.found}
    quiet = [digit for digit in _AREAS if not any(code[1] == digit for code in codes)]
    unknown = [digit for digit in quiet if seen.unasked and digit in _ASKED]
    fine = [_AREAS[digit] for digit in quiet if digit not in unknown]
    if fine:
        _echo(f" {marks.fine} {', '.join(fine)}: {seen.checks - len(codes)} checks")
    if unknown:
        areas = ", ".join(_AREAS[digit] for digit in unknown)
        _echo(f" {marks.unknown} {areas}: by what the northbound knows, as {seen.unasked}")


def _clock(since: str) -> str:
    """Return the ISO time *since* in the time zone here: of today, the time alone."""
    try:
        at = datetime.fromisoformat(since).astimezone()
    except (ValueError, OverflowError):
        # A chassis in wrong hands may write anything, and some times exist in no other time zone.
        return since
    is_today = at.date() == datetime.now().astimezone().date()
    return at.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def _echo(line: str) -> None:
    from trunkline.cli.column import in_options

    encoding = sys.stdout.encoding or "ascii"
    text = printable(in_options(line)).encode(encoding, "backslashreplace").decode(encoding)
    click.echo(text)
