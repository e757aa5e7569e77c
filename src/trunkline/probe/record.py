"""The last probe of each network, kept in the northbound for `trace`, `check` and `status`.

There is one row of `Probe` for each network, and it goes with the network. Agents do not read it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.address import mac_text
from trunkline.northbound import body
from trunkline.northbound.body import UnreadableError
from trunkline.northbound.operation import Uuid, insert, select, update
from trunkline.northbound.refusal import TransactionError
from trunkline.probe.matrix import State
from trunkline.probe.verdict import remedies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Operation, Row
    from trunkline.probe.addresses import Asked, Wanted
    from trunkline.probe.asking import Probed
    from trunkline.probe.matrix import ProbedNetwork
    from trunkline.probe.verdict import Advice, Verdict

LASTS_S = 3600.0
"""How long what a probe found is taken for certain. Whoever mends it may forget to probe again."""

_MOST_CELLS = 400
"""How many directions that lose frames are kept for one network; 64 KiB is the limit of a row."""

_MOST_VERDICTS = 20
_MOST_DUPLICATES = 60
_ATTEMPTS = 3

_CUTS = frozenset({"lost", "one way", "native VLAN"})


class Wrong(NamedTuple):
    """What a probe found wrong with a network, at which chassis, and what to do.

    *networks* are those of which it is one thing that is wrong, this one included. *passed_s* is how long ago
    frames came where the probe found that they are lost; None if that is not known. It is not kept: whoever
    asks finds it out (`trunkline.health.recovery`).
    """

    fault: str
    chassis: tuple[str, ...]
    text: str
    remedy: str
    networks: tuple[str, ...] = ()
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
        if (receiver, sender) in self.lost:
            # So they do not reach one another, and of this direction nothing follows.
            return None
        here = [island for island in self.islands if sender in island or receiver in island]
        if any(sender in island and receiver in island for island in here):
            return True
        return None if len(here) < 2 else False

    def about(self, *chassis: str) -> Wrong | None:
        """Return what is wrong that concerns one of *chassis*; what concerns few others first."""
        found = [each for each in self.wrong if set(chassis) & set(each.chassis)]
        return min(found, key=lambda each: len(each.chassis), default=None)


class Kept(NamedTuple):
    """Somebody used an address of *port* on *chassis*, too, at *found_ms*; *use* as in `Duplicate`."""

    found_ms: int
    use: str
    port: str
    chassis: str
    address: str
    mac: str
    text: str
    remedy: str


def keep(nb: Northbound, found: Probed, wrong: Sequence[Verdict]) -> bool:
    """Write the record of each network that was probed; return False if this connection may not.

    What to do is kept for all networks that need it: a chassis that lacks two VLANs lacks both at one port.
    """
    remedy_by_advice = remedies(wrong)

    def row(network: ProbedNetwork) -> dict[str, Any]:
        of_it = [each for each in wrong if network in each.networks]
        return {"probed_ms": _now_ms(), "body": json.dumps(_body(found, network, of_it, remedy_by_advice))}

    return _put(nb, {network.key: row(network) for network in found.matrix.networks})


def keep_duplicates(nb: Northbound, found: Asked, wanted: Wanted) -> bool:
    """Write who uses addresses of ports, as far as that was *wanted*; return False if that is forbidden.

    What was found before of ports that were not asked for now stays.
    """

    def is_answered(kept: Kept) -> bool:
        is_wanted = kept.port in (wanted.ports or (kept.port,))
        return (
            is_wanted
            and kept.chassis in (wanted.chassis or (kept.chassis,))
            and kept.chassis not in found.unsure
        )

    before = duplicates(nb)
    now_ms = _now_ms()
    rows: dict[int, dict[str, Any]] = {}
    for network in found.networks:
        new = [
            Kept(
                now_ms,
                str(each.use),
                each.port,
                each.chassis,
                str(each.address),
                mac_text(each.mac),
                each.text,
                each.remedy,
            )
            for each in found.duplicates
            if each.network == network
        ]
        again = {(each.port, each.address) for each in new}
        old = before.get(network.key, ())
        stay = [each for each in old if (each.port, each.address) not in again and not is_answered(each)]
        if old or new:
            kept = [each._asdict() for each in [*new, *stay][:_MOST_DUPLICATES]]
            rows[network.key] = {"duplicates": json.dumps(kept)}
    return _put(nb, rows)


def _put(nb: Northbound, row_by_key: Mapping[int, Mapping[str, Any]]) -> bool:
    """Write these columns of `Probe` for the networks with these keys; return False if that is forbidden."""
    for attempt in range(_ATTEMPTS):
        networks, rows = nb.read(select("Network", only=("_uuid", "unique_key")), select("Probe"))
        there = {row["network"] for row in rows}
        operations: list[Operation] = []
        for network in networks:
            # One that was deleted meanwhile is not among them.
            row = row_by_key.get(network["unique_key"])
            if row is not None and network["_uuid"] in there:
                operations.append(update("Probe", ("network", "==", Uuid(network["_uuid"])), row=row))
            elif row is not None:
                operations.append(insert("Probe", {**row, "network": Uuid(network["_uuid"])}))
        try:
            if operations:
                nb.transact(operations)
            return True
        except TransactionError as error:
            if error.error in ("permission error", "not allowed"):
                return False
            # A network was deleted, or probed by somebody else, since it was read.
            if error.error not in ("constraint violation", "referential integrity violation"):
                raise
            if attempt == _ATTEMPTS - 1:
                raise
    return True


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _body(
    found: Probed,
    network: ProbedNetwork,
    wrong: Sequence[Verdict],
    remedy_by_advice: Mapping[Advice, str],
) -> dict[str, Any]:
    cells = list(found.matrix.cells(network))
    lost = [[cell.sender, cell.receiver] for cell in cells if cell.state is State.LOST]
    sizes = [
        [cell.sender, cell.receiver, cell.mtu]
        for cell in cells
        if cell.mtu is not None and cell.mtu < network.mtu
    ]
    kept = [
        {**each.data(), "chassis": each.chassis[:_MOST_VERDICTS], "remedy": remedy_by_advice[each.advice]}
        for each in wrong[:_MOST_VERDICTS]
    ]
    return {
        "islands": found.matrix.islands(network),
        "lost": lost[:_MOST_CELLS],
        "sizes": sizes[:_MOST_CELLS],
        "wrong": kept,
    }


def records(nb: Northbound) -> dict[str, Record]:
    """Return the records, by UUID of their networks; what is no record is left out."""
    (rows,) = nb.read(select("Probe"))
    return records_of(rows)


def records_of(rows: Iterable[Row]) -> dict[str, Record]:
    """Return those records that *rows* of `Probe` are, by UUID of their networks."""
    return {row["network"]: found for row in rows if (found := record(row)) is not None}


def duplicates(nb: Northbound) -> dict[int, tuple[Kept, ...]]:
    """Return who used addresses of ports when that was last asked, by key of their networks."""
    networks, rows = nb.read(
        select("Network", only=("_uuid", "unique_key")), select("Probe", only=("network", "duplicates"))
    )
    key_by_uuid = {row["_uuid"]: row["unique_key"] for row in networks}
    return {key_by_uuid[row["network"]]: kept(row) for row in rows if row["network"] in key_by_uuid}


def kept(row: Row) -> tuple[Kept, ...]:
    """Return who used addresses of ports by *row*; nobody if another program has written something else."""
    try:
        said = body.value(row["duplicates"]) if row["duplicates"] else []
        return tuple(
            Kept(int(each["found_ms"]), *(str(each[name]) for name in Kept._fields[1:])) for each in said
        )
    except (UnreadableError, KeyError, TypeError, ValueError):
        return ()


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
                    tuple(map(str, each.get("networks", ()))),
                )
                for each in said["wrong"]
            ),
        )
    except (UnreadableError, KeyError, TypeError, ValueError, AttributeError):
        return None
