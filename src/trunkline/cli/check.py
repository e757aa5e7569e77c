"""`trunkline check`: what is wrong, why, and what to do about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import click

from trunkline.cli.column import all_in_options
from trunkline.cli.finding import Seen, count_words, show, verdict_words
from trunkline.cli.name import CHASSIS, NETWORKS, PORTS, among
from trunkline.cli.option import NOT_EMPTY, Connection, asked, with_connection, with_output
from trunkline.cli.output import Sheet, print_data
from trunkline.cli.place import with_chassis
from trunkline.cli.progress import Progress
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from trunkline.health.finding import Finding
    from trunkline.health.fleet import Fleet
    from trunkline.northbound.client import Northbound
    from trunkline.path.trace import Ask

_COLUMNS = ("subject", "code", "severity", "chassis", "since", "text", "remedy")


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
    type=NOT_EMPTY,
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
        found = [all_in_options(each.data()) for each in seen.found]
        print_data(found, output, Sheet(found, _COLUMNS))
    else:
        show(seen, shows_all=bool(wanted))
    return _exit_code(seen.found)


class _Scope(NamedTuple):
    """The one thing that is asked about, if any."""

    chassis: str | None
    port: str | None
    network: str | None


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


def _seen(nb: Northbound, scope: _Scope, *, is_deep: bool) -> Seen:
    from trunkline.cli.trace import asker
    from trunkline.health import check as checks
    from trunkline.health.answer import PATIENCE_S, SILENT, asked_findings, settled_findings
    from trunkline.health.finding import CODES
    from trunkline.health.recovery import with_recoveries
    from trunkline.path.silence import asked_until_silent

    fleet = _fleet(nb, scope)
    asks = _asked_too(fleet, scope, is_deep=is_deep)
    live = sorted(name for name in asks if fleet.state_by_chassis[name] not in ("silent", "disobeys"))
    progress = Progress()
    with progress.phase(f"asking {len(live):,} chassis what they find"):
        report = progress.counting("chassis have said what they find")
        parameters = _parameters(fleet, scope, is_deep=is_deep)
        # Of one port it is worth a moment to know for certain.
        asking = asked_findings if scope.port is None else settled_findings
        own = checks.lonely(asking(nb, live, parameters, report), fleet)
    found = [*own, *_servers(is_any_silent="silent" in fleet.state_by_chassis.values())]
    is_asked = bool(live) and len(live) == len(asks) and not any(each.code == SILENT for each in own)
    unasked = (
        None if is_asked else "their chassis did not say" if asks else "no chassis was asked (--deep does)"
    )
    looked_for = len(CODES) if is_asked else len(checks.FROM_ROWS)
    ask = asked_until_silent(asker(nb, None, PATIENCE_S))
    if scope.port is not None:
        if not asks:
            unasked = "no chassis holds it, so none was asked"
        seen = Seen("", (), looked_for, unasked)
        return _of_port(nb, fleet, scope.port, found, ask if is_asked else None, seen)
    fleet = with_recoveries(nb, fleet, ask)
    found = checks.merged([*found, *checks.findings(fleet)])
    if scope.chassis is not None:
        found, title = checks.of_chassis(found, fleet, scope.chassis), f"chassis {scope.chassis}"
    elif scope.network is not None:
        found, title = checks.of_network(found, fleet, scope.network), f"network {scope.network}"
    else:
        title = _size(fleet)
    return Seen(f"{title}: {count_words(found)}", found, looked_for, unasked)


def _parameters(fleet: Fleet, scope: _Scope, *, is_deep: bool) -> dict[str, str]:
    """Return what of themselves chassis are asked about."""
    if is_deep and scope.port is not None:
        return {"network": fleet.network_by_id[fleet.port_by_name[scope.port]["network"]]["name"]}
    return {name: value for name, value in scope._asdict().items() if value and name != "chassis"}


def _of_port(
    nb: Northbound, fleet: Fleet, port: str, own: Collection[Finding], ask: Ask | None, seen: Seen
) -> Seen:
    """Return *seen* with what is wrong with *port*: *own* is what chassis have said.

    If all else works, *ask* asks others for what the physical network does; None if its chassis did not say.
    """
    from trunkline.health import check as checks
    from trunkline.health.reach import reach
    from trunkline.health.recovery import with_recoveries

    verdict = checks.of_port(checks.merged([*own, *checks.findings(fleet)]), fleet, port)
    if ask is None or not verdict.works_but_for_probe:
        return seen._replace(title=verdict_words(verdict), found=verdict.reasons)
    # What is announced for this is also what has come since a probe.
    reached = reach(nb, fleet, port, ask, {each.chassis for each in verdict.reasons} - {None})
    found = checks.merged([*own, *checks.findings(with_recoveries(nb, fleet, ask, port))])
    verdict = checks.of_port(found, fleet, port)
    if verdict.works:
        verdict = checks.of_port([*found, *reached.lost], fleet, port)
    came = reached.came if verdict.works else ()
    return seen._replace(title=verdict_words(verdict), found=verdict.reasons, came=came)


def _own(ovs_remote: str | None) -> Seen:
    """Return what is wrong with the chassis whose database is at *ovs_remote*, by default this machine."""
    from trunkline.health.finding import CODES
    from trunkline.health.own_check import own_findings
    from trunkline.insight import chassis

    there = chassis.read(ovs_remote)
    connection = _connection()
    files = connection.tls if connection.ca_cert else there.nb_tls
    name, found = own_findings(there, _remotes(), files)
    return Seen(f"chassis {name}: {count_words(found)}", found, len(CODES))


def _connection() -> Connection:
    return click.get_current_context().find_object(Connection) or Connection()


def _remotes() -> str | None:
    """Return the remotes of the northbound that are named, None if none are."""
    return _connection().names(click.get_current_context().params.get("nb"))


def _servers(*, is_any_silent: bool) -> list[Finding]:
    """Return what is wrong with the servers of the northbound, if several are named.

    *is_any_silent*: some chassis do not answer.
    """
    from trunkline.health.cluster import findings, members

    remotes = _remotes()
    if remotes is None or "," not in remotes:
        return []
    return list(findings(members(remotes, _connection().tls), is_any_silent=is_any_silent))


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


def _size(fleet: Fleet) -> str:
    networks, ports = counted(len(fleet.networks), "network"), counted(len(fleet.ports), "port")
    return f"{len(fleet.chassis)} chassis, {networks}, {ports}"


def _exit_code(found: Collection[Finding]) -> int:
    from trunkline.cli.main import EXIT_NO, EXIT_TIMED_OUT
    from trunkline.health.check import UNSETTLED

    codes = {each.code for each in found}
    if codes - UNSETTLED:
        return EXIT_NO
    return EXIT_TIMED_OUT if codes else 0
