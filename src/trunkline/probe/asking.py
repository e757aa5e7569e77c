"""Asking for a probe of the physical networks: which chassis does what, in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import TrunklineError
from trunkline.core.probe import member_id
from trunkline.northbound.body import UnreadableError
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import no_such
from trunkline.probe.matrix import (
    Cell,
    Heard,
    Matrix,
    ProbedNetwork,
    first_beacons,
    heard,
    more_beacons,
)
from trunkline.probe.order import NO_SECRET, Order, Step
from trunkline.probe.session import Session, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row

MOST_FULL = 32
"""Of up to so many chassis, each may send to each other."""

DEFAULT_MTU = 1500

ROUNDS = 3
"""How often beacons are sent at most: what was lost is tried again."""


class NothingError(TrunklineError):
    """There is nothing to probe: no network has ports on two chassis."""


class Wanted(NamedTuple):
    """What is asked for: *networks* and *chassis* by name, all if there are none.

    *chassis* are those that send beacons: what concerns them is probed. *is_full*: each pair of chassis.
    *has_sizes*: how large frames may be. *is_wide*: uplinks let all VLANs through meanwhile.
    """

    networks: tuple[str, ...] = ()
    chassis: tuple[str, ...] = ()
    is_full: bool = False
    has_sizes: bool = False
    is_wide: bool = False
    timeout_s: float = 20.0


class Probed(NamedTuple):
    """What came of a probe; *silent* and *off* say why a chassis took no part, by its name.

    *flooded* are the chassis that got too much to hear all of it, *unsized* the directions of which the
    largest size was asked for and is not known.
    """

    session: str
    matrix: Matrix
    silent: Mapping[str, str]
    off: Mapping[str, str]
    flooded: frozenset[str]
    unsized: tuple[Cell, ...]
    frames: int
    took_s: float
    is_whole: bool


def probed(nb: Northbound, wanted: Wanted, say: Callable[[str], None] = lambda _text: None) -> Probed:
    """Have the chassis of *nb* probe the physical networks, and return what they found; *say* is told of it.

    Nothing is left of the session afterwards, neither in the northbound nor on a chassis.

    Raises:
        NotFoundError: one of the networks or chassis is not there.
        NothingError, BusyError: see there.
        RefusedError: this connection may not ask.
        UnreachableError: the northbound was lost; the flows on the chassis go away by themselves.
    """
    networks, names = rows(nb, wanted.networks, wanted.chassis)
    keys = frozenset(network.key for network in networks) if wanted.networks else None
    order = Order(Step.OPEN, NO_SECRET, networks=keys, is_wide=wanted.is_wide)
    with session(nb, names, order, wanted.timeout_s, say) as led:
        return _Run(led, wanted).run(networks, say)


def rows(
    nb: Northbound, networks: Iterable[str], chassis: Iterable[str]
) -> tuple[list[ProbedNetwork], list[str]]:
    """Return the networks called *networks*, or all if there are none, and the names of all chassis.

    Raises NotFoundError if one of *networks* or *chassis* is not there.
    """
    found, all_chassis = nb.read(select("Network"), select("Chassis", only=("name",)))
    names = sorted(row["name"] for row in all_chassis)
    by_name = {row["name"]: row for row in found}
    for name in networks:
        if name not in by_name:
            raise no_such("Network", name)
    for name in chassis:
        if name not in names:
            raise no_such("Chassis", name)
    chosen = [by_name[name] for name in dict.fromkeys(networks) or sorted(by_name)]
    return sorted(map(_network, chosen), key=_place), names


def _network(row: Row) -> ProbedNetwork:
    vlan_id = row["segmentation_id"]
    return ProbedNetwork(
        row["name"], row["unique_key"], row["physical_network"], vlan_id, row["mtu"] or DEFAULT_MTU
    )


def _place(network: ProbedNetwork) -> tuple[str, int, str]:
    return network.physnet, network.vlan_id or 0, network.name


class _Run:
    """What is done in the *session*, once it is open."""

    def __init__(self, led: Session, wanted: Wanted) -> None:
        self._session, self._wanted = led, wanted
        self._sent = 0

    def run(self, networks: Iterable[ProbedNetwork], say: Callable[[str], None]) -> Probed:
        """Return what came of it."""
        led, keys = self._session, self._session.keys_by_chassis
        members = {
            network.key: tuple(name for name in led.names if network.key in keys[name])
            for network in networks
        }
        probed = tuple(network for network in networks if len(members[network.key]) > 1)
        if not probed:
            raise NothingError(self._nothing())
        members = {network.key: members[network.key] for network in probed}
        sending = self._beacons(members)
        beacons = {key: frozenset(names) & sending for key, names in members.items()}
        matrix = Matrix(probed, members, beacons, {}, {self._id(name): name for name in keys})
        is_whole, unsized = True, tuple[Cell, ...]()
        for number in range(1, ROUNDS + 1):
            say(f"{len(sending):,} chassis send beacons, round {number}")
            ids = frozenset(map(self._id, sending))
            is_whole &= led.settled(Step.BEACON, round=number, beacons=ids)
            is_whole &= led.settled(Step.SETTLE)
            matrix = replace(matrix, beacons=beacons, heard=self._heard())
            more = more_beacons(matrix)
            if not more or led.is_late:
                break
            beacons = beacons | {key: beacons[key] | names for key, names in more.items()}
            sending = frozenset(name for key in more for name in beacons[key])
        if self._wanted.has_sizes:
            say("looking for the largest frames that pass")
            is_whole &= led.settled(Step.MEASURE)
            matrix = replace(matrix, heard=self._heard())
            unsized = tuple(matrix.unsized())
        flooded = frozenset(led.flooded)
        is_whole &= not (flooded or unsized)
        return Probed(led.id, matrix, led.silent, led.off, flooded, unsized, self._sent, led.took_s, is_whole)

    def _beacons(self, members: Mapping[int, tuple[str, ...]]) -> frozenset[str]:
        """Return the chassis that send beacons at first."""
        taking_part = frozenset(name for names in members.values() for name in names)
        if self._wanted.chassis:
            return taking_part & set(self._wanted.chassis)
        return taking_part if self._wanted.is_full else first_beacons(members)

    def _id(self, name: str) -> int:
        return member_id(self._session.secret, name)

    def _nothing(self) -> str:
        away = [*self._session.silent, *self._session.off]
        why = f" among those that take part (not: {', '.join(away[:3])})" if away else ""
        return f"there is nothing to probe: no network has ports on two chassis{why}"

    def _heard(self) -> dict[str, Heard]:
        """Return what each chassis has received so far."""
        found: dict[str, Heard] = {}
        self._sent = 0
        for name, body in self._session.ask(Step.REPORT).items():
            try:
                found[name] = heard(body)
                self._sent += body["sent"] if isinstance(body.get("sent"), int) else 0
            except UnreadableError as error:
                self._session.leave(name, f"its answer cannot be read: {error}")
        return found
