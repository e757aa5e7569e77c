"""Asking for a probe of the physical networks: which chassis does what, in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import TimedOutError, TrunklineError
from trunkline.core.probe import member_id
from trunkline.northbound.body import UnreadableError
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import no_such
from trunkline.probe.matrix import (
    BEACONS,
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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row

MOST_FULL = 32
"""Of up to so many chassis, each may send to each other."""

DEFAULT_MTU = 1500

ROUNDS = 3
"""How often beacons are sent at most: what was lost is tried again."""


SENT_PER_S = 50
"""How many frames a second a chassis sends (`trunkline.bridge.prober`)."""

HEARD_PER_S = 1000
"""How many frames a second come to a beacon: half of what it takes for a flood there."""


class NothingError(TrunklineError):
    """There is nothing to probe: no network has ports on two chassis, or no chassis asked for takes part."""


class SilentError(TimedOutError):
    """Nothing could be probed, because chassis do not answer."""


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
    """What came of the probe that was *wanted*.

    *silent* and *off* say why a chassis took no part, by its name. *flooded* are the chassis that got too
    much to hear all of it, *unsized* the directions of which the largest size was asked for and is not known.
    *changed* are the networks that were changed meanwhile, so that nobody knows in which VLAN what was sent;
    the matrix is without them. *is_late*: the time was over.
    """

    session: str
    wanted: Wanted
    matrix: Matrix
    silent: Mapping[str, str]
    off: Mapping[str, str]
    flooded: frozenset[str]
    unsized: tuple[Cell, ...]
    changed: tuple[ProbedNetwork, ...]
    frames: int
    took_s: float
    is_late: bool

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for is known."""
        return not (self.is_late or self.silent or self.flooded or self.unsized or self.changed)


def probed(nb: Northbound, wanted: Wanted, say: Callable[[str], None] = lambda _text: None) -> Probed:
    """Have the chassis of *nb* probe the physical networks, and return what they found; *say* is told of it.

    Nothing is left of the session afterwards, neither in the northbound nor on a chassis.

    Raises:
        NotFoundError: one of the networks or chassis is not there.
        NothingError, SilentError, BusyError: see there.
        RefusedError: this connection may not ask.
        UnreachableError: the northbound was lost; the flows on the chassis go away by themselves.
    """
    networks, names = rows(nb, wanted.networks, wanted.chassis)
    keys = frozenset(network.key for network in networks) if wanted.networks else None
    beacons = len(wanted.chassis) or (len(names) if wanted.is_full else BEACONS)
    rate = shared_rate(len(names), beacons)
    order = Order(Step.OPEN, NO_SECRET, networks=keys, is_wide=wanted.is_wide, rate=rate)
    with session(nb, names, order, wanted.timeout_s, say) as led:
        found = _Run(led, wanted).run(networks, say)
        present = {network.key: network for network in rows(nb, (), ())[0]}
        changed = tuple(each for each in found.matrix.networks if present.get(each.key) != each)
        same = tuple(each for each in found.matrix.networks if each not in changed)
        return found._replace(
            matrix=replace(found.matrix, networks=same, physnets=_physnets(nb)),
            unsized=tuple(cell for cell in found.unsized if cell.network in same),
            changed=changed,
        )


