"""Asking for a probe: the session as whoever asks for it leads it, by questions to the chassis."""

from __future__ import annotations

import random
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.error import TimedOutError, TrunklineError
from trunkline.core.probe import KEY_BYTES, SESSION_BYTES, Secret, member_id
from trunkline.northbound import question
from trunkline.northbound.body import UnreadableError
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import RefusedError, no_such
from trunkline.northbound.rpc import UnreachableError
from trunkline.probe.matrix import (
    Heard,
    Matrix,
    ProbedNetwork,
    first_beacons,
    heard,
    more_beacons,
)
from trunkline.probe.order import KIND, Order, Step, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row

MOST_FULL = 32
"""Of up to so many chassis, each may send to each other."""

DEFAULT_MTU = 1500

ROUNDS = 3
"""How often beacons are sent at most: what was lost is tried again."""

LEAST_STEP_S = 2.0
STEP_SHARE = 0.4
"""How much of the whole time a chassis may take to answer to one step; it says so if it has more to do."""

CLOSE_S = 3.0
_BUSY_S = (0.3, 1.5)


class BusyError(TimedOutError):
    """Another probe was under way all the time."""


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
    """What came of a probe; *silent* and *off* say why a chassis took no part, by its name."""

    session: str
    matrix: Matrix
    silent: Mapping[str, str]
    off: Mapping[str, str]
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
    began_s = time.monotonic()
    networks, names = _rows(nb, wanted)
    keys = frozenset(network.key for network in networks) if wanted.networks else None
    while True:
        session = _Session(nb, names, keys, wanted, began_s + wanted.timeout_s)
        try:
            if session.open(say):
                return session.run(networks, say, began_s)
        finally:
            session.close()
        if time.monotonic() + _BUSY_S[1] > began_s + wanted.timeout_s:
            raise BusyError(
                f"another probe is under way ({', '.join(session.busy[:3])}); try again in a minute"
            )
        say("waiting for another probe to end")
        time.sleep(random.uniform(*_BUSY_S))


def _rows(nb: Northbound, wanted: Wanted) -> tuple[list[ProbedNetwork], list[str]]:
    """Return the networks that are probed, and the names of all chassis."""
    rows, chassis = nb.read(select("Network"), select("Chassis", only=("name",)))
    names = sorted(row["name"] for row in chassis)
    by_name = {row["name"]: row for row in rows}
    for name in wanted.networks:
        if name not in by_name:
            raise no_such("Network", name)
    for name in wanted.chassis:
        if name not in names:
            raise no_such("Chassis", name)
    chosen = [by_name[name] for name in dict.fromkeys(wanted.networks or sorted(by_name))]
    return sorted(map(_network, chosen), key=_place), names


def _network(row: Row) -> ProbedNetwork:
    vlan_id = row["segmentation_id"]
    return ProbedNetwork(
        row["name"], row["unique_key"], row["physical_network"], vlan_id, row["mtu"] or DEFAULT_MTU
    )


def _place(network: ProbedNetwork) -> tuple[str, int, str]:
    return network.physnet, network.vlan_id or 0, network.name


