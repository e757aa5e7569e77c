"""The last probe of each network, kept in the northbound for `trace`, `check` and `status`.

There is one row of `Probe` for each network, and it goes with the network. Agents do not read it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.northbound import body
from trunkline.northbound.body import UnreadableError
from trunkline.northbound.operation import Uuid, delete, insert, select
from trunkline.northbound.refusal import TransactionError
from trunkline.probe.matrix import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Operation, Row
    from trunkline.probe.asking import Probed
    from trunkline.probe.matrix import ProbedNetwork
    from trunkline.probe.verdict import Verdict

_MOST_CELLS = 400
"""How many directions that lose frames are kept for one network; 64 KiB is the limit of a row."""

_MOST_VERDICTS = 20

_CUTS = frozenset({"lost", "one way"})


class Wrong(NamedTuple):
    """What a probe found wrong with a network, at which chassis, and what to do.

    *passed_s* is how long ago frames came where the probe found that they are lost; None if that is not
    known. It is not kept: whoever asks finds it out (`trunkline.health.recovery`).
    """

    fault: str
    chassis: tuple[str, ...]
    text: str
    remedy: str
    passed_s: float | None = None

    @property
    def is_cut(self) -> bool:
        """Whether it keeps frames from passing; all else may be on purpose, or concern some frames only."""
        return self.fault in _CUTS


class Record(NamedTuple):
    """What the last probe of a network found, at *probed_ms* by the clock of who asked for it.

    *islands* are the chassis that reach one another; *lost* are directions in which nothing came, and *sizes*
    those in which only smaller packets came.
    """

    probed_ms: int
    islands: tuple[frozenset[str], ...]
    lost: frozenset[tuple[str, str]]
    sizes: Mapping[tuple[str, str], int]
    wrong: tuple[Wrong, ...]

    def age_s(self, now_ms: int | None = None) -> float:
        """Return how long ago it was."""
        now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        return max(0.0, (now_ms - self.probed_ms) / 1000)

    def is_reached(self, sender: str, receiver: str) -> bool | None:
        """Return whether what *sender* sends comes to *receiver*; None if the probe does not say."""
        if (sender, receiver) in self.lost:
            return False
        here = [island for island in self.islands if sender in island or receiver in island]
        if any(sender in island and receiver in island for island in here):
            return True
        return None if len(here) < 2 else False

    def about(self, *chassis: str) -> Wrong | None:
        """Return what is wrong that concerns one of *chassis*; what concerns few others first."""
        found = [each for each in self.wrong if set(chassis) & set(each.chassis)]
        return min(found, key=lambda each: len(each.chassis), default=None)


def keep(nb: Northbound, found: Probed, wrong: Sequence[Verdict]) -> bool:
    """Write the record of each network that was probed; return False if this connection may not."""
    (rows,) = nb.read(select("Network", only=("_uuid", "unique_key")))
    uuid_by_key = {row["unique_key"]: row["_uuid"] for row in rows}
    operations: list[Operation] = []
    for network in found.matrix.networks:
        # It may have been deleted meanwhile.
        if (uuid := uuid_by_key.get(network.key)) is not None:
            of_it = [each for each in wrong if each.network == network]
            row = {
                "network": Uuid(uuid),
                "probed_ms": time.time_ns() // 1_000_000,
                "body": json.dumps(_body(found, network, of_it)),
            }
            operations += [delete("Probe", ("network", "==", Uuid(uuid))), insert("Probe", row)]
    try:
        if operations:
            nb.transact(operations)
    except TransactionError as error:
        if error.error not in ("permission error", "not allowed"):
            raise
        return False
    return True


def _body(found: Probed, network: ProbedNetwork, wrong: Sequence[Verdict]) -> dict[str, Any]:
    cells = list(found.matrix.cells(network))
    lost = [[cell.sender, cell.receiver] for cell in cells if cell.state is State.LOST]
    sizes = [
        [cell.sender, cell.receiver, cell.mtu]
        for cell in cells
        if cell.mtu is not None and cell.mtu < network.mtu
    ]
    kept = [{**each.data(), "chassis": each.chassis[:_MOST_VERDICTS]} for each in wrong[:_MOST_VERDICTS]]
    return {
        "islands": found.matrix.islands(network),
        "lost": lost[:_MOST_CELLS],
        "sizes": sizes[:_MOST_CELLS],
        "wrong": kept,
    }


def records(nb: Northbound) -> dict[str, Record]:
    """Return the records, by UUID of their networks; what is no record is left out."""
    (rows,) = nb.read(select("Probe"))
    return {row["network"]: found for row in rows if (found := record(row)) is not None}


def of_network(nb: Northbound, name: str) -> Record | None:
    """Return the record of the network called *name*; None if it was not probed."""
    (networks,) = nb.read(select("Network", ("name", "==", name), only=("_uuid",)))
    if not networks:
        return None
    (rows,) = nb.read(select("Probe", ("network", "==", Uuid(networks[0]["_uuid"]))))
    return record(rows[0]) if rows else None


def record(row: Row) -> Record | None:
    """Return the record that *row* is; None if another program has written something else there."""
    try:
        said = body.value(row["body"])
        return Record(
            row["probed_ms"],
            tuple(frozenset(map(str, island)) for island in said["islands"]),
            frozenset((str(sender), str(receiver)) for sender, receiver in said["lost"]),
            {(str(sender), str(receiver)): int(mtu) for sender, receiver, mtu in said["sizes"]},
            tuple(
                Wrong(
                    str(each["fault"]),
                    tuple(map(str, each["chassis"])),
                    str(each["text"]),
                    str(each["remedy"]),
                )
                for each in said["wrong"]
            ),
        )
    except (UnreadableError, KeyError, TypeError, ValueError, AttributeError):
        return None
