"""The listeners in the database itself (`NB_Global:connections`), which every member of a cluster opens.

Only such a listener can have a role (`trunkline.northbound.access`); listeners of the command line cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.error import InvalidValueError
from trunkline.host.listener import check
from trunkline.northbound import transaction
from trunkline.northbound.operation import NamedUuid, encoded, expect, insert, select, update
from trunkline.northbound.refusal import RefusedError, only_global
from trunkline.northbound.transaction import Guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Operation
    from trunkline.northbound.transaction import Part


def connections(nb: Northbound) -> dict[str, str]:
    """Return the role of each target; '' if clients may do everything."""
    (rows,) = nb.read(select("Connection", only=("target", "role")))
    return {row["target"]: row["role"] for row in sorted(rows, key=lambda row: str(row["target"]))}


def listen(nb: Northbound, targets: Sequence[str], role: str) -> None:
    """Have the northbound listen on *targets* (`ptcp:` or `pssl:`), and give clients there *role*.

    A target that it listens on already gets *role* instead of its own.

    Raises:
        InvalidValueError: a target is not a place to listen, or has a role but is not `pssl:`.
        RefusedError: the database has no `NB_Global` row, or several.
    """
    for target in targets:
        if not target.startswith(("ptcp:", "pssl:")):
            raise InvalidValueError(
                f"{target!r} is not a place to listen; write pssl:PORT:IP or ptcp:PORT:IP"
            )
        check(target)
        if role and not target.startswith("pssl:"):
            raise InvalidValueError(f"{target!r} has no client certificates; a role needs pssl:")
    transaction.write(nb, lambda: list(_listening(nb, dict.fromkeys(targets), role)))


def _listening(nb: Northbound, targets: Iterable[str], role: str) -> Iterator[Part]:
    rows, global_rows = nb.read(
        # With the UUID: a select answers equal rows once.
        select("Connection", only=("target",)),
        select("NB_Global", only=("_uuid", "identity")),
    )
    identity = only_global(global_rows)["identity"]
    yield Guard(expect("NB_Global", rows=[{"identity": identity}], only=("identity",)))
    for number, target in enumerate(targets):
        same, known = ("target", "==", target), [row for row in rows if row["target"] == target]
        yield Guard(expect("Connection", same, rows=known, only=("target",)))
        if known:
            yield update("Connection", same, row={"role": role})
            continue
        name = NamedUuid(f"connection{number}")
        yield insert("Connection", {"target": target, "role": role}, name)
        yield _changed("insert", name)


def unlisten(nb: Northbound, targets: Sequence[str]) -> None:
    """Have the northbound no longer listen on *targets*; clients there are disconnected.

    Raises:
        RefusedError: the database has no row for one of them.
    """
    transaction.write(nb, lambda: list(_ending(nb, dict.fromkeys(targets))))


def _ending(nb: Northbound, targets: Iterable[str]) -> Iterator[Part]:
    (rows,) = nb.read(select("Connection", only=("_uuid", "target")))
    id_by_target = {row["target"]: row["_uuid"] for row in rows}
    for target in targets:
        if target not in id_by_target:
            listed = ", ".join(sorted(id_by_target)) or "none"
            raise RefusedError(f"no connection is called {target!r}; there are: {listed}")
        id_ = id_by_target[target]
        yield Guard(expect("Connection", ("_uuid", "==", id_), rows=[{"target": target}], only=("target",)))
        yield _changed("delete", id_)


def _changed(verb: str, reference: str) -> Operation:
    """Return the operation that adds a row to `NB_Global:connections`, or removes and so deletes it."""
    mutation = ["connections", verb, encoded([reference])]
    return {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [mutation]}
