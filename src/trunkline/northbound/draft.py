"""A draft: the transaction that does some steps.

If a step depends on other rows, the draft reads them and guards the transaction by a `wait` on what it read,
or has the database look for them inside the transaction. The number of requests, and of passes through a
table, does not grow with the number of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.error import InvalidValueError, Place
from trunkline.northbound import duplicate, iface_id, physnet, trunk
from trunkline.northbound.changed_row import (
    ChangedRow,
    changed_network,
    changed_port,
    refuse_changed,
    refuse_other,
)
from trunkline.northbound.check import COUNT_CHANGE, COUNTED_COLUMNS, chassis_checks, deletion
from trunkline.northbound.conflict import Written, beside, refuse
from trunkline.northbound.default import effective
from trunkline.northbound.operation import NamedUuid, delete, expect, insert, select, update
from trunkline.northbound.refusal import no_such, only_global
from trunkline.northbound.spec import (
    NetworkSpec,
    no_network,
    refuse_duplicates,
)
from trunkline.northbound.step import Change, Create, Delete, Ensure, Insert, Put
from trunkline.northbound.transaction import Guard

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from trunkline.northbound.operation import Operation, Row
    from trunkline.northbound.step import Step
    from trunkline.northbound.transaction import Part, Read

FEW = 4
"""How many rows are looked for one by one, by name; if there are more, the whole table is read."""

_KEY_BY_TABLE = {"Network": "next_network_key", "Port": "next_port_key"}
_GUARDED = {
    "Network": (
        *("network_type", "physical_network", "segmentation_id", "vlan_transparent"),
        *("unknown_unicast", "remote_ports"),
    ),
    "Port": ("port_security", "unknown_macs", "options", *sorted(COUNTED_COLUMNS)),
}
"""The columns that decide whether a change of other columns makes a row wrong."""


class _Known(NamedTuple):
    """What was read first, by table and name: the rows to change, and the UUIDs of rows that are named."""

    keys: list[Row]
    rows: Mapping[tuple[str, str], Row]
    ids: Mapping[tuple[str, str], str]

    def row(self, table: str, name: str) -> Row:
        if (table, name) not in self.rows:
            raise no_such(table, name)
        return self.rows[table, name]

    def id(self, table: str, name: str) -> str:
        if (table, name) not in self.ids:
            raise no_such(table, name)
        return self.ids[table, name]

    def referring(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return *given*, columns that were seen, with the network's UUID, None if the network is gone."""
        if "network" not in given:
            return given
        return {**given, "network": self.ids.get(("Network", given["network"]))}


class _Outcome(NamedTuple):
    """The rows of a table that are created, and those that are changed."""

    created: list[Row]
    changed: list[ChangedRow]

    @property
    def written(self) -> list[Written]:
        """All of these rows, with how they were."""
        created = (Written(None, row) for row in self.created)
        return [*created, *(Written(each.old, each.new) for each in self.changed)]


class _Ensured(NamedTuple):
    """A row that is created unless it exists, and the columns that are as asked for then."""

    row: Row
    columns: Collection[str]


