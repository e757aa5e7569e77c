"""iface-ids: a port's VIF has the port's name as its iface-id, or the port's `iface_id` instead.

No two ports may have the same, or a VIF could be of either. So an `iface_id` is neither that of another port
nor the name of another port, even if that one has an `iface_id` of its own: it might be cleared. The database
cannot have an index of that, because most ports have none. A few are looked for by the database inside the
transaction; if there are many, the client reads those of all ports instead, and guards the transaction
against changes of them (`trunkline.northbound.check.COUNT_CHANGE`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.core.error import Place
from trunkline.northbound.check import Check
from trunkline.northbound.conflict import Conflict
from trunkline.northbound.operation import expect, select
from trunkline.northbound.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from trunkline.northbound.conflict import Written
    from trunkline.northbound.operation import Condition, Operation, Row

FEW = 4
"""How many ports are looked for one by one: passing over a port costs the server 0.4 µs."""


def of(row: Mapping[str, Any]) -> str:
    """Return the iface-id of the VIF of the port *row*.

    >>> of({"name": "vm1", "iface_id": None}), of({"name": "vm1", "iface_id": "9d41"})
    ('vm1', '9d41')
    """
    return str(row["iface_id"] or row["name"])


def checks(rows: Collection[Mapping[str, Any]]) -> list[Check]:
    """Return the checks that no other port has what *rows* have, ports as they will be; none for many."""
    return [check for row in rows for check in _checks(row)] if len(rows) <= FEW else []


def _checks(row: Mapping[str, Any]) -> Iterator[Check]:
    name, iface_id = row["name"], row["iface_id"]
    yield _check(("iface_id", "==", name), name, lambda other: _name_taken(name, other))
    if iface_id is not None:
        yield _check(("iface_id", "==", iface_id), name, lambda other: _taken(name, iface_id, other))
        yield _check(("name", "==", iface_id), name, lambda other: _is_name(name, iface_id))


def _check(condition: Condition, name: str, refused: Any) -> Check:
    where = (condition, ("name", "!=", name))
    return Check(
        expect("Port", *where, rows=[], only=("name",)), refused(None), lambda names: refused(names[0])
    )


def selects(rows: Collection[Mapping[str, Any]]) -> list[Operation]:
    """Return the operations that read what `conflicts` compares *rows* with; none for a few."""
    if len(rows) <= FEW:
        return []
    only = ("name", "iface_id")
    given = sorted({row["iface_id"] for row in rows} - {None})
    if len(given) > FEW:
        return [select("Port", only=only)]
    names = [select("Port", ("name", "==", iface_id), only=only) for iface_id in given]
    return [select("Port", ("iface_id", "!=", None), only=only), *names]


def named(written: Iterable[Written]) -> list[Row]:
    """Return those of the ports *written* whose iface-id may be another's, as they will be."""
    return [row.new for row in written if row.writes(("iface_id",))]


def conflicts(rows: Iterable[Mapping[str, Any]], there: Iterable[Row]) -> Iterator[Conflict]:
    """Yield each of *rows*, ports as they will be, that has what a port *there*, or one before it, has."""
    own = {row["name"]: row["iface_id"] for row in rows}
    # Those that are not written come first: they are in the way, and not the other way round.
    ports = {row["name"]: row["iface_id"] for row in there if row["name"] not in own} | own
    names_by_iface_id: dict[str, list[str]] = {}
    for name, iface_id in ports.items():
        if iface_id is not None:
            names_by_iface_id.setdefault(iface_id, []).append(name)
    for name, iface_id in own.items():
        for other in names_by_iface_id.get(name, ()):
            if other != name:
                yield Conflict(name, ("name", "iface_id"), _name_taken(name, other), (other,))
        if iface_id is None:
            continue
        first = names_by_iface_id[iface_id][0]
        if first != name:
            yield Conflict(name, ("iface_id",), _taken(name, iface_id, first), (first,))
        if iface_id in ports and iface_id != name:
            yield Conflict(name, ("iface_id",), _is_name(name, iface_id), (iface_id,))


def _taken(name: str, iface_id: str, other: str | None) -> RefusedError:
    holder = "another port" if other is None else f"port {other!r}"
    return RefusedError(
        f"{holder} already has iface-id {iface_id}; pick another `iface_id`", Place("Port", name, "iface_id")
    )


def _is_name(name: str, iface_id: str) -> RefusedError:
    return RefusedError(
        f"{iface_id!r} is the name of another port, and may be the iface-id of its VIF; pick another "
        "`iface_id`",
        Place("Port", name, "iface_id"),
    )


def _name_taken(name: str, other: str | None) -> RefusedError:
    holder = "another port" if other is None else f"port {other!r}"
    return RefusedError(
        f"{holder} already has iface-id {name}, so no other port can be called so; pick another name",
        Place("Port", name, "name"),
    )
