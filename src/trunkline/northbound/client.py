"""The client of the northbound: it reads, writes, watches, and raises errors that say why.

A `Northbound` holds no copy of the database: creating a port reads a network's UUID and a counter, however
many ports there are. The agent has a replica of the northbound instead (`trunkline.ovsdb.nb_replica`).

If the connection is lost, the call under way fails, and the next call connects again. A request that was not
answered is not repeated, since the server may have done it.

Errors, all of them `TrunklineError`:

    UnreachableError    no server, a server of other databases, or one that stopped answering
    InvalidValueError   wrong whatever the database holds; `AddressError` is one of these
    RefusedError        something in the database is in the way
    NotFoundError       there is no such row
    TransactionError    the database refused, and the error has its own words
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager, nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any

from trunkline.core.error import InvalidValueError, TrunklineError
from trunkline.core.name import natural
from trunkline.northbound import member, transaction
from trunkline.northbound.certificate import common_name
from trunkline.northbound.draft import Draft
from trunkline.northbound.lock import Lock
from trunkline.northbound.operation import decoded_rows, select
from trunkline.northbound.refusal import ChangedError, NotFoundError, RefusedError, TransactionError, no_such
from trunkline.northbound.rpc import UnreachableError, sensible
from trunkline.northbound.schema import DATABASE
from trunkline.northbound.spec import NetworkSpec, PortSpec
from trunkline.northbound.step import Change, Create, Delete, Ensure, Merged, Put
from trunkline.northbound.watch import RowChange, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from trunkline.northbound.operation import Operation, Row
    from trunkline.northbound.rpc import Rpc, Tls
    from trunkline.northbound.step import Step
    from trunkline.northbound.transaction import Around

__all__ = [
    "DEFAULT_REMOTE",
    "Change",
    "ChangedError",
    "Create",
    "Delete",
    "Ensure",
    "InvalidValueError",
    "Merged",
    "NetworkSpec",
    "Northbound",
    "NotFoundError",
    "PortSpec",
    "Put",
    "RefusedError",
    "RowChange",
    "TransactionError",
    "UnreachableError",
    "Watch",
]

DEFAULT_REMOTE = "unix:/run/trunkline/nb.sock"
"""The remote that is used if none is given."""

MOST_STEPS_CLUSTERED = 20_000
"""The leader of a cluster does nothing else while it writes. On a busy machine 50,000 rows took longer than
its election timer again and again, and no leader could be elected any more."""

_REQUEST_TIMEOUT_S = 60.0
_OPERATION_TIMEOUT_S = 0.001
"""How long each operation may take besides: on a busy machine that is ten times what it takes."""


class Northbound:
    """A connection to the northbound; a context manager that closes it.

    If its block ends because there is no row of a name, the error then says which name was probably meant.
    """

    def __init__(self, connect: Callable[..., Rpc], timeout_s: float, tls: Tls | None = None) -> None:
        self._connect = connect
        self._tls = tls
        self._timeout_s = timeout_s
        self._end_s = math.inf
        self._rpc: Rpc | None = connect(timeout_s)

    @classmethod
    def connect(
        cls, remotes: str, timeout_s: float = 5, tls: Tls | None = None, *, prefers_leader: bool = False
    ) -> Northbound:
        """Return a connection to the first of *remotes*, comma separated, that serves the northbound.

        If *prefers_leader*, it is to the leader of the cluster if that is among them: its writes then go
        nowhere else.

        Raises:
            UnreachableError: none does within *timeout_s*; the text has a reason for each.
        """

        failed = set[str]()

        def connected(limit_s: float, end_s: float = math.inf) -> Rpc:
            return member.connect(
                remotes, limit_s, tls, end_s=end_s, prefers_leader=prefers_leader, last=failed
            )

        return cls(connected, timeout_s, tls)

    @property
    def certificate_name(self) -> str | None:
        """The CN of this client's certificate, by which a role knows it; None if there is none."""
        return common_name(self._tls.certificate) if self._tls is not None and self._tls.certificate else None

    @property
    def rpc(self) -> Rpc:
        """The connection; a new one if the last has ended.

        Raises:
            UnreachableError: no server could be reached.
        """
        if self._rpc is not None and self._rpc.has_ended():
            self.close()
        if self._rpc is None:
            self._rpc = self._connect(self._timeout_s, self._end_s)
        return self._rpc

    @contextmanager
    def within(self, limit_s: float) -> Iterator[None]:
        """Have the calls in the block take *limit_s* at most, all together, to connect included.

        One that cannot raises UnreachableError; a write may then be done or not. Watches are not limited.
        """
        before_s, self._end_s = self._end_s, min(self._end_s, time.monotonic() + limit_s)
        try:
            yield
        finally:
            self._end_s = before_s

    def __enter__(self) -> Northbound:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, NotFoundError) and error.names and error.place is not None:
            self._hint(error, error.place.table)
        self.close()

    def _hint(self, error: NotFoundError, table: str) -> None:
        """Have *error* say which of the names in *table* was probably meant."""
        try:
            (rows,) = self.read(select(table, only=("name",)))
        except TrunklineError:
            # The connection has ended, too: the error says enough without.
            return
        error.args = no_such(table, *error.names, known=[row["name"] for row in rows]).args

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Do all of *operations* in one transaction, or none, and return their results.

        Raises:
            TransactionError: the database aborted the transaction.
            UnreachableError: the server did not answer; *operations* may be done or not.
        """
        rpc = self.rpc
        timeout_s = _REQUEST_TIMEOUT_S + len(operations) * _OPERATION_TIMEOUT_S
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise UnreachableError(f"{rpc.remote}: no time was left to ask it")
        try:
            results = member.transact(rpc, DATABASE, operations, min(timeout_s, left_s))
        except UnreachableError:
            self.close()
            raise
        for position, result in enumerate(results):
            if result is not None and "error" in result:
                raise TransactionError(
                    result["error"], result.get("details", ""), position, results[:position]
                )
        return results

    def read(self, *selects: Operation) -> list[list[Row]]:
        """Return the rows that each of *selects* finds, all read at the same moment."""
        remote = self.rpc.remote
        results = self.transact(selects)
        with sensible(remote):
            return [decoded_rows(*each) for each in zip(selects, results, strict=True)]

    def watch(self, *selects: Operation) -> Watch:
        """Return a watch of the rows that *selects* find, on a connection of its own, to the same remotes."""
        return Watch(self._connect, DATABASE, selects)

    def lock(self, name: str) -> Lock:
        """Return the lock *name* of the same servers' leader, wanted on a connection of its own."""
        return Lock(self._connect, name)

    def schema_version(self) -> str:
        """Return the version of the schema that the server has."""
        rpc = self.rpc
        schema = rpc.request("get_schema", [DATABASE], _REQUEST_TIMEOUT_S)
        with sensible(rpc.remote):
            return str(schema["version"])

    def row_counts(self) -> dict[str, int]:
        """Return how many networks, ports and chassis there are, by table."""
        tables = ("Network", "Port", "Chassis")
        found = self.read(*(select(table, only=("_uuid",)) for table in tables))
        return {table: len(rows) for table, rows in zip(tables, found, strict=True)}

    # --- read ---

    def networks(self) -> list[Row]:
        """Return all networks, by name."""
        return [_shown(row) for row in _by_name(self.read(select("Network"))[0])]

    def network(self, name: str) -> Row:
        """Return the network called *name*; raise NotFoundError if there is none."""
        return _shown(self._row("Network", name))

    def ports(self, network: str | None = None) -> list[Row]:
        """Return all ports, or those of one network, by name; `network` is the network's name.

        Raises:
            NotFoundError: there is no such network.
        """
        if network is None:
            ports, networks = self.read(select("Port"), select("Network", only=("_uuid", "name")))
        else:
            networks = [self._row("Network", network)]
            (ports,) = self.read(select("Port", ("network", "==", networks[0]["_uuid"])))
        names = {row["_uuid"]: row["name"] for row in networks}
        return [_shown(row) | {"network": names[row["network"]]} for row in _by_name(ports)]

    def port(self, name: str) -> Row:
        """Return the port called *name*; `network` is its network's name. NotFoundError if there is none."""
        row = self._row("Port", name)
        ((network,),) = self.read(select("Network", ("_uuid", "==", row["network"]), only=("name",)))
        return _shown(row) | {"network": network["name"]}

    def all_chassis(self) -> list[Row]:
        """Return all chassis, by name."""
        return [_shown(row) for row in _by_name(self.read(select("Chassis"))[0])]

    def chassis(self, name: str) -> Row:
        """Return the chassis called *name*; raise NotFoundError if there is none."""
        return _shown(self._row("Chassis", name))

    # --- write ---

    def write(self, steps: Iterable[Step], *, around: Around = nullcontext) -> None:
        """Do all of *steps* in one transaction, or none. 10,000 at a time are fine; a row has one step.

        One server takes 250,000. A cluster, or a relay, is given `MOST_STEPS_CLUSTERED` at most.

        The client reads first what the steps depend on. If that changes before the commit, it reads again and
        tries again. Unique keys come from counters in `NB_Global`, which the same transaction raises, so two
        writers at once never use the same key. Each attempt to commit is made inside *around()*. Once that
        is left without an error, *steps* are done.

        Raises:
            InvalidValueError, AddressError: a row would be wrong by itself, or two rows exclude each other.
            RefusedError, NotFoundError: a row conflicts with what is in the database.
            UnreachableError: the connection was lost; *steps* may be done or not.
        """
        draft = self._draft(steps)
        transaction.write(self, lambda: draft.parts(self.read), around=around)

    def rehearse(self, steps: Iterable[Step]) -> None:
        """Raise what `write` of *steps* would raise now, and change nothing.

        Not noticed is what the database checks last: its indexes, and whether a network still has ports.
        """
        draft = self._draft(steps)
        transaction.write(self, lambda: draft.parts(self.read), is_rehearsal=True)

    def _draft(self, steps: Iterable[Step]) -> Draft:
        """Return the draft of *steps*; raise RefusedError if their transaction would be too large."""
        wanted = list(steps)
        if len(wanted) > MOST_STEPS_CLUSTERED and not member.is_alone(self.rpc, _REQUEST_TIMEOUT_S):
            raise RefusedError(
                f"{len(wanted):,} rows in one transaction are too many for a cluster; "
                f"write at most {MOST_STEPS_CLUSTERED:,} at a time"
            )
        return Draft(wanted)

    def create(self, networks: Iterable[NetworkSpec] = (), ports: Iterable[PortSpec] = ()) -> None:
        """Create *networks* and *ports*; a port's network may be among them. Raises as `write` does."""
        self.write(chain(map(Create, networks), map(Create, ports)))

    def set_network(self, name: str, changes: Mapping[str, Any]) -> None:
        """Write *changes*, by column name, to the network called *name*; raises as `write` does.

        `network_type` `flat` clears the segmentation id.
        """
        self.write([Change("Network", name, changes)])

    def set_port(self, name: str, changes: Mapping[str, Any]) -> None:
        """Write *changes*, by column name, to the port called *name*; a network is given by name.

        A `parent` of None clears the tag too. `options` are added to those that the port has; one with an
        empty value is removed. The option `first-chassis` follows from `requested_chassis`. Raises as `write`
        does.
        """
        if "options" in changes:
            changes = {**changes, "options": Merged(changes["options"])}
        self.write([Change("Port", name, changes)])

    def delete_networks(self, names: Iterable[str]) -> None:
        """Delete the networks called *names*; raises as `write` does, RefusedError if one still has ports."""
        self.write(Delete("Network", name) for name in names)

    def delete_ports(self, names: Iterable[str]) -> None:
        """Delete the ports called *names*; raises as `write` does.

        Sub-ports have to be deleted with their trunk, or before it; otherwise RefusedError.
        """
        self.write(Delete("Port", name) for name in names)

    def delete_chassis(self, names: Iterable[str]) -> None:
        """Delete the chassis called *names*, and clear `chassis` and `up` of the ports that they held.

        Answers that they have left are deleted, too.
        """
        self.write(Delete("Chassis", name) for name in names)

    def _row(self, table: str, name: str) -> Row:
        (rows,) = self.read(select(table, ("name", "==", name)))
        if not rows:
            raise no_such(table, name)
        return rows[0]


def _by_name(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: natural(row["name"]))


def _shown(row: Row) -> Row:
    return {column: value for column, value in row.items() if column != "_uuid"}
