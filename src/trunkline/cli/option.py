"""The options that commands share: where the northbound is, how to print, and values that can be cleared."""

from __future__ import annotations

import math
import os
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from click.shell_completion import CompletionItem

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.liveness import Asked, Unasked
    from trunkline.northbound.rpc import Tls

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic in recent versions of click only

_REQUIRED = frozenset({"name", "network_type", "physical_network", "network", "mac"})
"""Columns that are never empty: '' is passed on, and the client refuses it."""

_OURS = "trunkline-"
"""How the keys of `external_ids` begin that Trunkline itself writes."""


COMPLETE = "_TRUNKLINE_COMPLETE"
"""The environment variable by which a shell asks for completions, such as bash_complete (click's name)."""


class NotEmpty(_ParamType):
    """A text that is not empty: an unset variable of a shell must not count as "not given"."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return *value*, which is some text.

        Raises:
            click.BadParameter: it is empty.
        """
        if value == "":
            _refuse_empty(self, param, ctx)
        return value


NOT_EMPTY = NotEmpty()


class NotEmptyPath(click.Path):
    """The path of a file, which is not empty: that would be the current directory."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return *value* as a path.

        Raises:
            click.BadParameter: it is empty, or a directory.
        """
        if value == "":
            _refuse_empty(self, param, ctx)
        return super().convert(value, param, ctx)


FILE = NotEmptyPath()


