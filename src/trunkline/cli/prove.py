"""`trunkline prove`: all frames go where they should on this chassis, and nowhere else."""

from __future__ import annotations

import errno
import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.column import in_options
from trunkline.cli.flows import DEFAULT_WATCH_S
from trunkline.cli.name import NETWORKS
from trunkline.cli.option import NOT_EMPTY, Connection, Seconds, with_output
from trunkline.cli.output import Sheet, print_data, printable
from trunkline.cli.place import asked_northbound, with_afar, with_chassis
from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from trunkline.core.error import TrunklineError
    from trunkline.path.isolation import Asked

_COLUMNS = (
    *(
        "what",
        "explain",
        "from:interface",
        "from:port",
        "from:network",
        "to:interface",
        "to:port",
        "to:network",
    ),
    *("to:vlan", "frame", "trace", "remedy"),
)


@click.command()
@click.option(
    "--network",
    type=NOT_EMPTY,
    metavar="N",
    shell_complete=NETWORKS,
    help="Only one network: its frames, and those of others that reach it.",
)
@click.option(
    "--watch",
    "watch_s",
    type=Seconds(),
    is_flag=False,
    flag_value=DEFAULT_WATCH_S,
    metavar="[S]",
    help=f"Look every S seconds ({DEFAULT_WATCH_S:g} unless given), and prove again after each change.",
)
@click.option(
    "--megaflows",
    "is_cache_asked",
    is_flag=True,
    help="Look at what the datapath has cached, too: that it does what the flows say.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(),
    metavar="S",
    help="With --chassis: how long its proof may take, in seconds; exit code 3 after that.  "
    "[default: 60, which is also the most]",
)
@with_chassis
@with_afar
@with_output
@click.pass_context
def prove(
    ctx: click.Context,
    network: str | None,
    watch_s: float | None,
    is_cache_asked: bool,
    timeout_s: float | None,
    ovs_remote: str | None,
    afar: str | None,
    output: str,
) -> int:
    """Prove that all frames go where they should, and nowhere else, by the flows that the switch holds now.

    Each port where frames can come in is looked at, with every frame that is possible. What may come of it is
    computed from the rows of the northbound and the frame rules alone. The switch is asked directly, so the
    agent may be busy, or down. Nothing is changed, and no frame is sent.

    Settings of ports and of the bridge that drop frames although the flows are right are wrong, too.

    If a frame may cross, it is shown in bytes, with its way, the flow that lets it out and what to do; and
    ovs-vswitchd is asked (ofproto/trace) whether it agrees.

    What the proof does not understand (NORMAL, groups, learn and others), it refuses by name.

    With --chassis, the agent of another chassis has a process of its own prove the same there.

    Exit codes: 0 proved; 1 could not; 3 the northbound or the flows changed all the time, or the other
    chassis does not answer; 4 violated.

    \b
    Examples:
      trunkline prove                  does any frame go where it should not?
      trunkline prove --network blue   the same for frames of the network blue
      trunkline prove --megaflows      and does the datapath's cache do what the flows say?
      trunkline prove --chassis c1     the same on another chassis
      trunkline prove -o json          for a program, with the ways that frames take
    """
    if timeout_s == 0:
        raise click.UsageError("give a number of seconds above 0 to wait for")
    if watch_s == 0:
        raise click.UsageError("give a number of seconds above 0 to watch by")
    if afar is not None:
        if watch_s is not None:
            raise click.UsageError(
                "each question to another chassis is written to the northbound: watch on the chassis itself"
            )
        if is_cache_asked:
            raise click.UsageError("--megaflows is for the chassis itself: run it there")
        return _show(_afar(ctx, ovs_remote, afar, network, timeout_s), output)
    if timeout_s is not None:
        raise click.UsageError("--timeout is for a proof on another chassis; give --chassis too")
    return _here(ctx, ovs_remote, network, watch_s, output, is_cache_asked=is_cache_asked)


def _show(found: Mapping[str, Any], output: str, *, is_watched: bool = False) -> int:
    """Print *found*, as JSON in one line if it *is_watched*; return the exit code that says the same.

    Raises:
        TrunklineError: what was found is not all; it is printed first.
    """
    from trunkline.cli.main import EXIT_NO
    from trunkline.core.error import TrunklineError

    if output == "json" and is_watched:
        click.echo(json.dumps(found))
    elif output != "table":
        print_data(found, output, Sheet(found["leaks"], _COLUMNS))
    else:
        for line in lines(found):
            click.echo(printable(line))
    sys.stdout.flush()
    if found.get("refused"):
        raise TrunklineError(found["refused"])
    return 0 if found["is_proved"] else EXIT_NO