class Draft:
    """The transaction of *steps*. What is wrong with the steps alone is found when it is constructed.

    Raises:
        InvalidValueError, AddressError: a row would be wrong by itself, or two rows exclude each other.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._created: dict[str, list[Row]] = {"Network": [], "Port": []}
        self._put: dict[str, list[Row]] = {"Network": [], "Port": []}
        self._ensured: dict[str, list[_Ensured]] = {"Network": [], "Port": []}
        self._changes: list[Change] = []
        self._gone: dict[str, dict[str, Mapping[str, Any]]] = {"Port": {}, "Network": {}, "Chassis": {}}
        self._may_be_gone: set[tuple[str, str]] = set()
        for step in steps:
            match step:
                case Create(spec):
                    self._created[_table(spec)].append(spec.row())
                case Insert(table, row):
                    self._created[table].append(dict(row))
                case Put(spec):
                    self._put[_table(spec)].append(spec.row())
                case Change():
                    self._changes.append(step)
                case Ensure(spec, columns):
                    self._ensured[_table(spec)].append(_Ensured(spec.row(), columns))
                case Delete(table, name, given, may_be_gone):
                    self._gone[table][name] = given
                    if may_be_gone:
                        self._may_be_gone.add((table, name))
        refuse_duplicates(*(self._created[table] + self._asked(table) for table in ("Network", "Port")))
        self._refuse_second_steps()

    def _asked(self, table: str) -> list[Row]:
        """Return the rows of *table* that are created unless they exist."""
        return self._put[table] + [each.row for each in self._ensured[table]]

    def _refuse_second_steps(self) -> None:
        """Raise InvalidValueError if a row that is put, ensured or changed has another step too."""
        others = [(table, row["name"]) for table in self._put for row in self._asked(table)]
        if not self._changes and not others:
            return
        seen = {(table, row["name"]) for table, rows in self._created.items() for row in rows}
        seen |= {(table, name) for table, names in self._gone.items() for name in names}
        for table, name in [*others, *((change.table, change.name) for change in self._changes)]:
            if (table, name) in seen:
                raise InvalidValueError(f"{table.lower()} {name!r} is asked for twice", Place(table, name))
            seen.add((table, name))

    def parts(self, read: Read) -> list[Part]:
        """Return the parts of the transaction, by what *read* finds now.

        Raises:
            RefusedError, NotFoundError: a row conflicts with what is in the database.
        """
        known = self._known(read)
        self._refuse_missing(known)
        networks = self._networks(known)
        ids = {row["name"]: NamedUuid(f"network{n}") for n, row in enumerate(networks.created)}
        ports = self._ports(known, ids)
        checks, rests_on_ports = self._checked_against_others(read, networks, ports, ids)
        is_any_created = bool(networks.created or ports.created)
        is_any_port_gone = any(self._is_deleted(known, "Port", name) for name in self._gone["Port"])
        changed = [
            *(("Network", network) for network in networks.changed),
            *(("Port", port) for port in ports.changed),
        ]
        parts: list[Part] = []
        if is_any_created or rests_on_ports or is_any_port_gone:
            parts.append(_as_read(known))
        parts += [_guard(table, each) for table, each in changed]
        if is_any_created:
            parts += _insertions(only_global(known.keys), networks.created, ports.created, ids)
        parts += [
            update(table, ("_uuid", "==", each.old["_uuid"]), row=each.columns) for table, each in changed
        ]
        is_any_port_counted = any(port.writes(COUNTED_COLUMNS) for port in ports.changed)
        if is_any_port_gone or is_any_port_counted or trunk.opened(networks.written):
            parts.append(COUNT_CHANGE)
        return [*parts, *self._deletions(known), *checks]

    def _refuse_missing(self, known: _Known) -> None:
        """Raise NotFoundError if rows to delete are not there, with all of their names."""
        for table, names in self._gone.items():
            missing = [name for name in names if (table, name) not in known.ids]
            missing = [name for name in missing if (table, name) not in self._may_be_gone]
            if missing:
                raise no_such(table, *missing)

    # --- the rows that there are ---

    def _known(self, read: Read) -> _Known:
        """Read what the steps name: rows to change, the networks of ports, and rows to delete."""
        asked = {(table, row["name"]): None for table in self._put for row in self._asked(table)}
        whole = asked | {(change.table, change.name): None for change in self._changes}
        gone = {(table, name): given for table, rows in self._gone.items() for name, given in rows.items()}
        whole |= {row: None for row, given in gone.items() if given}
        named: dict[tuple[str, str], None] = {}
        created = {row["name"] for row in self._created["Network"]}
        seen = (*(each.given for each in self._changes), *gone.values())
        new = (*self._created["Port"], *self._asked("Port"), *(each.columns for each in self._changes))
        for row in (*new, *seen):
            # The database refuses a condition on a name that the schema does not allow, such as "".
            if row.get("network") and row["network"] not in created:
                named["Network", row["network"]] = None
        named |= {row: None for row, given in gone.items() if not given}
        # With the UUID: a select answers equal rows once.
        selects = [select("NB_Global", only=("_uuid", *_KEY_BY_TABLE.values()))]
        tables = []
        for wanted, only in ((whole, ()), (named, ("_uuid", "name"))):
            for table in ("Network", "Port", "Chassis"):
                for each in _by_name(table, [name for of, name in wanted if of == table], only):
                    selects.append(each)
                    tables.append((table, not only))
        keys, *found = read(*selects)
        rows = {
            (table, row["name"]): row
            for (table, is_whole), answer in zip(tables, found, strict=True)
            for row in answer
            if is_whole
        }
        ids = {
            (table, row["name"]): row["_uuid"]
            for (table, _), answer in zip(tables, found, strict=True)
            for row in answer
        }
        return _Known(keys, rows, ids)

    # --- the rows that there will be ---

    def _networks(self, known: _Known) -> _Outcome:
        ensured = _missing(known, "Network", self._ensured["Network"])
        outcome = _put(known, "Network", self._created["Network"] + ensured, self._put["Network"])
        for change in self._changes:
            if change.table == "Network":
                outcome.changed.append(changed_network(known.row("Network", change.name), change))
        return outcome

    def _ports(self, known: _Known, created: Mapping[str, NamedUuid]) -> _Outcome:
        def referring(row: Mapping[str, Any]) -> Row:
            name = row["network"]
            return {**row, "network": created.get(name) or known.id("Network", name)}

        ensured = [each._replace(row=referring(each.row)) for each in self._ensured["Port"]]
        created_ports = [*map(referring, self._created["Port"]), *_missing(known, "Port", ensured)]
        outcome = _put(known, "Port", created_ports, map(referring, self._put["Port"]))
        for change in self._changes:
            if change.table == "Port":
                old, columns = known.row("Port", change.name), change.columns
                if columns.get("network") == "":
                    raise no_network(change.name)
                if "network" in columns:
                    columns = referring(columns)
                given = known.referring(change.given)
                outcome.changed.append(changed_port(old, change._replace(columns=columns, given=given)))
        return outcome

    # --- conflicts with other rows ---

    def _checked_against_others(
        self,
        read: Read,
        networks: _Outcome,
        ports: _Outcome,
        created: Mapping[str, NamedUuid],
    ) -> tuple[list[Part], bool]:
        """Return the checks of the transaction, and whether it rests on what was read of other ports.

        Raises:
            RefusedError: a port conflicts with others.
        """
        gone = frozenset(self._gone["Port"])
        written = ports.written
        own = [row.new for row in written]

        def others(found: Iterable[Iterable[Row]]) -> Iterator[Row]:
            return beside((row for rows in found for row in rows), written, gone)

        wants = duplicate.wanted(written)
        if not duplicate.are_few(wants):
            refuse(duplicate.conflicts(written, others(read(*duplicate.selects(wants)))))
        open_networks = trunk.opened(networks.written)
        if open_networks:
            named_by_id = {row["_uuid"]: row["name"] for row in open_networks}
            refuse(trunk.within(named_by_id, [*others(read(*trunk.opened_selects(open_networks))), *own]))
        moved = trunk.moved(written)
        if moved:
            *found, transparent = read(*trunk.selects(moved))
            names = _transparent(transparent, networks, created)
            refuse(trunk.conflicts(moved, [*others(found), *own], names))
        named = iface_id.named(written)
        asked = iface_id.selects(named)
        if asked:
            refuse(iface_id.conflicts(named, [*others(read(*asked)), *own]))
        if gone:
            refuse(trunk.orphans(gone, [*others(read(*trunk.sub_port_selects(gone))), *own]))
        requested = [row["requested_chassis"] for row in ports.created]
        requested += [port.columns.get("requested_chassis") for port in ports.changed]
        checks = [
            *physnet.checks(physnet.moved(networks.written)),
            *duplicate.checks(wants),
            *iface_id.checks(named),
            *chassis_checks(requested),
        ]
        rests_on_ports = moved or asked or open_networks or not duplicate.are_few(wants)
        return list(checks), bool(rests_on_ports)

    def _is_deleted(self, known: _Known, table: str, name: str) -> bool:
        return (table, name) in known.ids or (table, name) not in self._may_be_gone

    def _deletions(self, known: _Known) -> Iterator[Part]:
        for table, rows in self._gone.items():
            for name, seen in rows.items():
                if not self._is_deleted(known, table, name):
                    continue
                if seen:
                    given = known.referring(seen)
                    refuse_changed(table, known.row(table, name), given)
                    same = ("_uuid", "==", known.id(table, name))
                    yield Guard(expect(table, same, rows=[given], only=tuple(given)))
                if (table, name) in self._may_be_gone:
                    yield delete(table, ("_uuid", "==", known.id(table, name)))
                else:
                    yield from deletion(table, name, known.id(table, name))
                if table == "Chassis":
                    yield update("Port", ("chassis", "==", name), row={"chassis": None, "up": None})
                    yield delete("Answer", ("chassis", "==", name))


def _transparent(rows: Iterable[Row], networks: _Outcome, created: Mapping[str, NamedUuid]) -> dict[str, str]:
    """Return the names of the transparent networks by id: of *rows*, as they are, and of *networks*."""
    names: dict[str, str] = {row["_uuid"]: row["name"] for row in rows}
    for _, row in networks.written:
        id_ = created.get(row["name"]) or row["_uuid"]
        names.pop(id_, None)
        if row["vlan_transparent"]:
            names[id_] = row["name"]
    return names


def _table(spec: object) -> str:
    return "Network" if isinstance(spec, NetworkSpec) else "Port"


def _by_name(table: str, names: Sequence[str], only: tuple[str, ...]) -> list[Operation]:
    if len(names) > FEW:
        return [select(table, only=only)]
    return [select(table, ("name", "==", name), only=only) for name in names]


def _as_read(known: _Known) -> Guard:
    """Return the guard of the keys. By them it also guards what `COUNT_CHANGE` counts."""
    keys = only_global(known.keys)
    only = tuple(_KEY_BY_TABLE.values())
    return Guard(expect("NB_Global", rows=[{column: keys[column] for column in only}], only=only))


def _guard(table: str, changed: ChangedRow) -> Guard:
    only = tuple(dict.fromkeys((*_GUARDED[table], *changed.guarded)))
    same = ("_uuid", "==", changed.old["_uuid"])
    return Guard(expect(table, same, rows=[{column: changed.old[column] for column in only}], only=only))


def _insertions(
    keys: Row, networks: Sequence[Row], ports: Sequence[Row], ids: Mapping[str, NamedUuid]
) -> Iterator[Operation]:
    """Yield the operations that create rows, and raise the counters that their unique keys come from."""
    created = {"Network": networks, "Port": ports}
    after = {key: keys[key] + len(created[table]) for table, key in _KEY_BY_TABLE.items()}
    yield update("NB_Global", row=after)
    for table, rows in created.items():
        for unique_key, row in enumerate(rows, keys[_KEY_BY_TABLE[table]]):
            uuid_name = ids[row["name"]] if table == "Network" else None
            # Empty columns need not be written, and most columns of most rows are empty.
            said = {column: value for column, value in row.items() if value or value is False}
            said["unique_key"] = unique_key
            yield insert(table, said, uuid_name)


def _missing(known: _Known, table: str, ensured: Iterable[_Ensured]) -> list[Row]:
    """Return the rows of *ensured* that do not exist; raise RefusedError if one is other than asked for."""
    missing = []
    for row, columns in ensured:
        old = known.rows.get((table, row["name"]))
        if old is None:
            missing.append(row)
        else:
            asked = {column: row[column] for column in columns}
            refuse_other(table, effective(table, old), effective(table, asked))
    return missing


def _put(known: _Known, table: str, created: Iterable[Row], put: Iterable[Row]) -> _Outcome:
    """Return the rows to create and to change: *created* are new, and of *put* some may exist."""
    outcome = _Outcome(list(created), [])
    for row in put:
        old = known.rows.get((table, row["name"]))
        if old is None:
            outcome.created.append(row)
        elif columns := {column: value for column, value in row.items() if old[column] != value}:
            outcome.changed.append(ChangedRow(old, old | row, columns, tuple(columns)))
    return outcome