def _refuse_empty(type_: _ParamType, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
    otherwise = "" if isinstance(param, click.Argument) else ", or leave out the option"
    type_.fail(f"it is empty; give a value{otherwise}", param, ctx)


class Seconds(click.FloatRange):
    """A number of seconds to wait: not infinite, not NaN, and not longer than about ten days."""

    def __init__(self) -> None:
        super().__init__(min=0, max=1_000_000)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return *value* as a number of seconds.

        Raises:
            click.BadParameter: it is not such a number.
        """
        try:
            is_number = not math.isnan(float(value))
        except ValueError:
            is_number = False
        if not is_number:
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return float(super().convert(value, param, ctx))


class Connection(NamedTuple):
    """How to reach the northbound, by the top-level options."""

    nb: str | None = None
    private_key: str | None = None
    certificate: str | None = None
    ca_cert: str | None = None

    @property
    def tls(self) -> Tls:
        """The files for `ssl:` remotes."""
        from trunkline.northbound.rpc import Tls

        return Tls(self.private_key, self.certificate, self.ca_cert)

    def names(self, remotes: str | None = None) -> str | None:
        """Return the remotes that are given: *remotes*, `--nb` or $TRUNKLINE_NB; None if none are."""
        return remotes or self.nb or os.environ.get("TRUNKLINE_NB") or None

    def open(self, remotes: str | None = None) -> Northbound:
        """Return a connection to the given northbound, or to the one on this machine.

        Raises:
            UnreachableError: no server serves it there.
            click.UsageError: a remote is `ssl:`, and no CA certificate is given.
        """
        from trunkline.northbound.client import DEFAULT_REMOTE, Northbound

        wanted = self.names(remotes) or DEFAULT_REMOTE
        if not self.ca_cert and any(remote.strip().startswith("ssl:") for remote in wanted.split(",")):
            raise click.UsageError(
                "ssl: needs a CA certificate to verify the server with; "
                "give --ca-cert FILE, or set $TRUNKLINE_CA_CERT"
            )
        return Northbound.connect(wanted, tls=self.tls)


def with_connection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--nb`, and its function, as first argument, what connects to the northbound."""

    def command(*args: Any, nb: str | None, **kwargs: Any) -> Any:
        from trunkline.cli.progress import Progress

        connection = click.get_current_context().find_object(Connection) or Connection()

        def opened() -> Northbound:
            with Progress().phase("connecting to the northbound"):
                return connection.open(nb)

        return function(opened, *args, **kwargs)

    update_wrapper(command, function)
    option = click.option(
        "--nb", type=NOT_EMPTY, metavar="REMOTE", help="The northbound, as for `trunkline --nb`."
    )
    wrapped: Callable[..., Any] = option(command)
    return wrapped


def with_northbound(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--nb`, and its function, as first argument, a connected `Northbound`."""

    def connected(connect: Callable[[], Northbound], *args: Any, **kwargs: Any) -> Any:
        with connect() as northbound:
            return function(northbound, *args, **kwargs)

    return with_connection(update_wrapper(connected, function))


def with_wait(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--wait` and `--timeout`, and its function *wait_s*: how long to wait, None for not."""

    def command(*args: Any, waits: bool, timeout_s: float, **kwargs: Any) -> Any:
        source = click.get_current_context().get_parameter_source("timeout_s")
        if not waits and source is ParameterSource.COMMANDLINE:
            raise click.UsageError("--timeout applies only to a wait; give --wait too")
        return function(*args, wait_s=timeout_s if waits else None, **kwargs)

    update_wrapper(command, function)
    timeout = click.option(
        "--timeout",
        "timeout_s",
        type=Seconds(),
        default=30.0,
        show_default=True,
        metavar="S",
        help="With --wait: how long to wait, in seconds; exit code 3 after that.",
    )
    wait = click.option("--wait", "waits", is_flag=True, help="Return when every chassis has applied it.")
    wrapped: Callable[..., Any] = wait(timeout(command))
    return wrapped


def with_output(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `-o table|json|yaml|csv|name`, and its function the argument *output*."""
    return _with_output(function, [*_DATA, *LISTS], "How to print.")


def with_data_output(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that prints no list `-o table|json|yaml`, and its function the argument *output*."""
    return _with_output(function, [*_DATA], "How to print.")


def with_picture(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `-o table|json|yaml|csv|name|svg|dot`, and its function the argument *output*."""
    help_ = "How to print. With --topology also as a picture: svg, or dot for graphviz."
    return _with_output(function, [*_DATA, *LISTS, *PICTURES], help_)


_DATA = ("table", "json", "yaml")
LISTS = ("csv", "name")
PICTURES = ("svg", "dot")


def _with_output(function: Callable[..., Any], choices: list[str], help_: str) -> Callable[..., Any]:
    option = click.option(
        "-o", "--output", type=click.Choice(choices), default="table", show_default=True, help=help_
    )
    wrapped: Callable[..., Any] = option(function)
    return wrapped


def with_raw(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--raw`, and its function the argument *is_raw*."""
    option = click.option(
        "--raw",
        "is_raw",
        is_flag=True,
        help="Show the rows as the database has them: empty if a default applies.",
    )
    wrapped: Callable[..., Any] = option(function)
    return wrapped


def with_asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--no-ask`, and its function the argument *asks*, for `asked`."""
    option = click.option(
        "--no-ask",
        "asks",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Do not ask the chassis and wait for their answers: show what they wrote last.",
    )
    wrapped: Callable[..., Any] = option(function)
    return wrapped


def asked(nb: Northbound, asks: bool, of: Collection[str] | None = None) -> Asked | Unasked | None:
    """Ask all chassis, if *asks*, and wait for those called *of* (None: all); return the request.

    If they cannot be asked, print why to standard error.
    """
    from trunkline.cli.progress import Progress
    from trunkline.northbound.liveness import PATIENCE_S, Unasked, ask

    if not asks:
        return None
    progress = Progress()
    with progress.phase("asking the chassis"):
        found = ask(nb, of, PATIENCE_S, progress.counting("chassis have answered"))
    if isinstance(found, Unasked):
        click.echo(
            f"trunkline: the chassis were not asked, as {found.reason}; what they wrote last is shown",
            err=True,
        )
    return found


class Clearable(_ParamType):
    """A value of another type, or '' to clear it, which stays the string ''."""

    def __init__(self, inner: _ParamType) -> None:
        self.inner = inner
        self.name = inner.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return '' as it is, and anything else as the inner type converts it."""
        return value if value == "" else self.inner.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the completions of the inner type."""
        return self.inner.shell_complete(ctx, param, incomplete)


def items(_: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str] | None:
    """Return what is *given* as KEY=VALUE, None if nothing is; raises a usage error."""
    wrong = [text for text in given if not text.partition("=")[0] or "=" not in text]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is not KEY=VALUE", param=option)
    return dict(text.split("=", 1) for text in given) or None


def _notes(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str] | None:
    """Return `external_ids` that are *given* as KEY=VALUE, None if none is; raises a usage error."""
    notes = items(context, option, given)
    for key in notes or ():
        if key.startswith(_OURS):
            raise click.BadParameter(
                f"{key!r} is not yours to set: keys that begin with {_OURS} are Trunkline's own; "
                "`trunkline apply --set NAME --adopt` says of which set a row is",
                param=option,
            )
    return notes


with_external_ids = click.option(
    "--external-id",
    "external_ids",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_notes,
    help="A note of yours or of another program; an empty VALUE removes KEY; may be repeated.",
)
"""Gives a command `--external-id`, and its function the argument *external_ids*, None if none is given."""


def created(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values* of a row that is created: there is no item of a map to remove.

    >>> created({"name": "vm1", "external_ids": {"owner": "ops", "ticket": ""}})
    {'name': 'vm1', 'external_ids': {'owner': 'ops'}}
    """
    return {
        column: {key: item for key, item in value.items() if item} if isinstance(value, dict) else value
        for column, value in values.items()
    }


def merged(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values* of a row that is changed: the items of its maps that are not given stay."""
    from trunkline.northbound.client import Merged

    return {column: Merged(value) if isinstance(value, dict) else value for column, value in values.items()}


def changes(**values: Any) -> dict[str, Any]:
    """Return the columns to write: options that were given; '' becomes None, and ('',) the empty list.

    >>> changes(mtu="", name=None, addresses=("",), allowed_address_pairs=(), unknown_macs=False)
    {'mtu': None, 'addresses': [], 'unknown_macs': False}
    """
    given = {column: value for column, value in values.items() if value is not None and value != ()}
    return {column: value if column in _REQUIRED else _cleared(value) for column, value in given.items()}


def _cleared(value: Any) -> Any:
    if isinstance(value, tuple):
        return [item for item in value if item != ""]
    return None if value == "" else value


def refuse_empty(options: dict[str, Any]) -> None:
    """Raise a usage error if one of *options*, by parameter, is empty: a new row has nothing to clear.

    An unset variable of a shell must not widen what a port may send.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        value = options.get(parameter.name or "")
        if value == "" or (isinstance(value, tuple) and "" in value):
            raise click.BadParameter("it is empty; give a value, or leave out the option", param=parameter)


def require_changes(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values*; raise a usage error if there are none."""
    if not values:
        raise click.UsageError("there is nothing to set; give at least one option")
    return values
