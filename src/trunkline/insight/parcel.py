"""A parcel: what travels in an answer of another chassis, which is bounded: JSON, a line each, compressed."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

from trunkline.core.error import TrunklineError
from trunkline.insight.connection import InstalledFlow
from trunkline.northbound.body import UnreadableError, value
from trunkline.openflow import message
from trunkline.openflow.message import Counters

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_CHARACTERS = 60_000
"""How long the text of a parcel may be: an answer has 64 KiB, and more in it than a parcel."""

SAFE_BYTES = 80_000
"""So many bytes of lines always fit: of random digits, half of the length is left, and a third is added."""

_MOST_UNPACKED_BYTES = 1 << 22
"""How much is unpacked: an answer in wrong hands could else be a thousand times as long as it looks."""


UNREADABLE = (TypeError, ValueError, LookupError, OverflowError, RecursionError, zlib.error, TrunklineError)
"""What is raised for the text of a chassis in wrong hands, or of another version."""


class FullError(TrunklineError):
    """There is more than one answer can have."""


class Parcel:
    """A parcel that is being filled; *size* is the number of bytes of its lines."""

    def __init__(self) -> None:
        self.size = 0
        self._compressor = zlib.compressobj()
        self._data = bytearray()

    def has_room(self, item: Any) -> bool:
        """Return whether *item* surely fits, too."""
        return self.size + len(_line(item)) <= SAFE_BYTES

    def add(self, item: Any) -> None:
        """Put *item* into it. Raises `FullError` if it is known not to fit."""
        line = _line(item)
        self.size += len(line)
        self._put(self._compressor.compress(line))

    def text(self) -> str:
        """Return what is sent, and end it. Raises `FullError` if it does not fit."""
        self._put(self._compressor.flush())
        return base64.b64encode(self._data).decode()

    def _put(self, data: bytes) -> None:
        self._data += data
        if len(self._data) * 4 // 3 > MOST_CHARACTERS:
            raise FullError(
                "these are too many flows for an answer from afar; ask for those of one port or network, "
                "of one table or app, or that dropped frames, or ask on the chassis itself"
            )


def _line(item: Any) -> bytes:
    return json.dumps(item, separators=(",", ":")).encode() + b"\n"


def items(text: Any) -> list[Any]:
    """Return what is in the parcel with that *text*; raise one of `UNREADABLE` if it is none."""
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(base64.b64decode(text, validate=True), _MOST_UNPACKED_BYTES)
    if not unpacking.eof:
        raise UnreadableError("it is cut short, or too long")
    return [value(line) for line in data.splitlines()]


def number(item: Any) -> int:
    """Return *item*, which counts something or numbers it."""
    if not isinstance(item, int) or item < 0:
        raise UnreadableError("what should be a number is none")
    return item


def flow_item(flow: InstalledFlow) -> list[Any]:
    """Return *flow* as an item."""
    return [flow.key.hex(), flow.body.hex(), *flow.counters]


def flow(item: Iterable[Any]) -> InstalledFlow:
    """Return the flow that `flow_item` made *item* of; it can be decoded. Raises one of `UNREADABLE`."""
    key, body, duration_s, packets, octets = item
    if isinstance(duration_s, bool | str) or duration_s < 0:
        raise UnreadableError("a flow is older or newer than any")
    counters = Counters(float(duration_s), number(packets), number(octets))
    found = InstalledFlow(bytes.fromhex(key), bytes.fromhex(body), counters)
    message.decode(found.key, found.body)
    return found
