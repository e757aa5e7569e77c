"""Where the northbound listens by its own rows: `NB_Global:connections`, the same on every member.

Only such a listener can have a role (`trunkline.northbound.access`); those of the command line have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.error import InvalidValueError
from trunkline.host.listener import check
from trunkline.northbound.operation import NamedUuid, encoded, insert, select, update
from trunkline.northbound.refusal import RefusedError, only_global

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Operation


def connections(nb: Northbound) -> dict[str, str]:
    """Return the role of each target; '' where clients may do everything."""
    (rows,) = nb.read(select("Connection", only=("target", "role")))
    return {row["target"]: row["role"] for row in sorted(rows, key=lambda row: str(row["target"]))}


def listen(nb: Northbound, targets: Sequence[str], role: str) -> None:
    """Have the northbound listen on *targets* (`ptcp:` or `pssl:`), and give who connects there *role*.

    A target that it listens on already gets *role* instead of its own.

    Raises:
        InvalidValueError: a target is no such place, or has a role and no certificates to know clients by.
        RefusedError: the database has no `NB_Global` row, or several.
    """
    for target in targets:
        if not target.startswith(("ptcp:", "pssl:")):
            raise InvalidValueError(
                f"{target!r} is not a place to listen; write pssl:PORT:IP or ptcp:PORT:IP"
            )
        check(target)
        if role and not target.startswith("pssl:"):
            raise InvalidValueError(f"{target!r} shows no certificates; a role needs pssl:")
    known = connections(nb)
    only_global(nb.read(select("NB_Global", only=("_uuid",)))[0])
    operations: list[Operation] = []
    for number, target in enumerate(dict.fromkeys(targets)):
        if target in known:
            operations.append(update("Connection", ("target", "==", target), row={"role": role}))
            continue
        name = f"connection{number}"
        operations.append(insert("Connection", {"target": target, "role": role}, name))
        operations.append(_changed("insert", NamedUuid(name)))
    nb.transact(operations)


def unlisten(nb: Northbound, targets: Sequence[str]) -> None:
    """Have the northbound listen on *targets* no longer; clients there are disconnected.

    Raises:
        RefusedError: it does not listen on one of them by a row of its own.
    """
    (rows,) = nb.read(select("Connection", only=("_uuid", "target")))
    id_by_target = {row["target"]: row["_uuid"] for row in rows}
    for target in targets:
        if target not in id_by_target:
            listed = ", ".join(sorted(id_by_target)) or "none"
            raise RefusedError(f"no connection is called {target!r}; there are: {listed}")
    nb.transact([_changed("delete", id_by_target[target]) for target in targets])


def _changed(verb: str, reference: str) -> Operation:
    """Return the operation that takes a row into `NB_Global:connections`, or out, which deletes the row."""
    mutation = ["connections", verb, encoded([reference])]
    return {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [mutation]}