def shared_rate(chassis: int, beacons: int) -> int:
    """Return how many frames a second each chassis sends to *beacons*, so that these can listen to all.

    >>> [shared_rate(chassis, 3) for chassis in (6, 60, 500)]
    [50, 50, 6]
    """
    return max(1, min(HEARD_PER_S * beacons // max(chassis, 1), SENT_PER_S))


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


def _physnets(nb: Northbound) -> dict[str, frozenset[str]]:
    """Return the physical networks that each chassis maps to a bridge."""
    (chassis,) = nb.read(select("Chassis", only=("name", "bridge_mappings")))
    return {row["name"]: frozenset(row["bridge_mappings"]) for row in chassis}


def _network(row: Row) -> ProbedNetwork:
    vlan_id = row["segmentation_id"]
    return ProbedNetwork(
        row["name"], row["unique_key"], row["physical_network"], vlan_id, row["mtu"] or DEFAULT_MTU
    )


def _place(network: ProbedNetwork) -> tuple[str, int, str]:
    return network.physnet, network.vlan_id or 0, network.name


def check_present(led: Session, chassis: Sequence[str]) -> None:
    """Raise NothingError or SilentError if none of *chassis* takes part; there may be none."""
    if chassis and not set(chassis) & led.keys_by_chassis.keys():
        for name in chassis:
            if name in led.off:
                raise NothingError(f"{name}: {led.off[name]}")
        raise SilentError(f"{chassis[0]} does not answer: {led.silent[chassis[0]]}")


class _Run:
    """What is done in the *session*, once it is open."""

    def __init__(self, led: Session, wanted: Wanted) -> None:
        self._session, self._wanted = led, wanted
        self._sent = 0

    def run(self, networks: Iterable[ProbedNetwork], say: Callable[[str], None]) -> Probed:
        """Return what came of it."""
        led, keys = self._session, self._session.keys_by_chassis
        check_present(led, self._wanted.chassis)
        members = {
            network.key: tuple(name for name in led.names if network.key in keys[name])
            for network in networks
        }
        probed = tuple(network for network in networks if self._is_wanted(members[network.key]))
        if not probed:
            raise self._nothing()
        members = {network.key: members[network.key] for network in probed}
        sending = beacons = self._beacons(members)
        matrix = Matrix(probed, members, beacons, {}, {self._id(name): name for name in keys})
        is_settled, unsized = True, tuple[Cell, ...]()
        for number in range(1, ROUNDS + 1):
            say(f"{len(frozenset().union(*sending.values())):,} chassis send beacons, round {number}")
            ids = {key: frozenset(map(self._id, names)) for key, names in sending.items()}
            is_settled &= led.settled(Step.BEACON, round=number, beacons=ids)
            is_settled &= led.settled(Step.SETTLE)
            unsettled = frozenset(led.unsettled)
            matrix = replace(matrix, beacons=beacons, heard=self._heard(), unsettled=unsettled)
            more = more_beacons(matrix)
            if not more or led.is_late:
                break
            beacons = beacons | {key: beacons[key] | names for key, names in more.items()}
            sending = {key: beacons[key] for key in more}
        if self._wanted.has_sizes:
            say("looking for the largest frames that pass")
            is_settled &= led.settled(Step.MEASURE)
            matrix = replace(matrix, heard=self._heard())
            unsized = tuple(matrix.unsized())
        return Probed(
            led.id,
            self._wanted,
            matrix,
            led.silent,
            led.off,
            frozenset(led.flooded),
            unsized,
            (),
            self._sent,
            led.took_s,
            not is_settled,
        )

    def _beacons(self, members: Mapping[int, tuple[str, ...]]) -> dict[int, frozenset[str]]:
        """Return the chassis that send beacons at first, by network key."""
        if self._wanted.chassis:
            return {key: frozenset(names) & set(self._wanted.chassis) for key, names in members.items()}
        if self._wanted.is_full:
            return {key: frozenset(names) for key, names in members.items()}
        return first_beacons(members)

    def _id(self, name: str) -> int:
        return member_id(self._session.secret, name)

    def _is_wanted(self, members: tuple[str, ...]) -> bool:
        """Return whether a network with these *members* has something to probe, and one that is asked for."""
        asked = set(self._wanted.chassis)
        return len(members) > 1 and (not asked or bool(asked & set(members)))

    def _nothing(self) -> TrunklineError:
        """Return why there is nothing to probe."""
        silent, off, asked = self._session.silent, self._session.off, self._wanted.chassis
        if silent:
            name, *more = sorted(silent)
            others = f" (nor do {', '.join(more[:3])})" if more else ""
            return SilentError(f"nothing could be probed, as {name} does not answer: {silent[name]}{others}")
        who = f"no network of {', '.join(asked)}" if asked else "no network"
        why = f" among those that take part (not: {', '.join(sorted(off)[:3])})" if off else ""
        return NothingError(f"there is nothing to probe: {who} has ports on two chassis{why}")

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
