"""What has come from a peer so far, cut into OpenFlow messages."""

from __future__ import annotations

import struct
from typing import NamedTuple

from trunkline.openflow.error import DecodeError
from trunkline.openflow.message import HEADER_BYTES

_header = struct.Struct(">BBHI").unpack_from


class Received(NamedTuple):
    """One message: the fields of its header, and all its bytes including the header."""

    version: int
    kind: int
    xid: int
    data: bytes


class Inbox:
    """The bytes from *peer* that `take` has not returned yet."""

    def __init__(self, peer: object) -> None:
        self._peer = peer
        self._bytes = bytearray()

    def add(self, data: bytes) -> None:
        """Add *data*, which came next."""
        self._bytes += data

    def take(self) -> Received | None:
        """Return the first message, and drop it here; None if it has not come completely.

        Raises `DecodeError` if what has come is not OpenFlow.
        """
        if len(self._bytes) < HEADER_BYTES:
            return None
        version, kind, length, xid = _header(self._bytes)
        if length < HEADER_BYTES:
            raise DecodeError(f"{self._peer} does not speak OpenFlow; give a bridge's .mgmt socket")
        if len(self._bytes) < length:
            return None
        data = bytes(self._bytes[:length])
        # A bytearray drops its front without copying the rest.
        del self._bytes[:length]
        return Received(version, kind, xid, data)
