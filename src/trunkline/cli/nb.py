"""`trunkline nb`: the server of the northbound database."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trunkline.cli.option import Connection, with_output
from trunkline.cli.output import print_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.ovsdb.server import Server

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def nb() -> None:
    """The northbound database: an ovsdb-server on a file, or on a member's share of a cluster."""


def _located(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which server is meant."""
    pidfile = click.option(
        "--pidfile", type=_FILE, metavar="FILE", help="Its pid file.  [default: nb.pid for nb.db]"
    )
    db = click.option(
        "--db",
        type=_FILE,
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
    metavar="punix:PATH|ptcp:PORT:IP|pssl:PORT:IP",
    help="Where to listen; may be repeated.  [default: punix:/run/trunkline/nb.sock]",
)
@click.option("--detach", is_flag=True, help="Run in the background; return when the server answers.")
@click.option("--log-file", type=_FILE, metavar="FILE", help="Log here, not to syslog.")
@click.option(
    "--cluster-local", metavar="tcp|ssl:IP:PORT", help="This member's address in a new or joined cluster."
)
@click.option(
    "--cluster-remote",
    "cluster_remotes",
    multiple=True,
    metavar="tcp|ssl:IP:PORT",
    help="A member of the cluster to join; may be repeated.",
)
def start(db: Path, pidfile: Path | None, detach: bool, listeners: tuple[str, ...], **options: Any) -> None:
    """Start the server.

    A file that does not exist is made; one of an older schema is converted, and a copy kept beside it.
    The server also listens on the targets of the rows that NB_Global:connections refers to, and takes its key
    and certificates for pssl: from the SSL row.
    """
    from trunkline.ovsdb.server import DEFAULT_LISTENER, Server

    for listener in listeners:
        if not listener.startswith(("punix:", "ptcp:", "pssl:")):
            raise click.UsageError(f"{listener!r} is not a place to listen; write punix:PATH or ptcp:PORT:IP")
    if options["cluster_remotes"] and not options["cluster_local"]:
        raise click.UsageError("a member that joins a cluster has an address; give --cluster-local")
    Server.of(db, pidfile).start(listeners or [DEFAULT_LISTENER], is_detached=detach, **options)


@nb.command()
@_located
def stop(db: Path, pidfile: Path | None) -> None:
    """Stop the server; return when it is gone. Chassis go on forwarding as they did."""
    from trunkline.ovsdb.server import Server

    Server.of(db, pidfile).stop()


@nb.command()
@_located
@with_output
def status(db: Path, pidfile: Path | None, output: str) -> None:
    """Show whether the server runs, and what it holds. The exit code is 1 where it does not run."""
    from trunkline.ovsdb.server import Server

    server = Server.of(db, pidfile)
    seen = _seen(server)
    print_one(seen, output)
    if not seen["running"]:
        sys.exit(1)


@nb.command()
@click.argument("file", type=_FILE, required=False)
@click.option("--nb", "remotes", metavar="REMOTE", help="The northbound, as for `trunkline --nb`.")
@click.pass_obj
def backup(connection: Connection, file: Path | None, remotes: str | None) -> None:
    """Write a consistent copy of the running database to FILE, or to standard output.

    The copy is a standalone database file. To restore it: `trunkline nb stop`, put the copy in the place of
    the database file, `trunkline nb start`; or into a running server or cluster:
    `ovsdb-client restore REMOTE Trunkline_Northbound < FILE`.
    """
    from trunkline.ovsdb.server import backup as copy_of

    if file is None and sys.stdout.isatty():
        raise click.UsageError("give FILE, or send standard output somewhere")
    with connection.open(remotes) as northbound:
        remote = northbound.rpc.remote
    copy = copy_of(remote, connection.tls)
    if file is None:
        sys.stdout.buffer.write(copy)
        return
    draft = file.with_name(f"{file.name}.new")
    draft.write_bytes(copy)
    draft.replace(file)


def _seen(server: Server) -> dict[str, Any]:
    from trunkline.ovsdb.northbound import Northbound
    from trunkline.ovsdb.server import remote

    pid = server.pid()
    size = server.db.stat().st_size if server.db.exists() else None
    seen: dict[str, Any] = {"running": pid is not None, "pid": pid, "db": str(server.db), "db_bytes": size}
    if pid is None:
        return seen
    listeners = server.listeners()
    seen |= {"remotes": listeners, "schema_version": None}
    local = [place for place in map(remote, listeners) if place and not place.startswith("ssl:")]
    if local:
        with Northbound.connect(",".join(local)) as northbound:
            seen |= {"schema_version": northbound.schema_version(), "rows": northbound.row_counts()}
    return seen
