"""The northbound as an operator's program sees it: ask, change, be refused with a reason.

A `Northbound` holds no copy of the database: creating a port reads a network's UUID and a counter, however
many ports there are. The agent's view of the northbound is a replica, and elsewhere.

Errors, all of them `TrunklineError`:

    UnreachableError    no server, a server of other databases, or one that stopped answering
    InvalidValueError   wrong whatever the database holds; likewise `AddressError`
    RefusedError        something in the database is in the way
    NotFoundError       there is no such row
    TransactionError    the database refused in words that have no sentence of ours
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from trunkline.core.error import InvalidValueError
from trunkline.northbound import duplicate, member, trunk
from trunkline.northbound.check import NEWS, NEWS_COLUMNS, Check, deletion, physnet_checks
from trunkline.northbound.operation import (
    NamedUuid,
    decoded_rows,
    expect,
    insert,
    select,
    update,
)
from trunkline.northbound.refusal import (
    NotFoundError,
    RefusedError,
    TransactionError,
    no_such,
    only_global,
    refusal,
)
from trunkline.northbound.rpc import UnreachableError, sensible
from trunkline.northbound.schema import DATABASE, FIRST_CHASSIS
from trunkline.northbound.spec import (
    NetworkSpec,
    PortSpec,
    canonical_port,
    check_network,
    check_network_physnet,
    check_port,
    check_port_options,
    first_chassis,
    refuse_twins,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from trunkline.northbound.operation import Operation, Row
    from trunkline.northbound.rpc import Rpc, Tls

__all__ = [
    "DEFAULT_REMOTE",
    "InvalidValueError",
    "NetworkSpec",
    "Northbound",
    "NotFoundError",
    "PortSpec",
    "RefusedError",
    "TransactionError",
    "UnreachableError",
]

DEFAULT_REMOTE = "unix:/run/trunkline/nb.sock"
"""Where an operator's program looks when nobody says otherwise."""

_REQUEST_TIMEOUT_S = 60.0
_ATTEMPTS = 40
_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.25