def _afar(
    ctx: click.Context, ovs_remote: str | None, chassis: str, network: str | None, timeout_s: float | None
) -> dict[str, Any]:
    """Return what the agent of that *chassis* says within *timeout_s*."""
    from trunkline.cli.progress import Progress
    from trunkline.core.error import TimedOutError
    from trunkline.insight.afar import PATIENCE_S, answer, readable, require_life
    from trunkline.path.isolation_question import INCOMPLETE, KIND, MOST_S, NETWORK

    asked, most_s = {} if network is None else {NETWORK: network}, min(timeout_s or MOST_S, MOST_S)
    with Progress().phase(f"waiting for {chassis} to prove"), asked_northbound(ctx, ovs_remote) as nb:
        require_life(nb, chassis, min(PATIENCE_S, most_s))
        body = answer(nb, chassis, KIND, asked, most_s)
    if INCOMPLETE in body:
        raise TimedOutError(f"chassis {chassis!r}: {body[INCOMPLETE]}")
    with readable(chassis):
        # It is whole if it can be shown.
        list(lines(body))
        Sheet(body["leaks"], _COLUMNS).lines()
    return body


def _here(
    ctx: click.Context,
    ovs_remote: str | None,
    network: str | None,
    watch_s: float | None,
    output: str,
    *,
    is_cache_asked: bool,
) -> int:
    """Prove this chassis, and again after each change if it is watched; return the last exit code."""
    from trunkline.cli.progress import Progress
    from trunkline.insight import chassis
    from trunkline.path import isolation

    connection = ctx.find_object(Connection) or Connection()

    @contextmanager
    def asking() -> Iterator[Asked]:
        there = chassis.read(ovs_remote)
        tls = connection.tls if connection.ca_cert else there.nb_tls
        with isolation.asked(there, connection.names(), tls, network, is_cache_asked=is_cache_asked) as asked:
            yield asked

    if watch_s is not None:
        return _Watch(asking, watch_s, output).run()
    with asking() as asked, Progress().phase("reading both databases and the flows, and proving"):
        found = isolation.answer(asked)
    return _show(found, output)


class _Watch:
    """A proof that is watched: *asking* connects, and connects again if a connection was lost."""

    def __init__(
        self, asking: Callable[[], AbstractContextManager[Asked]], watch_s: float, output: str
    ) -> None:
        self._asking, self._watch_s, self._output = asking, watch_s, output
        self._code = 0
        self._complaint = ""
        self._is_begun = False

    def run(self) -> int:
        """Show what is found after each change, until it is interrupted; return the last exit code.

        Raises:
            TrunklineError: the first look fails by something else than flows, or later one may not look.
        """
        from trunkline.core.error import TrunklineError

        try:
            while True:
                try:
                    with self._asking() as asked:
                        self._follow(asked)
                except TrunklineError as error:
                    if not self._is_begun or _is_final(error):
                        raise
                    self._complain(error)
                time.sleep(self._watch_s)
        except KeyboardInterrupt:
            return self._code

    def _follow(self, asked: Asked) -> None:
        from trunkline.path.isolation_watch import PASSING, IsolationWatch

        watch = IsolationWatch(asked)
        while True:
            try:
                changed = watch.answer()
            except PASSING as error:
                self._complain(error)
            else:
                if changed is not None:
                    self._code, self._complaint = _show(changed, self._output, is_watched=True), ""
            self._is_begun = True
            # Time itself is what is measured: there is nothing else to wait for.
            time.sleep(self._watch_s)

    def _complain(self, error: TrunklineError) -> None:
        """Say once what is wrong, until something else is, or all is proved again."""
        from trunkline.cli.main import exit_code

        self._code = exit_code(error)
        if str(error) != self._complaint:
            self._complaint = str(error)
            click.echo(printable(in_options(str(error))), err=True)


