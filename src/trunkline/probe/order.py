"""What whoever asks for a probe has the chassis do, and what they answer, as rows of the northbound carry it.

A session has steps. All chassis take each of them before the next one begins: a frame is sent only if all are
ready to receive it, and a chassis says what it has received only when all have sent.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from trunkline.core.error import TrunklineError
from trunkline.core.probe import KEY_BYTES, SESSION_BYTES, Secret
from trunkline.northbound.body import UnreadableError

KIND: Literal["probe"] = "probe"
"""The kind of the questions (`Request:kind`)."""

MOST_SECONDS = 60
"""How long a session goes on by itself after the last step: after that, the switch takes its flows away."""

NO_SECRET = Secret(bytes(SESSION_BYTES), bytes(KEY_BYTES))
"""What stands in an order of no session yet."""

_ID_BYTES = 4
_MOST_CHARACTERS = 1024
"""How long the value of a parameter may be: `Request:parameters`."""

_MOST_PARTS = 12

_GROUP = struct.Struct(">III")
_MOST_UNPACKED_BYTES = 16 << 20
"""How long the groups of an answer may be: more than those of 1,000 chassis in 4,000 networks."""


class OrderError(TrunklineError):
    """The parameters of a question are no order of a probe, or there are too many chassis or networks."""


class Step(StrEnum):
    """What chassis do, one step after the other.

    OPEN begins the session: frames of it are caught from then on. BEACON sends a round of beacons. MEASURE
    looks for the largest size that passes. ADDRESSES asks for the addresses of ports here, in a session that
    is about these alone. SETTLE waits until all is sent. REPORT says what came. CLOSE ends the session.
    """

    OPEN = "open"
    BEACON = "beacon"
    MEASURE = "measure"
    ADDRESSES = "addresses"
    SETTLE = "settle"
    REPORT = "report"
    CLOSE = "close"


class Order(NamedTuple):
    """One *step* of the session of *secret*, which then goes on for *seconds* at most.

    *beacons* are the members that send beacons in *round*, by the keys of the networks in which they do;
    *networks* are the keys of the networks that are
    probed, *ports* those of the ports whose addresses are. None: all. The frames that ask for addresses are
    all that is sent if the session *is_for_addresses*. Of these, or of those that all members send to few, a
    member sends no more than *rate* a second.
    """

    step: Step
    secret: Secret
    seconds: int = MOST_SECONDS
    round: int = 0
    beacons: Mapping[int, frozenset[int]] | None = None
    networks: frozenset[int] | None = None
    is_wide: bool = False
    is_for_addresses: bool = False
    ports: frozenset[int] | None = None
    rate: int = 1

    def parameters(self) -> dict[str, str]:
        """Return the parameters of the question; raise OrderError if they have no room for all that."""
        found = {
            "step": str(self.step),
            "session": self.secret.id.hex(),
            "key": self.secret.key.hex(),
            "seconds": str(self.seconds),
            "round": str(self.round),
            "wide": str(self.is_wide).lower(),
            "addresses": str(self.is_for_addresses).lower(),
            "rate": str(self.rate),
        }
        if self.beacons is not None:
            found |= _parts("beacons", _packed_beacons(self.beacons))
        for name, numbers in {"networks": self.networks, "ports": self.ports}.items():
            if numbers is not None:
                found |= _parts(name, packed(numbers))
        return found

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Order:
        """Return the order that *parameters* are."""
        try:
            secret = Secret(bytes.fromhex(parameters["session"]), bytes.fromhex(parameters["key"]))
            order = cls(
                Step(parameters["step"]),
                secret,
                int(parameters["seconds"]),
                int(parameters["round"]),
                _beacons(parameters),
                _numbers_of(parameters, "networks"),
                parameters.get("wide") == "true",
                parameters.get("addresses") == "true",
                _numbers_of(parameters, "ports"),
                int(parameters.get("rate", "1")),
            )
        except (KeyError, ValueError) as error:
            raise OrderError(f"the question is no order of a probe: {error}") from None
        is_secret = (len(secret.id), len(secret.key)) == (SESSION_BYTES, KEY_BYTES)
        is_within = 1 <= order.seconds <= MOST_SECONDS and 0 <= order.round <= 255 and order.rate >= 1
        if not (is_secret and is_within):
            raise OrderError("the question is no order of a probe: a value of it is out of range")
        return order


def packed(numbers: Iterable[int]) -> str:
    """Return *numbers*, of 32 bits each, as text.

    >>> unpacked(packed({7, 42}))
    frozenset({42, 7})
    """
    return base64.b64encode(_bytes(numbers)).decode()


def unpacked(text: Any) -> frozenset[int]:
    """Return the numbers that `packed` made *text* of; raise UnreadableError if it is something else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise UnreadableError("it has no list of numbers") from None
    return _numbers(data, len(data) // _ID_BYTES)


def packed_groups(groups: Mapping[tuple[int, int], Collection[int]]) -> str:
    """Return *groups* of numbers, each called by two numbers, as text; it is short if they are much alike.

    >>> unpacked_groups(packed_groups({(7, 0): {1, 2}}))
    {(7, 0): frozenset({1, 2})}
    """
    parts = [_GROUP.pack(*name, len(numbers)) + _bytes(numbers) for name, numbers in sorted(groups.items())]
    return base64.b64encode(zlib.compress(b"".join(parts))).decode()


def unpacked_groups(text: Any) -> dict[tuple[int, int], frozenset[int]]:
    """Return what `packed_groups` made *text* of; raise UnreadableError if it is something else."""
    unpacking, found, at = zlib.decompressobj(), dict[tuple[int, int], frozenset[int]](), 0
    try:
        data = unpacking.decompress(base64.b64decode(text, validate=True), _MOST_UNPACKED_BYTES)
        while at < len(data):
            one, other, count = _GROUP.unpack_from(data, at)
            at += _GROUP.size
            found[one, other] = _numbers(data[at : at + count * _ID_BYTES], count)
            at += count * _ID_BYTES
    except (binascii.Error, TypeError, ValueError, struct.error, zlib.error):
        raise UnreadableError("it has no groups of numbers") from None
    if not unpacking.eof:
        raise UnreadableError("its groups of numbers are cut short, or too many")
    return found


def _bytes(numbers: Iterable[int]) -> bytes:
    return b"".join(each.to_bytes(_ID_BYTES, "big") for each in sorted(numbers))


def _numbers(data: bytes, count: int) -> frozenset[int]:
    if len(data) != count * _ID_BYTES:
        raise UnreadableError("a list of numbers is cut short")
    return frozenset(int.from_bytes(data[at : at + _ID_BYTES]) for at in range(0, len(data), _ID_BYTES))


def _packed_beacons(beacons: Mapping[int, frozenset[int]]) -> str:
    """Return *beacons* as text: most networks have the same ones, which are named once for all of these."""
    keys_by_members: dict[frozenset[int], set[int]] = {}
    for key, members in beacons.items():
        keys_by_members.setdefault(members, set()).add(key)
    groups: dict[tuple[int, int], Collection[int]] = {}
    for number, (members, keys) in enumerate(keys_by_members.items()):
        groups |= {(number, 0): members, (number, 1): keys}
    return packed_groups(groups)


def _beacons(parameters: Mapping[str, str]) -> dict[int, frozenset[int]] | None:
    text = _whole(parameters, "beacons")
    groups = {} if text is None else unpacked_groups(text)
    found = {key: groups[n, 0] for (n, part), keys in groups.items() if part == 1 for key in keys}
    return None if text is None else found


def _parts(name: str, text: str) -> dict[str, str]:
    """Return *text* as parameters, several if one does not hold it."""
    parts = [text[at : at + _MOST_CHARACTERS] for at in range(0, len(text), _MOST_CHARACTERS)] or [""]
    if len(parts) > _MOST_PARTS:
        raise OrderError(f"the list of {name} is too long for one probe; name fewer networks")
    return {f"{name}{number}": part for number, part in enumerate(parts)}


def _whole(parameters: Mapping[str, str], name: str) -> str | None:
    parts = [parameters[key] for number in range(_MOST_PARTS) if (key := f"{name}{number}") in parameters]
    return "".join(parts) if parts else None


def _numbers_of(parameters: Mapping[str, str], name: str) -> frozenset[int] | None:
    text = _whole(parameters, name)
    return None if text is None else unpacked(text)