class Northbound:
    """A connection to the northbound; a context manager that closes it."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self._next_keys: Row | None = None

    @classmethod
    def connect(cls, remotes: str, timeout_s: float = 5, tls: Tls | None = None) -> Northbound:
        """Return a connection to the first of *remotes*, comma separated, that serves the northbound.

        Raises:
            UnreachableError: none does within *timeout_s*; the text has a reason for each.
        """
        return cls(member.connect(remotes, timeout_s, tls))

    def __enter__(self) -> Northbound:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.rpc.close()

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Return the results of *operations*, done in one transaction: all of them or none.

        Raises:
            TransactionError: the database aborted it.
        """
        results = member.transact(self.rpc, DATABASE, operations, _REQUEST_TIMEOUT_S)
        for position, result in enumerate(results):
            if result is not None and "error" in result:
                raise TransactionError(
                    result["error"], result.get("details", ""), position, results[:position]
                )
        return results

    def read(self, *selects: Operation) -> list[list[Row]]:
        """Return the rows that each of *selects* finds, all as of one moment."""
        results = self.transact(selects)
        with sensible(self.rpc.remote):
            return [decoded_rows(*each) for each in zip(selects, results, strict=True)]

    def schema_version(self) -> str:
        """Return the version of the schema that the server has."""
        schema = self.rpc.request("get_schema", [DATABASE], _REQUEST_TIMEOUT_S)
        with sensible(self.rpc.remote):
            return str(schema["version"])

    def row_counts(self) -> dict[str, int]:
        """Return how many networks, ports and chassis there are, by table."""
        tables = ("Network", "Port", "Chassis")
        found = self.read(*(select(table, only=("_uuid",)) for table in tables))
        return {table: len(rows) for table, rows in zip(tables, found, strict=True)}

    # --- what there is ---

    def networks(self) -> list[Row]:
        """Return all networks, by name."""
        return [_shown(row) for row in _by_name(self.read(select("Network"))[0])]

    def network(self, name: str) -> Row:
        """Return the network called *name*; raise NotFoundError where there is none."""
        return _shown(self._row("Network", name))

    def ports(self, network: str | None = None) -> list[Row]:
        """Return all ports, or those of one network, by name; each says its network by name.

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
        """Return the port called *name*, its network by name; raise NotFoundError where there is none."""
        row = self._row("Port", name)
        ((network,),) = self.read(select("Network", ("_uuid", "==", row["network"]), only=("name",)))
        return _shown(row) | {"network": network["name"]}

    def all_chassis(self) -> list[Row]:
        """Return all chassis, by name."""
        return [_shown(row) for row in _by_name(self.read(select("Chassis"))[0])]

    def chassis(self, name: str) -> Row:
        """Return the chassis called *name*; raise NotFoundError where there is none."""
        return _shown(self._row("Chassis", name))

    # --- what there shall be ---

    def create(self, networks: Iterable[NetworkSpec] = (), ports: Iterable[PortSpec] = ()) -> None:
        """Create *networks* and *ports* in one transaction, all or none; a port's network may be among them.

        Unique keys come from counters in `NB_Global` that the same transaction moves on, so that writers who
        meet never share a key. 10,000 ports at a time are fine.

        Raises:
            InvalidValueError: two rows of the call cannot both be.
            RefusedError, NotFoundError: a row does not go with what there is.
        """
        network_rows = [spec.row() for spec in networks]
        port_rows = [spec.row() for spec in ports]
        refuse_twins(network_rows, port_rows)
        named = {row["name"]: f"network{number}" for number, row in enumerate(network_rows)}
        ids: dict[str, str] = {name: NamedUuid(uuid_name) for name, uuid_name in named.items()}
        ids |= self._ids("Network", sorted({row["network"] for row in port_rows} - ids.keys()))
        port_rows = [row | {"network": ids[row["network"]]} for row in port_rows]
        parts = [row for row in port_rows if row["parent"] is not None]
        transparent = {ids[row["name"]]: row["name"] for row in network_rows if row["vlan_transparent"]}
        wants = duplicate.wanted(port_rows)
        checks = physnet_checks(network_rows) + duplicate.checks(wants)
        for pause_s in _pauses():
            keys = self._next_keys or self._read_next_keys()
            self._refuse_taken(wants)
            self._refuse_trunks(parts, port_rows, transparent)
            after = {
                "next_network_key": keys["next_network_key"] + len(network_rows),
                "next_port_key": keys["next_port_key"] + len(port_rows),
            }
            operations: list[Operation] = [
                select("NB_Global", only=tuple(keys)),
                _as_read(keys),
                update("NB_Global", row=after),
            ]
            for number, row in enumerate(network_rows):
                key = keys["next_network_key"] + number
                operations.append(insert("Network", row | {"unique_key": key}, named[row["name"]]))
            for number, row in enumerate(port_rows):
                key = keys["next_port_key"] + number
                operations.append(insert("Port", row | {"unique_key": key}))
            try:
                self._commit([*operations, *checks])
            except TransactionError as error:
                if error.position != 1:
                    raise
                found = decoded_rows(operations[0], error.results[0])
                self._next_keys = only_global(found)
                time.sleep(pause_s)
            else:
                self._next_keys = after
                return
        raise RefusedError(f"other writers came first {_ATTEMPTS} times; try again")

    def set_network(self, name: str, changes: Mapping[str, Any]) -> None:
        """Write *changes*, by column name, to the network called *name*.

        `network_type` `flat` takes the segmentation id away.

        Raises:
            InvalidValueError: the network would be wrong by itself.
            RefusedError, NotFoundError: it would not go with what there is.
        """
        for pause_s in _pauses():
            row = self._row("Network", name)
            changed = dict(changes)
            if changed.get("network_type") == "flat":
                changed.setdefault("segmentation_id", None)
            check_network(row | changed)
            # One that the row has had so far is not this change's to refuse.
            if changed.get("physical_network", row["physical_network"]) != row["physical_network"]:
                check_network_physnet(row | changed)
            moves = changed.keys() & {"network_type", "physical_network", "vlan_transparent"}
            checks = physnet_checks([row | changed]) if moves else ()
            guarded = (
                *("network_type", "physical_network", "segmentation_id", "vlan_transparent"),
                *("unknown_unicast", "remote_ports"),
            )
            if self._updated("Network", row, changed, guarded, checks):
                return
            time.sleep(pause_s)
        raise RefusedError(f"other writers changed network {name!r} {_ATTEMPTS} times; try again")

    def set_port(self, name: str, changes: Mapping[str, Any]) -> None:
        """Write *changes*, by column name, to the port called *name*; a network is given by name.

        A `parent` of None takes the tag away too. `options` are added to those there are; one that is empty
        is taken away. `first-chassis` among them follows from `requested_chassis`.

        Raises:
            InvalidValueError, AddressError: the port would be wrong by itself.
            RefusedError, NotFoundError: it would not go with what there is.
        """
        # Those that are there already and wrong are no reason to refuse a change of others.
        check_port_options(name, changes.get("options", {}))
        for pause_s in _pauses():
            row = self._row("Port", name)
            changed = canonical_port(name, changes)
            if "parent" in changed and changed["parent"] is None:
                changed["parent_vlan"] = None
            if "requested_chassis" in changed:
                first = first_chassis(changed["requested_chassis"]) or ""
                changed["options"] = {**changed.get("options", {}), FIRST_CHASSIS: first}
            if "options" in changed:
                options = row["options"] | changed["options"]
                changed["options"] = {key: value for key, value in options.items() if value}
            check_port(row | changed)
            if "network" in changed:
                changed["network"] = self._ids("Network", [changed["network"]])[changed["network"]]
            guards: list[Operation] = []
            moved = [row | changed] if changed.keys() & {"parent", "parent_vlan", "network"} else []
            wants = duplicate.added(row, row | changed)
            if moved or not duplicate.are_few(wants):
                guards = [_as_read(self._read_next_keys())]
                self._refuse_taken(wants)
                self._refuse_trunks(moved, (), {})
            checks = [*duplicate.checks(wants), *((NEWS,) if changed.keys() & NEWS_COLUMNS else ())]
            guarded = ("port_security", "unknown_macs", "options", *sorted(NEWS_COLUMNS))
            if self._updated("Port", row, changed, guarded, checks, guards):
                return
            time.sleep(pause_s)
        raise RefusedError(f"other writers changed port {name!r} {_ATTEMPTS} times; try again")

    def delete_networks(self, names: Iterable[str]) -> None:
        """Delete the networks called *names*, all or none.

        Raises:
            NotFoundError: there is no such network.
            RefusedError: one still has ports.
        """
        ids = self._ids("Network", _once(names))
        self._commit([step for name, id_ in ids.items() for step in deletion("Network", name, id_)])

    def delete_ports(self, names: Iterable[str]) -> None:
        """Delete the ports called *names*, all or none.

        Raises:
            NotFoundError: there is no such port.
            RefusedError: one is a trunk with sub-ports that are not among *names*.
        """
        gone = _once(names)
        for pause_s in _pauses():
            as_read = _as_read(self._read_next_keys())
            ids = self._ids("Port", gone)
            for found in self.read(*trunk.sub_port_selects(ids.keys())):
                trunk.refuse_orphans(ids.keys(), found)
            deletions = [step for name, id_ in ids.items() for step in deletion("Port", name, id_)]
            try:
                return self._commit([as_read, NEWS, *deletions])
            except TransactionError as error:
                if error.position:
                    raise
                time.sleep(pause_s)
        raise RefusedError(f"other writers came first {_ATTEMPTS} times; try again")

    def delete_chassis(self, names: Iterable[str]) -> None:
        """Delete the chassis called *names*, and say of the ports that they held that none holds them.

        Raises:
            NotFoundError: there is no such chassis.
        """
        steps: list[Operation | Check] = []
        for name, id_ in self._ids("Chassis", _once(names)).items():
            steps += deletion("Chassis", name, id_)
            steps.append(update("Port", ("chassis", "==", name), row={"chassis": None, "up": None}))
        self._commit(steps)

    # --- how ---

    def _commit(self, steps: Sequence[Operation | Check]) -> None:
        """Do *steps* in one transaction; what the database refuses becomes a sentence."""
        try:
            self.transact([step.operation if isinstance(step, Check) else step for step in steps])
        except TransactionError as error:
            failed = steps[error.position] if error.position < len(steps) else None
            if isinstance(failed, Check) and error.error == "timed out":
                names = sorted(row["name"] for row in self.read(failed.culprits)[0]) if failed.blame else []
                raise (failed.blame(names) if failed.blame and names else failed.error) from error
            reason = refusal(error, lambda table, where: self.read(select(table, *where))[0])
            if reason is error:
                raise
            raise reason from error

    def _updated(
        self,
        table: str,
        row: Row,
        changes: Row,
        guarded: Sequence[str],
        checks: Sequence[Operation | Check],
        guards: Sequence[Operation] = (),
    ) -> bool:
        """Write *changes* to *row*, and do *checks*; return False where what that rests on has changed.

        That is, the *guarded* columns of the row, or what *guards* expect.
        """
        same = ("_uuid", "==", row["_uuid"])
        guard = expect(table, same, rows=[{column: row[column] for column in guarded}], only=guarded)
        try:
            self._commit([guard, *guards, update(table, same, row=changes), *checks])
        except TransactionError as error:
            if error.position <= len(guards):
                return False
            raise
        return True

    def _row(self, table: str, name: str) -> Row:
        (rows,) = self.read(select(table, ("name", "==", name)))
        if not rows:
            raise no_such(table, name)
        return rows[0]

    def _ids(self, table: str, names: Sequence[str]) -> dict[str, str]:
        """Return the UUIDs of the rows of *table* called *names*; raise NotFoundError where there is none."""
        only = ("_uuid", "name")
        if len(names) > trunk.FEW:
            found = self.read(select(table, only=only))
        else:
            found = self.read(*(select(table, ("name", "==", name), only=only) for name in names))
        id_by_name = {row["name"]: row["_uuid"] for rows in found for row in rows}
        for name in names:
            if name not in id_by_name:
                raise no_such(table, name)
        return {name: id_by_name[name] for name in names}

    def _refuse_trunks(
        self, parts: Sequence[Row], rows: Sequence[Row], transparent: Mapping[str, str]
    ) -> None:
        """Raise RefusedError where one of *parts*, sub-ports or trunks among *rows*, cannot be what it says.

        *transparent* are names of further transparent networks by UUID.
        """
        if parts:
            *there, networks = self.read(*trunk.selects(parts))
            names = {network["_uuid"]: network["name"] for network in networks} | dict(transparent)
            trunk.refuse_wrong(parts, [port for found in there for port in found] + list(rows), names)

    def _refuse_taken(self, wants: duplicate.Wanted) -> None:
        """Raise RefusedError where another port has one of the many addresses in *wants*.

        Where there are few, the database itself looks for them: `duplicate.checks`.
        """
        if not duplicate.are_few(wants):
            for rows in self.read(*duplicate.selects(wants)):
                duplicate.refuse_taken(wants, rows)

    def _read_next_keys(self) -> Row:
        (rows,) = self.read(select("NB_Global", only=("next_network_key", "next_port_key")))
        return only_global(rows)


def _pauses() -> Iterator[float]:
    """Yield how long to wait, in seconds, after each attempt that another writer beat."""
    longest_s = _FIRST_PAUSE_S
    for _ in range(_ATTEMPTS):
        yield random.uniform(0, longest_s)
        longest_s = min(longest_s * 2, _LONGEST_PAUSE_S)


def _as_read(keys: Row) -> Operation:
    """Return the operation that holds a transaction to *keys* being those of now: see `NEWS`."""
    return expect("NB_Global", rows=[keys], only=tuple(keys))


def _by_name(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["name"]))


def _shown(row: Row) -> Row:
    return {column: value for column, value in row.items() if column != "_uuid"}


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
