"""Which chassis a command asks: this machine's, by its own database, or another one, by the northbound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.name import CHASSIS
from trunkline.cli.option import NOT_EMPTY, Connection, NotEmpty
from trunkline.core.error import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.insight.chassis import Chassis
    from trunkline.insight.inquiry import Inquiry
    from trunkline.northbound.client import Northbound

NAMES_PATIENCE_S = 2.0
"""How long the northbound is waited for: what it knows are names, and there are others."""


class SwitchRemote(NotEmpty):
    """The remote of a chassis' own database."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return *value*, which is a remote.

        Raises:
            click.BadParameter: it is empty, or no remote of such a database.
        """
        from trunkline.host.remote import parse_switch

        text = super().convert(value, param, ctx)
        try:
            parse_switch(text)
        except InvalidValueError as error:
            self.fail(str(error), param, ctx)
        return text


def with_chassis(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--ovs`."""
    option = click.option(
        "--ovs",
        "ovs_remote",
        type=SwitchRemote(),
        metavar="REMOTE",
        help="This chassis' own Open_vSwitch database, unix:PATH or tcp:HOST:PORT.  "
        "[default: unix:$OVS_RUNDIR/db.sock]",
    )
    wrapped: Callable[..., Any] = option(function)
    return wrapped


def with_afar(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--chassis`, and its function the argument *afar*, the name of another chassis."""
    option = click.option(
        "--chassis",
        "afar",
        type=NOT_EMPTY,
        metavar="C",
        shell_complete=CHASSIS,
        help="Ask the agent of chassis C through the northbound, and not this machine.",
    )
    wrapped: Callable[..., Any] = option(function)
    return wrapped


def inquiry(ctx: click.Context, ovs_remote: str | None, afar: str | None) -> Inquiry:
    """Return an inquiry of the chassis called *afar*, else of the one with its database at *ovs_remote*."""
    from trunkline.insight import chassis
    from trunkline.insight.inquiry import Here, Inquiry

    if afar is not None:
        from trunkline.insight.afar import Afar

        northbound = asked_northbound(ctx, ovs_remote)
        return Inquiry(Afar(northbound, afar), lambda: northbound)
    found = chassis.read(ovs_remote)
    return Inquiry(Here(found), lambda: names_northbound(ctx, found))


def asked_northbound(ctx: click.Context, ovs_remote: str | None) -> Northbound:
    """Return a connection to the northbound, through which another chassis is asked."""
    if ovs_remote is not None:
        raise click.UsageError(
            "--ovs is a chassis' own database, and --chassis another one; give one of them"
        )
    return (ctx.find_object(Connection) or Connection()).open()


def names_northbound(ctx: click.Context, chassis: Chassis) -> Northbound:
    """Return a connection to the northbound that was named, else to that of the chassis."""
    from trunkline.northbound.client import DEFAULT_REMOTE, Northbound
    from trunkline.northbound.rpc import UnreachableError

    connection = ctx.find_object(Connection) or Connection()
    named = connection.names()
    tls = connection.tls if named or connection.ca_cert or chassis.nb_tls is None else chassis.nb_tls
    try:
        return Northbound.connect(named or chassis.nb_remotes or DEFAULT_REMOTE, NAMES_PATIENCE_S, tls)
    except InvalidValueError as error:
        if named:
            raise
        # A setting of the chassis, which has a fault for it: flows are shown all the same.
        raise UnreachableError(str(error)) from error
