"""The `NB_Global` row that every northbound has: made, or completed, where it is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from trunkline.northbound.operation import expect, insert, select, update
from trunkline.northbound.schema import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.northbound.operation import Operation, Row


def read() -> list[Operation]:
    """Return the operations that read what `completion` wants to know."""
    return [
        select("NB_Global"),
        select("Network", only=("unique_key",)),
        select("Port", only=("unique_key",)),
        select("Chassis", only=("nb_cfg",)),
    ]


class Completion(NamedTuple):
    """What makes or completes the row, after what aborts the transaction if the row is not as it was read."""

    as_read: Operation
    operation: Operation


def completion(found: Sequence[Sequence[Row]]) -> Completion | None:
    """Return what makes the row, or gives it the identity that it lacks; None if nothing is to be done.

    *found* are the rows that `read` finds. A new row counts on from what there is, so that no key and no
    number of a request is used twice; its identity is another one. A row of an older schema keeps the
    identity that it went by.
    """
    rows, networks, ports, chassis = found
    if not rows:
        row = {
            IDENTITY: str(uuid4()),
            "next_network_key": 1 + max((each["unique_key"] for each in networks), default=0),
            "next_port_key": 1 + max((each["unique_key"] for each in ports), default=0),
            "nb_cfg": max((each["nb_cfg"] for each in chassis), default=0),
        }
        return Completion(expect("NB_Global", rows=[], only=("nb_cfg",)), insert("NB_Global", row))
    if rows[0][IDENTITY]:
        return None
    identity = rows[0]["external_ids"].get(IDENTITY) or str(rows[0]["_uuid"])
    return Completion(
        expect("NB_Global", rows=[{IDENTITY: ""}], only=(IDENTITY,)),
        update("NB_Global", row={IDENTITY: identity}),
    )
