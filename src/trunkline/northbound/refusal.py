"""Why the northbound refused a transaction, in words that tell an operator what to do.

The database decides. The client then reads the row that is in the way, and words the error. So of two writers
at once one is refused as surely as the second of two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trunkline.core.amount import counted
from trunkline.core.error import Place, TrunklineError
from trunkline.core.name import natural
from trunkline.core.spelling import slip
from trunkline.northbound.operation import Uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from trunkline.northbound.operation import Condition, Row

    Read = Callable[[str, tuple[Condition, ...]], list[Row]]

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_INDEX = re.compile(r'in "(\w+)" table .* for index on columns? (.*?)\.  First row')
# As `ovsdb-server` words it in ovsdb/rbac.c.
_ROLE = re.compile(r'role "(.*)" prohibit .* table "(\w+)"')
_NAMES_SHOWN = 3


class RefusedError(TrunklineError):
    """The request conflicts with something in the northbound."""


class ChangedError(RefusedError):
    """A row is no longer as the author of a change has seen it."""


class NotFoundError(TrunklineError):
    """The northbound has no row of that name; *names* are all such names that were given."""

    def __init__(self, reason: str = "", place: Place | None = None, names: Sequence[str] = ()) -> None:
        super().__init__(reason, place)
        self.names = names


class TransactionError(TrunklineError):
    """A transaction that was aborted, in the database's own words unless those are about rights.

    *position* is the index of the operation that failed, or the number of operations if only the commit
    failed; *results* are those of the operations before it.
    """

    def __init__(self, error: str, details: str, position: int, results: Sequence[Any]) -> None:
        super().__init__(_words(error, details))
        self.error = error
        self.details = details
        self.position = position
        self.results = results


def _words(error: str, details: str) -> str:
    """Return what the database says, and what to do if this client lacks the right.

    >>> _words("permission error", 'client "c" role "r" prohibit modification of table "Port".')
    'permission denied: the role r may not change Port this way; use a connection that may (`remotes`)'
    """
    role = _ROLE.search(details) if error == "permission error" else None
    if role is not None:
        return (
            f"permission denied: the role {role[1]} may not change {role[2]} this way; use a connection that "
            "may (`remotes`)"
        )
    if error == "not allowed" and "read only" in details:
        return "permission denied: this connection may only read; use one that may write (`remotes`)"
    return f"the database refused: {error}: {details}" if details else f"the database refused: {error}"


def refusal(error: TransactionError, read: Read) -> TrunklineError:
    """Return the error that tells an operator what *error* means; *read* selects rows of a table.

    If the row that was in the way has been deleted since, or the database's words are not known here, it is
    *error* itself.
    """
    if error.error == "referential integrity violation":
        return _still_used(error, read)
    index = _INDEX.search(error.details)
    if index is None:
        return error
    table = index[1]
    columns = tuple(re.findall(r'"(\w+)"', index[2]))
    for uuid in _UUID.findall(error.details.split("First row", 1)[1]):
        # A row that this transaction inserted does not exist now, and one whose index columns it changed is
        # not in the way.
        if f"{uuid}, had the following" in error.details:
            continue
        for row in read(table, (("_uuid", "==", Uuid(uuid)),)):
            networks = read("Network", (("_uuid", "==", row["network"]),)) if table == "Port" else []
            return taken(table, columns, row, networks[0]["name"] if networks else None)
    return error


def only_global(rows: Sequence[Row]) -> Row:
    """Return the only one of *rows*, of `NB_Global`; raise RefusedError if there are none or several."""
    if not rows:
        raise RefusedError(
            "the northbound has no NB_Global row: restore a backup; or stop its server, start it with "
            "`trunkline nb start`, which creates a row, and run `trunkline chassis accept-nb` on each chassis"
        )
    if len(rows) > 1:
        raise RefusedError(
            f"the northbound has {len(rows)} NB_Global rows, and should have 1; delete the ones not its own"
        )
    return rows[0]


def no_such(table: str, name: str, *others: str, known: Collection[str] = ()) -> NotFoundError:
    """Return the error to raise if *table* (Network, Port, Chassis) has no row called *name*, or *others*.

    Of the names *known*, it says which was probably meant.

    >>> print(no_such("Port", "vm8", "vm9"))
    no port is called 'vm8' or 'vm9'; see `trunkline port list`
    >>> print(no_such("Port", "wbe1", known=["web1"]))
    no port is called 'wbe1'; did you mean web1?
    """
    kind, missing = table.lower(), (name, *others)
    names = " or ".join([", ".join(map(repr, (name, *others[:-1]))), *map(repr, others[-1:])])
    hints = " ".join(filter(None, (slip(each, known) for each in missing[:_NAMES_SHOWN])))
    text = f"no {kind} is called {names}; {hints or f'see `trunkline {kind} list`'}"
    return NotFoundError(text, Place(table, name), missing)


def some(names: Sequence[str]) -> str:
    """Return *names* in brackets, the first few of them.

    >>> some(["b", "a"]), some(["a", "b", "c", "d"])
    ('(a, b)', '(a, b, c, …)')
    """
    shown = sorted(names, key=natural)[:_NAMES_SHOWN]
    return f"({', '.join(shown + ['…'] * (len(names) > _NAMES_SHOWN))})"


def taken(table: str, columns: tuple[str, ...], row: Row, network: str | None) -> RefusedError:
    """Return the refusal about *row*, which has the values of *columns* that an index allows once.

    *network* is the name of the network that a port is in.
    """
    name = row["name"]
    match table, columns:
        case _, ("name",):
            column = "name"
            reason = f"{table.lower()} {name!r} already exists; pick another name, or use `set`"
        case _, ("unique_key",):
            column = "unique_key"
            reason = (
                f"key {row['unique_key']} is that of {table.lower()} {name!r}: "
                f"NB_Global:next_{table.lower()}_key was set back; raise it above every unique_key"
            )
        case "Network", _ if row["segmentation_id"] is None:
            column = "physical_network"
            reason = (
                f"network {name!r} is already the flat network of {row['physical_network']}; "
                "pick another `physical_network`, or `network_type=vlan`"
            )
        case "Network", _:
            column = "segmentation_id"
            reason = (
                f"network {name!r} already uses VLAN {row['segmentation_id']} on {row['physical_network']}; "
                "pick another `segmentation_id`"
            )
        case _:
            column = "mac"
            where = f" in network {network!r}" if network else ""
            reason = f"port {name!r} already has MAC {row['mac']}{where}; pick another `mac`"
    return RefusedError(reason, Place(table, name, column))


def _still_used(error: TransactionError, read: Read) -> TrunklineError:
    for uuid in _UUID.findall(error.details):
        ports = [port["name"] for port in read("Port", (("network", "==", Uuid(uuid)),))]
        for network in read("Network", (("_uuid", "==", Uuid(uuid)),)):
            if ports:
                return RefusedError(
                    f"network {network['name']!r} still has {counted(len(ports), 'port')} {some(ports)}; "
                    f"delete {'it' if len(ports) == 1 else 'them'} first",
                    Place("Network", network["name"]),
                )
    if "nonexistent row" in error.details:
        return NotFoundError(
            "the port's network has just been deleted; see `trunkline network list`", Place("Network")
        )
    return error
