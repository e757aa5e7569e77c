"""What Trunkline needs of the `ovs` package beyond its public interface, and the check that it is there.

`trunkline.runtime.private` depends on all of it. Every name that it uses or overrides is listed here.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from trunkline.core.error import TrunklineError


class PackageError(TrunklineError):
    """Trunkline does not know the installed version of the `ovs` package."""


PARAMETERS: dict[str, tuple[str, ...]] = {
    # Overridden: the package calls them.
    "ovs.db.idl.Idl._Idl__check_server_db": ("self",),
    "ovs.db.idl.Idl._Idl__create_row": ("self", "table", "uuid"),
    "ovs.db.idl.Idl._Idl__add_default": ("self", "table", "row_update"),
    "ovs.db.idl.Idl._Idl__row_update": ("self", "table", "row", "row_json"),
    "ovs.db.idl.Idl.notify": ("self", "event", "row", "updates"),
    "ovs.db.idl.Idl.wait": ("self", "poller"),
    "ovs.db.idl.ColumnDefaultDict.__init__": ("self", "table"),
    "ovs.db.idl.ColumnDefaultDict.__missing__": ("self", "column"),
    "ovs.db.idl.Transaction._process_reply": ("self", "msg"),
    "ovs.reconnect.Reconnect.disconnected": ("self", "now", "error"),
    "ovs.stream.SSLStream.connect": ("self",),
    "ovs.stream.SSLStream._open": ("suffix", "dscp"),
    "ovs.stream.TCPStream._open": ("suffix", "dscp"),
    "ovs.stream.Stream.wait": ("self", "poller", "wait"),
    "ovs.unixctl.server.UnixctlConnection.run": ("self",),
    "ovs.unixctl.server.UnixctlConnection.reply": ("self", "body"),
    "ovs.unixctl.server.UnixctlConnection.reply_error": ("self", "body"),
    "ovs.unixctl.server.UnixctlServer.run": ("self",),
    # Called by Trunkline.
    "ovs.db.idl.Idl.__init__": ("self", "remote", "schema_helper", "probe_interval", "leader_only"),
    "ovs.db.idl.Row.__init__": ("self", "idl", "table", "uuid", "data"),
    "ovs.jsonrpc.Connection.__init__": ("self", "stream"),
    "ovs.jsonrpc.Session.send": ("self", "msg"),
    "ovs.jsonrpc.Session.recv": ("self",),
    "ovs.stream.Stream.connect": ("self",),
    "ovs.unixctl.server.UnixctlConnection._close": ("self",),
    "ovs.unixctl.server.UnixctlServer.__init__": ("self", "listener"),
}
"""The parameters of functions that are called or overridden; optional ones may follow in the package."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "ovs.db.idl.Idl": (
        *("_db", "_session", "_last_seqno", "_request_id", "_outstanding_txns", "_server_db_table"),
        *("state", "tables", "server_tables", "readonly", "cond_changed"),
    ),
    "ovs.db.idl.IdlTable": ("rows", "columns", "_condition_state"),
    "ovs.db.idl.Row": ("_data", "_table", "uuid"),
    "ovs.db.idl.ColumnDefaultDict": ("_table",),
    "ovs.db.idl.Transaction": ("_status",),
    "ovs.jsonrpc.Connection": ("stream",),
    "ovs.jsonrpc.Session": ("rpc", "reconnect"),
    "ovs.reconnect.Reconnect": ("backoff", "min_backoff", "max_backoff"),
    "ovs.stream.Stream": ("socket", "name"),
    "ovs.unixctl.server.UnixctlConnection": ("_request_id",),
    "ovs.unixctl.server.UnixctlServer": ("_listener", "_conns"),
}
"""The attributes that an instance of each class has after its constructor."""

NAMES = (
    *(f"ovs.db.idl.Transaction.{name}" for name in ("UNCOMMITTED", "INCOMPLETE", "TRY_AGAIN", "SUCCESS")),
    *(
        f"ovs.db.idl.Idl.IDL_S_{name}"
        for name in (
            "MONITORING",
            *("DATA_MONITOR_REQUESTED", "DATA_MONITOR_COND_REQUESTED", "DATA_MONITOR_COND_SINCE_REQUESTED"),
        )
    ),
    *(
        f"ovs.json.{name}"
        for name in ("PARSER", "PARSER_PY", "Parser.feed", "Parser.is_done", "Parser.finish")
    ),
)
"""Other names that must exist."""


def differences() -> Iterator[str]:
    """Yield what is missing from the installed package, or different in it."""
    for path, parameters in PARAMETERS.items():
        wanted = f"{path}({', '.join(parameters)})"
        found = _found(path)
        if found is None:
            yield f"{wanted} is missing"
        elif not _takes(found, parameters):
            yield f"{wanted} is {path.rpartition('.')[2]}{inspect.signature(found)}"
    for path, names in ATTRIBUTES.items():
        code = getattr(_found(f"{path}.__init__"), "__code__", None)
        known = {*code.co_names, *code.co_consts} if code is not None else set()
        yield from (f"{path}.{name} is missing" for name in names if name not in known)
    yield from (f"{path} is missing" for path in NAMES if _found(path) is None)


def check() -> None:
    """Raise `PackageError` if the installed package differs from what is listed here."""
    for difference in differences():
        import ovs.version

        raise PackageError(
            f"the agent cannot work with version {ovs.version.VERSION} of the Python package ovs "
            f"({difference}); install a version from 3.1.5 to 4.0"
        )


def _found(path: str) -> Any:
    """Return what *path* names, or None if there is no such thing."""
    names = path.split(".")
    for count in range(len(names), 0, -1):
        try:
            found = importlib.import_module(".".join(names[:count]))
        except ImportError:
            continue
        try:
            return attrgetter(".".join(names[count:]))(found)
        except AttributeError:
            return None
    return None


def _takes(function: Any, wanted: tuple[str, ...]) -> bool:
    found = list(inspect.signature(function).parameters.values())
    names = tuple(each.name for each in found)
    more = found[len(wanted) :]
    return names[: len(wanted)] == wanted and all(each.default is not each.empty for each in more)