def _is_final(error: TrunklineError) -> bool:
    """Return whether nothing but this user can end *error*: he may not ask, or asks for what is not valid."""
    from trunkline.core.error import InvalidValueError

    is_forbidden = getattr(error, "number", None) in (errno.EACCES, errno.EPERM)
    return is_forbidden or isinstance(error, InvalidValueError)


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show *found* to a person."""
    flows, ports, networks = (counted(found[f"{noun}s"], noun) for noun in ("flow", "port", "network"))
    size = f"{flows}, {ports} of {networks} here"
    whose = "all frames" if found["network"] is None else f"all frames of {found['network']}"
    if found["is_proved"]:
        at = found["at"].partition("T")[2][:8]
        yield (
            f"{size}: {whose} go where they should, and nowhere else. "
            f"Proved in {found['seconds']:.1f} s for the flows of {at}."
        )
        if found.get("cache"):
            yield _cached(found["cache"])
        yield f"Not covered: {'; '.join(found['not_covered'])}."
        return
    for leak in found["leaks"]:
        yield f"VIOLATED: {_crossing(leak)}"
        yield f"  frame   {leak['frame_words']}"
        yield f"          {leak['frame']}"
        for number, step in enumerate(leak["way"]):
            yield f"  {'' if number else 'way':7} {step}"
        yield f"  switch  {leak['trace']}"
        for flow in leak.get("overlap", ()):
            yield f"          {flow}"
        yield f"  remedy  {leak['remedy']}"
    for setting in found.get("settings", ()):
        yield f"VIOLATED: {setting['text']}"
        yield f"  remedy  {setting['remedy']}"
    if found.get("more_settings"):
        yield f"and {found['more_settings']:,} more settings"
    for wrong in (found.get("cache") or {}).get("wrong", ()):
        sent, should = (", ".join(wrong[key]) or "nowhere" for key in ("sent", "should"))
        yield f"VIOLATED: what is cached sends frames from {wrong['from']} to {sent}; by the flows: {should}"
        yield f"  frame   {wrong['frame_words']}"
        yield f"          {wrong['frame']}"
        yield f"  cached  {wrong['megaflow']}"
        yield "  remedy  empty the cache: ovs-appctl revalidator/purge; report it as a defect of Open vSwitch"
    if (found.get("cache") or {}).get("more_wrong"):
        yield f"and {found['cache']['more_wrong']:,} more that are cached"
    if found["more_leaks"]:
        yield f"and {found['more_leaks']:,} more: mend these, and run again"


def _cached(cache: Mapping[str, Any]) -> str:
    """Return how many megaflows were compared, in words."""
    compared = cache["megaflows"] - cache["not_compared"]
    rest = f"; {cache['not_compared']:,} could not be compared" if cache["not_compared"] else ""
    return f"{compared:,} megaflows of the datapath do what the flows say{rest}."


def _crossing(leak: Mapping[str, Any]) -> str:
    """Return from where to where frames leak, in words."""
    source, target = leak["from"], leak["to"]
    of = "of no network" if source["network"] is None else f"of {source['network']}"
    by = f"{source['port']} ({source['interface']})" if source["port"] else source["interface"]
    if leak["what"] == "nowhere":
        number = target["ofport"]
        return f"frames from {by}, {of}, are sent to port number {number}, which no port has: they go nowhere"
    if target["physnet"] is not None:
        tag = "untagged" if target["vlan"] is None else f"with VLAN {target['vlan']}"
        to = f"{target['interface']} to {target['physnet']}, {tag}"
        to += "" if target["network"] in (None, source["network"]) else f", which is {target['network']}"
        verb = "leave by"
    else:
        to = f"{target['port']} ({target['interface']})" if target["port"] else target["interface"]
        to += "" if target["network"] is None else f", of {target['network']}"
        verb = "reach" if target["port"] else "leave by"
    inner = ", with a tag inside that may not pass" if leak["has_inner_tag"] else ""
    if leak["what"] == "missing":
        return f"frames from {by}, {of}, do not {verb} {to}, and should"
    if leak["what"] == "forbidden":
        return f"frames from {by}, {of}, that may go nowhere ({leak['why']}) {verb} {to}{inner}"
    more = {"extra": ", and should not", "twice": ", more than once", "altered": ", and are changed by then"}
    return f"frames from {by}, {of}, {verb} {to}{inner}{more.get(leak['what'], '')}"
