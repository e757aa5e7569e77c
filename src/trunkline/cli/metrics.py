"""`trunkline metrics`: what Prometheus scrapes of this chassis."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import click

from trunkline.cli.option import NOT_EMPTY
from trunkline.cli.output import printable
from trunkline.cli.place import names_northbound, with_chassis
from trunkline.core.error import InvalidValueError
from trunkline.host.listener import ListenerError
from trunkline.host.remote import parse

if TYPE_CHECKING:
    from trunkline.northbound.client import Northbound

DEFAULT_LISTENER = "127.0.0.1:9176"


@click.command()
@click.option(
    "--listen",
    type=NOT_EMPTY,
    metavar="ADDRESS:PORT",
    default=DEFAULT_LISTENER,
    show_default=True,
    help="Where to serve the metrics, by HTTP and to anyone who connects: [::]:9176 is every address.",
)
@click.option(
    "--ports",
    type=NOT_EMPTY,
    metavar="REGEX",
    help="Also serve metrics of the ports of this chassis whose whole name matches: .* are all of them.",
)
@click.option("--once", is_flag=True, help="Print the metrics once, and exit.")
@with_chassis
@click.pass_context
def metrics(ctx: click.Context, listen: str, ports: str | None, once: bool, ovs_remote: str | None) -> None:
    """Serve the metrics of this chassis to Prometheus, until it is ended.

    It is a process of its own: at each scrape it asks the agent one small question, and reads flows from the
    switch and names from the northbound itself. What cannot be read is told once on standard error; its
    metrics are left out then, and trunkline_agent_up, trunkline_bridge_readable or trunkline_names_readable
    is 0. docs/metrics.md lists the metrics.

    \b
    Examples:
      trunkline metrics --once
      trunkline metrics --once --ports 'web.*'
    """
    from prometheus_client import CollectorRegistry, generate_latest

    from trunkline.cli.column import in_options
    from trunkline.insight import chassis
    from trunkline.insight.chassis import Chassis
    from trunkline.metrics.collector import ChassisCollector, Sources

    def connect(there: Chassis) -> Northbound:
        return names_northbound(ctx, there)

    def tell(line: str) -> None:
        print(f"trunkline metrics: {printable(in_options(line))}", file=sys.stderr, flush=True)

    sources = Sources(lambda: chassis.read(ovs_remote), connect, tell, _pattern(ports))
    registry = CollectorRegistry()
    registry.register(ChassisCollector(sources))
    if once:
        click.echo(generate_latest(registry).decode(), nl=False)
        return
    address, port = _place(listen)
    _serve(registry, address, port)


def _pattern(ports: str | None) -> re.Pattern[str] | None:
    if ports is None:
        return None
    try:
        return re.compile(ports)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidValueError(f"{ports[:80]!r} is not a regular expression: {error}") from error


def _place(listen: str) -> tuple[str, int]:
    try:
        _, address, port = parse(f"tcp:{listen}")
        if ":" in address:
            ipaddress.IPv6Address(address)
    except (InvalidValueError, ValueError):
        raise InvalidValueError(f"{listen!r} is not ADDRESS:PORT, such as {DEFAULT_LISTENER}") from None
    return address, port


def _serve(registry: object, address: str, port: int) -> None:
    """Serve *registry* until a signal comes."""
    from prometheus_client import start_http_server

    from trunkline.process.notify import READY, notify

    try:
        start_http_server(port, address, registry)  # type: ignore[arg-type]
    except OSError as error:
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        if error.errno == errno.EADDRINUSE:
            why = "another program listens there; end it, or give another --listen"
        elif error.errno in (errno.EACCES, errno.EPERM):
            why = "permission denied; give a port above 1023"
        else:
            known = (
                os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
            )
            why = f"{known}; give an address of this machine"
        raise ListenerError(f"cannot serve metrics at {where}: {why}") from error
    notify(READY)
    signal.pause()
