"""The `NB_Global` row that every northbound has: created if it is missing, and given an identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from trunkline.northbound.operation import expect, insert, select, update
from trunkline.northbound.schema import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.northbound.operation import Operation, Row


def read() -> list[Operation]:
    """Return the operations that read the rows for `completion`."""
    return [
        select("NB_Global"),
        select("Network", only=("unique_key",)),
        select("Port", only=("unique_key",)),
        select("Chassis", only=("nb_cfg",)),
    ]


class Completion(NamedTuple):
    """The operation that creates or completes the row, and the one that guards what was read."""

    as_read: Operation
    operation: Operation


def completion(found: Sequence[Sequence[Row]]) -> Completion | None:
    """Return what creates the row, or gives it the identity that it lacks; None if nothing is missing.

    *found* are the rows that `read` finds. The counters of a new row start after the numbers in use, so that
    no key and no request number is used twice; its identity is a new one. A row of an older schema keeps its
    identity.
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
