"""`trunkline nb`: the server of the northbound database."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from trunkline.cli.column import in_options
from trunkline.cli.name import files
from trunkline.cli.option import FILE, NOT_EMPTY, Connection, with_northbound, with_output
from trunkline.cli.output import print_one, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline.northbound.client import Northbound


@click.group()
def nb() -> None:
    """The northbound database: an ovsdb-server on a file, or on a member's part of a cluster."""


def _located(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that identify the server."""
    pidfile = click.option(
        "--pidfile", type=FILE, metavar="FILE", help="The server's pid file.  [default: nb.pid for nb.db]"
    )
    db = click.option(
        "--db",
        type=FILE,
        default=Path("/var/lib/trunkline/nb.db"),
        show_default=True,
        metavar="FILE",
        help="The database file.",
    )
    return db(pidfile(function))


@nb.command()
@_located
@click.option(
    "--remote",
    "listeners",
    multiple=True,
    type=NOT_EMPTY,
    metavar="punix:PATH|ptcp:PORT:IP|pssl:PORT:IP",
    help="Where to listen; may be repeated.  [default: punix:/run/trunkline/nb.sock]",
)
@click.option("--detach", is_flag=True, help="Run in the background; return when the server answers.")
@click.option("--log-file", type=FILE, metavar="FILE", help="Log to FILE instead of syslog.")
@click.option(
    "--cluster-local",
    type=NOT_EMPTY,
    metavar="tcp|ssl:IP:PORT",
    help="This member's address in a new or joined cluster.",
)
@click.option(
    "--cluster-remote",
    "cluster_remotes",
    multiple=True,
    type=NOT_EMPTY,
    metavar="tcp|ssl:IP:PORT",
    help="A member of the cluster to join; may be repeated.",
)
@click.option(
    "--relay",
    "relayed",
    multiple=True,
    type=NOT_EMPTY,
    metavar="unix:PATH|tcp|ssl:IP:PORT",
    help="Have no file, and relay the northbound served there, which takes load off it; may be repeated.",
)
@click.option(
    "--private-key",
    type=NOT_EMPTY,
    metavar="FILE",
    shell_complete=files,
    help="The server's key (PEM), for pssl: and ssl:.",
)
@click.option(
    "--certificate", type=NOT_EMPTY, metavar="FILE", shell_complete=files, help="Its certificate (PEM)."
)
@click.option(
    "--ca-cert",
    type=NOT_EMPTY,
    metavar="FILE",
    shell_complete=files,
    help="The CA certificate (PEM) to verify clients and members with.",
)
def start(db: Path, pidfile: Path | None, detach: bool, listeners: tuple[str, ...], **options: Any) -> None:
    """Start the server.

    If the file does not exist, it is created. If its schema is older, it is converted, and a copy is kept
    beside it. A cluster is converted while it runs, by the first member that starts and finds a leader. To
    start a member again, the --cluster options are not needed.

    The server also listens where `trunkline nb listen` says. If no files for TLS are given, it takes those of
    the database's SSL row.

    \b
    Examples:
      trunkline nb start --detach
      trunkline nb start --detach --remote punix:/run/trunkline/nb.sock --remote ptcp:6641:192.0.2.1
    """
    from trunkline.host.listener import check
    from trunkline.northbound.rpc import Tls
    from trunkline.server.process import DEFAULT_LISTENER, Server, Serving

    for listener in listeners:
        check(listener)
    if options["cluster_remotes"] and not options["cluster_local"]:
        raise click.UsageError("a member that joins a cluster needs an address; give --cluster-local")
    if options["relayed"] and options["cluster_local"]:
        raise click.UsageError("a relay is not a member of the cluster; leave out --cluster-local")
    tls = Tls(*(options.pop(name) for name in Tls._fields))
    if any(tls) and not all(tls):
        raise click.UsageError("TLS needs three files; give --private-key, --certificate and --ca-cert")
    serving = Serving(listeners or (DEFAULT_LISTENER,), tls=tls, **options)
    Server.of(db, pidfile).start(serving, is_detached=detach, report=_note)


def _note(line: str) -> None:
    click.echo(printable(in_options(f"trunkline: {line}")), err=True)


@nb.command()
@_located
def stop(db: Path, pidfile: Path | None) -> None:
    """Stop the server; return when it has exited. Chassis go on forwarding as before.

    \b
    Examples:
      trunkline nb stop
    """
    from trunkline.server.process import Server

    Server.of(db, pidfile).stop()


@nb.command()
@_located
@click.option("--nb", "remotes", type=NOT_EMPTY, metavar="REMOTE", help="As for `trunkline --nb`.")
@with_output
@click.pass_context
def status(ctx: click.Context, db: Path, pidfile: Path | None, remotes: str | None, output: str) -> None:
    """Show whether the server runs, what it holds, and its place in its cluster.

    The server is the one on this machine that --db and --pidfile name. Without these options, but with --nb
    or $TRUNKLINE_NB, it is the northbound there.

    remotes are where the server listens by its command line, connections where it listens by its rows;
    not_listening are those of both where it could not listen. role is leader, follower or candidate; index is
    the index of the last log entry, and lag is how many entries of this member are not committed and applied
    yet. Only the leader knows how far each of its peers is behind. The exit code is 1 if the server does not
    run, or does not answer within 3 s.

    \b
    Examples:
      trunkline nb status
      trunkline nb status -o json  for monitoring
    """
    from trunkline.server.cluster import Peer
    from trunkline.server.process import Server
    from trunkline.server.survey import of_northbound, of_server

    connection: Connection = ctx.find_object(Connection) or Connection()
    named = {ctx.get_parameter_source(name) for name in ("db", "pidfile")} & {ParameterSource.COMMANDLINE}
    if not named and connection.names(remotes):
        with connection.open(remotes) as northbound:
            _print(of_northbound(northbound), output)
        return
    seen = of_server(Server.of(db, pidfile))
    if output == "table" and seen.get("cluster"):
        cluster = seen.pop("cluster")
        peers = cluster.pop("peers")
        seen |= cluster | {"peers": {each["address"]: str(Peer(**each)) for each in peers}}
    _print(seen, output)
    if not seen.get("answers"):
        sys.exit(1)


def _print(seen: Mapping[str, Any], output: str) -> None:
    """Print what is *seen* of a server."""
    roles = seen.get("connections")
    if output == "table" and roles:
        seen = {**seen, "connections": {target: role or "no role" for target, role in roles.items()}}
    print_one(seen, output)


@nb.command()
@click.argument("targets", type=NOT_EMPTY, nargs=-1, required=True, metavar="pssl:PORT:IP|ptcp:PORT:IP...")
@click.option(
    "--role",
    default="",
    metavar="ROLE",
    help="What clients there may do: trunkline-chassis, trunkline-chassis-claiming, trunkline-viewer, or '' "
    "for everything.",
)
@with_northbound
def listen(northbound: Northbound, targets: tuple[str, ...], role: str) -> None:
    """Listen on TARGETS too, on each member of a cluster. The database keeps them.

    With --role, a client there is identified by the CN of its certificate. trunkline-chassis is for agents,
    whose CN is the name of their chassis: it may write its own Chassis row, and the binding of ports that the
    chassis holds or that are requested on it. trunkline-chassis-claiming may write the binding of any port.
    trunkline-viewer may read everything and ask the agents (trunkline chassis state), and change nothing.

    \b
    Examples:
      trunkline nb listen ptcp:6642:192.0.2.1
    """
    from trunkline.northbound.access import ROLES
    from trunkline.northbound.connection import listen as write

    if role and role not in ROLES:
        raise click.UsageError(f"there is no role {role!r}; there are: {', '.join(ROLES)}")
    write(northbound, targets, role)


@nb.command()
@click.argument("targets", type=NOT_EMPTY, nargs=-1, required=True, metavar="TARGET...")
@with_northbound
def unlisten(northbound: Northbound, targets: tuple[str, ...]) -> None:
    """Stop listening on TARGETS, which `trunkline nb listen` added.

    \b
    Examples:
      trunkline nb unlisten ptcp:6642:192.0.2.1
    """
    from trunkline.northbound.connection import unlisten as write

    write(northbound, targets)


@nb.command()
@click.argument("file", type=FILE, required=False)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--nb", "remotes", type=NOT_EMPTY, metavar="REMOTE", help="As for `trunkline --nb`.")
@click.pass_obj
def backup(connection: Connection, file: Path | None, force: bool, remotes: str | None) -> None:
    """Write a consistent copy of the running database to FILE, or to standard output.

    Only the owner can read FILE. It is written completely or not at all. If it exists, it is replaced only
    with --force.

    The copy is a standalone database file. To restore it, run `trunkline nb stop`, put the copy in the place
    of the database file, and run `trunkline nb start`. To restore it into a running server or cluster, run
    `ovsdb-client restore REMOTE Trunkline_Northbound < FILE`.

    \b
    Examples:
      trunkline nb backup nb.backup
      trunkline nb backup --force nb.backup      replace the last one
      trunkline nb backup | gzip > nb.backup.gz  by standard output
    """
    from trunkline.server.copy import write_new, write_over
    from trunkline.server.process import backup as copy_of

    if file is None and sys.stdout.isatty():
        raise click.UsageError("give FILE, or redirect standard output")
    taken = f"{file} exists already; give another FILE, or --force to replace it"
    if file is not None and not force and os.path.lexists(file):
        raise click.ClickException(taken)
    with connection.open(remotes) as northbound:
        remote = northbound.rpc.remote
    copy = copy_of(remote, connection.tls)
    if file is None:
        sys.stdout.buffer.write(copy)
    elif force:
        write_over(file, copy)
    else:
        try:
            write_new(file, copy)
        except FileExistsError as error:
            raise click.ClickException(taken) from error
