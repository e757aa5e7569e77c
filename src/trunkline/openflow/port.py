"""Ports of a switch and their flags (OpenFlow 1.4.0 sections 7.2.1, 7.3.4.3, 7.3.5.7 and 7.4.3).

Open vSwitch reports every port that is added, changed or deleted, whoever did it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from trunkline.openflow.error import DecodeError
from trunkline.openflow.message import HEADER_BYTES, MULTIPART_REQUEST, message

PORT_STATUS = 12
PORT_MOD = 16
_PORT_DESC = 13
_DELETED = 1
_PORT_BYTES = 40

NO_RECEIVE, NO_FORWARD = 1 << 2, 1 << 5
BLOCKING = NO_RECEIVE | NO_FORWARD
"""The flags that stop a port from receiving or sending frames, whatever the flows say.

The other flags do not matter to our flows (`no-flood`, `no-packet-in`), cannot be seen in OpenFlow 1.4
(`no-receive-stp`), or belong to the device's owner, who sets it down and up (`down`).
"""

_DOWN = 1

_FLAG_NAMES = {NO_RECEIVE: "no-receive", NO_FORWARD: "no-forward"}


class Port(NamedTuple):
    """A port as its switch reports it; *flags* are the flags of `BLOCKING` that are set.

    *ofport* is the 32-bit OpenFlow number. *name* is the interface's name, of which Open vSwitch shows 15
    characters. *is_down*: its device is set down.
    """

    ofport: int
    mac: bytes
    name: str
    flags: int
    is_down: bool = False

    @property
    def words(self) -> str:
        """The flags, as `ovs-ofctl mod-port` spells them."""
        return ",".join(name for flag, name in _FLAG_NAMES.items() if self.flags & flag)


_port = struct.Struct(">IH2x6s2x16sI4x").unpack_from


def request(xid: int) -> bytes:
    """Return the request for every port."""
    return message(MULTIPART_REQUEST, xid, struct.pack(">HH4x", _PORT_DESC, 0))


def ports(reply: bytes) -> Iterator[Port]:
    """Yield each port of a whole *reply* to `request`; raises `DecodeError` if a length is wrong."""
    at, end = HEADER_BYTES + 8, len(reply)
    while at < end:
        port, length = _decoded(reply, at)
        yield port
        at += length


def status(received: bytes) -> tuple[Port, bool]:
    """Return the port of *received*, a whole PORT_STATUS, and whether it still exists.

    Raises `DecodeError` if a length is wrong.
    """
    port, _ = _decoded(received, HEADER_BYTES + 8)
    return port, received[HEADER_BYTES] != _DELETED


def unblock(xid: int, port: Port) -> bytes:
    """Return the order to clear the flags of `BLOCKING` on *port*, and to leave the others."""
    return message(PORT_MOD, xid, struct.pack(">I4x6s2xII", port.ofport, port.mac, 0, BLOCKING))


def _decoded(data: bytes, at: int) -> tuple[Port, int]:
    if len(data) - at < _PORT_BYTES:
        raise DecodeError("port is cut short; connect again")
    ofport, length, mac, name, config = _port(data, at)
    if length < _PORT_BYTES or at + length > len(data):
        raise DecodeError("port has a wrong length; connect again")
    text = name.partition(b"\0")[0].decode(errors="replace")
    return Port(ofport, mac, text, config & BLOCKING, bool(config & _DOWN)), length
