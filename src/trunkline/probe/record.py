"""What probes found of each network, kept in the northbound for `trace`, `check` and `status`.

There is one row of `Probe` for each network, and it goes with the network. Agents do not read it. It has what
the last probe found, and of earlier ones what no later one has looked at again (`trunkline.probe.coverage`).
"""

from __future__ import annotations

import json
import time
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from trunkline.northbound import body
from trunkline.northbound.body import UnreadableError
from trunkline.northbound.operation import Uuid, select

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row

LASTS_S = 3600.0
"""How long what a probe found is taken for certain. Whoever mends it may forget to probe again."""

MOST_RECORDS = 8
"""Of how many probes something is kept for one network."""

MOST_BYTES = 65_536
"""How long the body of a row may be."""

_MOST_CELLS = 400
"""How many directions that lose frames are kept of one probe."""

_MOST_WRONG = 20
"""How many things that are wrong are kept of one probe, and of how many chassis at most."""

_CUTS = frozenset({"lost", "one way", "native VLAN"})

SIZE = "size"


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

    @property
    def again(self) -> str:
        """The probe that looks at it again."""
        sizes = " `has_sizes`" if self.fault == SIZE else ""
        # A probe need not try the directions between two that others reach.
        is_between = self.fault in _BETWEEN and len(self.chassis) > 1
        sender = f" `chassis={quote(self.chassis[0])}`" if is_between else ""
        return f"trunkline probe{sizes}{sender}"

    def concerns(self, pair: Collection[str]) -> bool:
        """Return whether it is about what one of these two chassis sends the other."""
        named = set(self.chassis)
        return named.issuperset(pair) or (len(named) == 1 and named < set(pair))


_BETWEEN = frozenset({"one way", SIZE})
_OF_LOST = frozenset({"lost", "one way", "islands"})


class Record(NamedTuple):
    """What a probe of a network found, at *probed_ms* by the clock of who asked for it.

    *islands* are the chassis that reach one another; *lost* are directions in which nothing came, and *sizes*
    those in which only smaller packets came. *wire* is the physical network and the VLAN id that it was
    about, None if that is not known. *is_wide*: it also heard in VLANs that no network uses.
    """

    probed_ms: int
    islands: tuple[frozenset[str], ...]
    lost: frozenset[tuple[str, str]]
    sizes: Mapping[tuple[str, str], int]
    wrong: tuple[Wrong, ...]
    wire: tuple[str, int | None] | None = None
    is_wide: bool = False

    def age_s(self, now_ms: int | None = None) -> float:
        """Return how long ago it was."""
        now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        return max(0.0, (now_ms - self.probed_ms) / 1000)

    @property
    def chassis(self) -> frozenset[str]:
        """Those of which something is known."""
        pairs = (*self.islands, *self.lost, *self.sizes, *(each.chassis for each in self.wrong))
        return frozenset(name for names in pairs for name in names)

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

    def about(self, *chassis: str, is_size: bool) -> Wrong | None:
        """Return what is wrong that concerns one of *chassis*; what concerns few others first.

        *is_size*: with how large packets may be, or with the rest.
        """
        found = [
            each
            for each in self.wrong
            if (each.fault == SIZE) == is_size and set(chassis).intersection(each.chassis)
        ]
        return min(found, key=lambda each: len(each.chassis), default=None)

    def rests_on(self, wrong: Wrong) -> Iterator[tuple[str, str]]:
        """Yield the directions that are kept by which *wrong* was found."""
        pairs = self.sizes if wrong.fault == SIZE else self.lost if wrong.fault in _OF_LOST else ()
        # What passes between two narrow chassis says nothing of the wider one.
        narrow = {each.chassis for each in self.wrong if each.fault == wrong.fault == SIZE} - {wrong.chassis}
        others = {names[0] for names in narrow if len(names) == 1 == len(wrong.chassis)}
        return (pair for pair in pairs if wrong.concerns(pair) and others.isdisjoint(pair))

    def only(self, pairs: Container[tuple[str, str]]) -> Record:
        """Return it with what is lost in these directions, and without what was wrong in others alone."""
        left = self._replace(
            lost=frozenset(pair for pair in self.lost if pair in pairs),
            sizes={pair: size for pair, size in self.sizes.items() if pair in pairs},
        )
        wrong = [each for each in self.wrong if any(left.rests_on(each)) or not any(self.rests_on(each))]
        return left._replace(wrong=tuple(wrong))

    def cut(self) -> Record:
        """Return it with as much as is kept of one probe."""
        return self._replace(
            lost=frozenset(sorted(self.lost)[:_MOST_CELLS]),
            sizes=dict(sorted(self.sizes.items())[:_MOST_CELLS]),
            wrong=tuple(
                each._replace(chassis=each.chassis[:_MOST_WRONG]) for each in self.wrong[:_MOST_WRONG]
            ),
        )

    def among(self, chassis: Collection[str]) -> Record:
        """Return what it says of these chassis."""
        there = frozenset(chassis)
        left = self.only({pair for pair in (*self.lost, *self.sizes) if there.issuperset(pair)})
        return left._replace(
            islands=tuple(each for island in self.islands if (each := island & there)),
            wrong=tuple(each for each in left.wrong if there.intersection(each.chassis)),
        )