class _Session:
    """One session; *names* are the chassis that take part, until one does not answer."""

    def __init__(
        self,
        nb: Northbound,
        names: list[str],
        keys: frozenset[int] | None,
        wanted: Wanted,
        deadline_s: float,
    ) -> None:
        self._nb, self._wanted, self._keys, self._deadline_s = nb, wanted, keys, deadline_s
        self._secret = _secret(names)
        self._opened: list[str] = []
        self._names = names
        self._keys_by_chassis: dict[str, frozenset[int]] = {}
        self._sent = 0
        self.silent: dict[str, str] = {}
        self.off: dict[str, str] = {}
        self.busy: list[str] = []

    def open(self, say: Callable[[str], None]) -> bool:
        """Return whether the session has begun: no chassis is in another one."""
        say("the chassis get ready")
        bodies = self._ask(Step.OPEN)
        self.off = {name: str(body["off"]) for name, body in bodies.items() if "off" in body}
        self.busy = [name for name, body in bodies.items() if "busy" in body]
        self._opened = [name for name, body in bodies.items() if "networks" in body]
        for name in self._opened:
            try:
                self._keys_by_chassis[name] = unpacked(bodies[name]["networks"])
            except UnreadableError as error:
                self.silent[name] = f"its answer cannot be read: {error}"
        self._names = sorted(self._keys_by_chassis)
        return not self.busy

    def run(self, networks: Iterable[ProbedNetwork], say: Callable[[str], None], began_s: float) -> Probed:
        """Return what came of the session, which is open."""
        members = {
            network.key: tuple(name for name in self._names if network.key in self._keys_by_chassis[name])
            for network in networks
        }
        probed = tuple(network for network in networks if len(members[network.key]) > 1)
        if not probed:
            raise NothingError(self._nothing())
        members = {network.key: members[network.key] for network in probed}
        sending = self._beacons(members)
        beacons = {key: frozenset(names) & sending for key, names in members.items()}
        matrix = Matrix(probed, members, beacons, {}, self._chassis_by_id())
        is_whole = True
        for number in range(1, ROUNDS + 1):
            say(f"{len(sending):,} chassis send beacons, round {number}")
            is_whole &= self._settled(Step.BEACON, number, sending)
            is_whole &= self._settled(Step.SETTLE)
            matrix = matrix._replace(beacons=beacons, heard=self._heard())
            more = more_beacons(matrix)
            if not more or self._is_late:
                break
            beacons = beacons | {key: beacons[key] | names for key, names in more.items()}
            sending = frozenset(name for key in more for name in beacons[key])
        if self._wanted.has_sizes:
            say("looking for the largest frames that pass")
            is_whole &= self._settled(Step.MEASURE)
            matrix = matrix._replace(heard=self._heard())
        took_s = time.monotonic() - began_s
        return Probed(self._secret.id.hex(), matrix, self.silent, self.off, self._sent, took_s, is_whole)

    def close(self) -> None:
        """End the session on all chassis; on one that is away, it ends by itself."""
        if self._opened:
            self._names = [name for name in self._opened if name not in self.silent]
            self._deadline_s = time.monotonic() + CLOSE_S
            with suppress(UnreachableError, RefusedError):
                self._ask(Step.CLOSE)

    # -- who does what -----------------------------------------------------------------------------

    def _beacons(self, members: Mapping[int, tuple[str, ...]]) -> frozenset[str]:
        """Return the chassis that send beacons at first."""
        taking_part = frozenset(name for names in members.values() for name in names)
        if self._wanted.chassis:
            return taking_part & set(self._wanted.chassis)
        return taking_part if self._wanted.is_full else first_beacons(members)

    def _chassis_by_id(self) -> dict[int, str]:
        return {member_id(self._secret, name): name for name in self._keys_by_chassis}

    def _nothing(self) -> str:
        away = [*self.silent, *self.off]
        why = f" among those that take part (not: {', '.join(away[:3])})" if away else ""
        return f"there is nothing to probe: no network has ports on two chassis{why}"

    # -- questions ---------------------------------------------------------------------------------

    @property
    def _is_late(self) -> bool:
        return time.monotonic() + LEAST_STEP_S > self._deadline_s

    def _settled(self, step: Step, number: int = 0, beacons: frozenset[str] = frozenset()) -> bool:
        """Have all do *step* until nothing of it is left to do; return whether that was so in time."""
        ids = frozenset(member_id(self._secret, name) for name in beacons)
        while True:
            bodies = self._ask(step, number=number, beacons=ids)
            if not any(body.get("unsent") for body in bodies.values()):
                return True
            if self._is_late:
                return False

    def _heard(self) -> dict[str, Heard]:
        """Return what each chassis has received so far."""
        found: dict[str, Heard] = {}
        self._sent = 0
        for name, body in self._ask(Step.REPORT).items():
            try:
                found[name] = heard(body)
                self._sent += body["sent"] if isinstance(body.get("sent"), int) else 0
            except UnreadableError as error:
                self._leave(name, f"its answer cannot be read: {error}")
        return found

    def _ask(
        self, step: Step, *, number: int = 0, beacons: frozenset[int] = frozenset()
    ) -> dict[str, Mapping[str, Any]]:
        """Return what the chassis answer to *step*; one that does not answer takes no part any longer."""
        left_s = max(self._deadline_s - time.monotonic(), LEAST_STEP_S)
        order = Order(
            step,
            self._secret,
            round=number,
            beacons=beacons,
            networks=self._keys,
            is_wide=self._wanted.is_wide,
        )
        limit_s = max(min(left_s, self._wanted.timeout_s * STEP_SHARE), LEAST_STEP_S)
        answers = question.ask(self._nb, KIND, self._names, order.parameters(), timeout_s=limit_s)
        for name in answers.missing:
            self._leave(name, f"it has not answered for {limit_s:.0f} s")
        found: dict[str, Mapping[str, Any]] = {}
        for name, answer in answers.by_chassis.items():
            if answer.state == question.DONE and isinstance(answer.body, dict):
                found[name] = answer.body
            else:
                self._leave(name, answer.reason)
        return found

    def _leave(self, name: str, reason: str) -> None:
        self.silent[name] = reason
        self._names = [each for each in self._names if each != name]


def _secret(names: Iterable[str]) -> Secret:
    """Return a new secret with which no two of *names* are called the same in frames."""
    names = list(names)
    while True:
        secret = Secret(secrets.token_bytes(SESSION_BYTES), secrets.token_bytes(KEY_BYTES))
        if len({member_id(secret, name) for name in names}) == len(names):
            return secret