Records: TypeAlias = "tuple[Record, ...]"
"""What is kept of the probes of one network, the last one first."""


def telling(records: Sequence[Record], sender: str, receiver: str) -> Record | None:
    """Return the record that says whether what *sender* sends comes to *receiver*; None if none does.

    What one found lost, no later one has looked at.
    """
    saying = [each for each in records if each.is_reached(sender, receiver) is not None]
    lost = [each for each in saying if (sender, receiver) in each.lost]
    return next(iter(lost or saying), None)


def text(records: Sequence[Record]) -> str:
    """Return *records*, the last one first, as the body of a row; what is too much for one is left out."""
    last, *earlier = [each.cut() for each in records]
    earlier = earlier[: MOST_RECORDS - 1]
    while len(found := _json(last, earlier)) > MOST_BYTES:
        if earlier:
            earlier.pop()
        elif last.lost or last.sizes or len(last.wrong) > 1:
            last = last._replace(
                lost=frozenset(sorted(last.lost)[: len(last.lost) // 2]),
                sizes=dict(sorted(last.sizes.items())[: len(last.sizes) // 2]),
                wrong=last.wrong[: (len(last.wrong) + 1) // 2],
            )
        else:
            last = last._replace(islands=last.islands[1:], wrong=())
    return found


def _json(last: Record, earlier: Sequence[Record]) -> str:
    # The last one as the only one was written by older releases.
    said = _data(last)
    if earlier:
        said["earlier"] = [_data(each) | {"probed_ms": each.probed_ms} for each in earlier]
    return json.dumps(said)


def _data(record: Record) -> dict[str, Any]:
    return {
        "islands": [sorted(island) for island in record.islands],
        "lost": sorted(record.lost),
        "sizes": [[*pair, mtu] for pair, mtu in sorted(record.sizes.items())],
        "wrong": [
            {name: value for name, value in each._asdict().items() if name != "passed_s"}
            for each in record.wrong
        ],
        "wire": record.wire,
        "wide": record.is_wide,
    }


def records(nb: Northbound) -> dict[str, Records]:
    """Return the records, by UUID of their networks; what is no record is left out."""
    (rows,) = nb.read(select("Probe"))
    return records_of(nb, rows)


def records_of(nb: Northbound, rows: Iterable[Row]) -> dict[str, Records]:
    """Return those records that *rows* of `Probe` are, by UUID of their networks.

    They are about chassis that have ports of the network, or on which some are requested.
    """
    found = {row["network"]: each for row in rows if (each := of_row(row))}
    wrong = [network for network, each in found.items() if any(record.wrong for record in each)]
    if not wrong:
        return found
    holders = chassis_of(nb, wrong)
    return found | {
        network: tuple(record.among(holders[network]) for record in found[network]) for network in wrong
    }


def chassis_of(nb: Northbound, networks: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the chassis that have ports of each of *networks*, or on which some are requested.

    *networks* are UUIDs.
    """
    # With the name: a select answers equal rows once.
    columns = ("name", "chassis", "requested_chassis")
    chassis, *ports = nb.read(
        select("Chassis", only=("name",)),
        *(select("Port", ("network", "==", Uuid(each)), only=columns) for each in networks),
    )
    names = {row["name"] for row in chassis}
    return {
        network: frozenset(
            name for row in rows for name in (row["chassis"], *_requested(row)) if name in names
        )
        for network, rows in zip(networks, ports, strict=True)
    }


def _requested(port: Row) -> list[str]:
    return [name.strip() for name in (port["requested_chassis"] or "").split(",")]


def of_row(row: Row) -> Records:
    """Return the records that *row* has; none if another program has written something else there."""
    try:
        said = body.value(row["body"])
        last = _record(row["probed_ms"], said)
    except _UNREADABLE:
        return ()
    return (last, *_earlier(said))


_UNREADABLE = (UnreadableError, KeyError, TypeError, ValueError, AttributeError, OverflowError)


def _earlier(said: Any) -> Iterator[Record]:
    try:
        for each in said.get("earlier", ()):
            yield _record(int(each["probed_ms"]), each)
    except _UNREADABLE:
        return


def _record(probed_ms: int, said: Any) -> Record:
    physnet, vlan_id = said.get("wire") or (None, None)
    return Record(
        probed_ms,
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
        None if physnet is None else (str(physnet), None if vlan_id is None else int(vlan_id)),
        said.get("wide") is True,
    )
