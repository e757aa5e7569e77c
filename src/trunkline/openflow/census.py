"""A census: how many flows a bridge has, in any version of OpenFlow, and whether our port is blocked."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable

import ovs.poller
import ovs.timeval

from trunkline.openflow import message, port
from trunkline.openflow.channel import READ_BUDGET_BYTES, Channel
from trunkline.openflow.error import DecodeError

_V10 = 1
_V15 = 6
_VERSIONS = (_V10, 3, 4, 5, _V15)
"""The wire versions that can be used: 1.0, and 1.2 to 1.5, which share one form of the question."""

_PORTS_ALIKE = (5, _V15)
"""The versions that describe ports in the same form as OpenFlow 1.4."""

_AGGREGATE = 2
_PORT_DESC = 13
_STATS_REQUEST = 16
"""OFPT_STATS_REQUEST of OpenFlow 1.0 (section 5.3.5); its reply has the next number."""

_BODY_V10 = struct.pack(">HHI36xBxH", _AGGREGATE, 0, 0x3FFFFF, 0xFF, 0xFFFF)
_BODY = struct.pack(">HH4xB3xII4xQQHH4x", _AGGREGATE, 0, 0xFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0, 1, 4)

_BODY_PORTS = {
    5: struct.pack(">HH4x", _PORT_DESC, 0),
    _V15: struct.pack(">HH4xI4x", _PORT_DESC, 0, 0xFFFFFFFF),
}

_FLOW_COUNT = struct.pack(">HBB", 0x8002, 3 << 1, 4)
"""The header of the flow count among the statistics of OpenFlow 1.5 (OXS, section 7.2.4.2)."""


class Census:
    """The number of flows of the bridge at *target*; `ask` counts them again, over a connection of its own.

    *flows* is the number in the last answer, None before the first one and if the bridge does not answer.
    *unblocked* is the port that the last census unblocked, or None.
    """

    def __init__(self, target: str) -> None:
        self.flows: int | None = None
        self.unblocked: port.Port | None = None
        self._own_ofport: int | None = None
        self._counted: int | None = None
        self._channel = Channel(target)

    @property
    def is_under_way(self) -> bool:
        """Whether `ask` was called, and there is no answer yet."""
        return self._channel.is_connecting or self._channel.is_open

    def ask(self, own_ofport: int | None = None) -> None:
        """Begin to count the flows and to unblock the port *own_ofport*, unless that is already under way.

        If the bridge allows neither OpenFlow 1.4 nor 1.5, its ports are not looked at.
        """
        if not self.is_under_way:
            self._own_ofport, self._counted, self.unblocked = own_ofport, None, None
            if self._channel.open():
                self._end(None)

    def run(self) -> None:
        """Continue as far as possible without waiting."""
        if self._channel.is_connecting:
            error = self._channel.connect()
            if error == errno.EAGAIN:
                return
            if error:
                self._end(None)
                return
            self._send(max(_VERSIONS), message.HELLO, _hello())
        self._receive()
        if self._channel.is_open:
            self._flush()

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        self._channel.wait(poller)

    def close(self) -> None:
        """End the census that is under way; the last number stays."""
        self._end(self.flows)

    def _receive(self) -> None:
        budget = READ_BUDGET_BYTES
        while self._channel.is_open and budget > 0:
            count, why = self._channel.read()
            if why is not None:
                self._end(None)
            if not count:
                return
            budget -= count
            try:
                for version, kind, _, received in self._channel.messages():
                    self._handle(version, kind, received[message.HEADER_BYTES :])
            except DecodeError:
                self._end(None)

    def _handle(self, version: int, kind: int, payload: bytes) -> None:
        if kind == message.HELLO:
            common = message.offered_versions(version, payload) & set(_VERSIONS)
            if common:
                self._question(max(common))
            else:
                self._end(None)
        elif kind == message.ERROR:
            self._end(self._counted)
        elif kind == message.MULTIPART_REPLY and payload[:2] == _PORT_DESC.to_bytes(2):
            self._unblock(version, payload)
        elif kind == message.BARRIER_REPLY:
            self._end(self._counted)
        elif kind == (_STATS_REQUEST + 1 if version == _V10 else message.MULTIPART_REPLY):
            self._counted = _flow_count(version, payload)
            if not self._asks_for_ports(version):
                self._end(self._counted)

    def _unblock(self, version: int, payload: bytes) -> None:
        """Remove the flags of our port, if *payload* describes it and it has any."""
        try:
            described = list(port.ports(bytes(message.HEADER_BYTES) + payload))
        except DecodeError:
            self._end(self._counted)
            return
        for each in described:
            if each.ofport == self._own_ofport and each.flags and version in _PORTS_ALIKE:
                self.unblocked = each
                order = port.unblock(1, each)[message.HEADER_BYTES :]
                self._send(version, port.PORT_MOD, order)
                self._send(version, message.BARRIER_REQUEST, b"")
                return
        is_last = not int.from_bytes(payload[2:4]) & 1
        if is_last and self.unblocked is None:
            self._end(self._counted)

    def _asks_for_ports(self, version: int) -> bool:
        return self._own_ofport is not None and version in _PORTS_ALIKE

    def _question(self, version: int) -> None:
        """Ask for the count and, behind it, for the ports: two answers for one wait."""
        if version == _V10:
            self._send(version, _STATS_REQUEST, _BODY_V10)
            return
        self._send(version, message.MULTIPART_REQUEST, _BODY)
        if self._asks_for_ports(version):
            self._send(version, message.MULTIPART_REQUEST, _BODY_PORTS[version])

    def _send(self, version: int, kind: int, payload: bytes) -> None:
        if not self._channel.is_open:
            return
        header = struct.pack(">BBHI", version, kind, message.HEADER_BYTES + len(payload), 1)
        self._channel.queue(header + payload)
        self._flush()

    def _flush(self) -> None:
        if self._channel.flush() is not None:
            self._end(self._counted)

    def _end(self, flows: int | None) -> None:
        self.flows = flows
        self._channel.close()


def flow_counts(targets: Iterable[str], timeout_s: float) -> dict[str, int | None]:
    """Return the number of flows of each of *targets*, None if it does not answer within *timeout_s*."""
    censuses = {target: Census(target) for target in targets}
    end_ms = ovs.timeval.msec() + int(timeout_s * 1000)
    for census in censuses.values():
        census.ask()
    while pending := [census for census in censuses.values() if census.is_under_way]:
        poller = ovs.poller.Poller()
        for census in pending:
            census.run()
            census.wait(poller)
        if ovs.timeval.msec() >= end_ms:
            for census in pending:
                census.close()
        elif all(census.is_under_way for census in pending):
            poller.timer_wait_until(end_ms)
            poller.block()
    return {target: census.flows for target, census in censuses.items()}


def _flow_count(version: int, payload: bytes) -> int | None:
    """Return the flow count of an aggregate reply, or None if it has none.

    Up to OpenFlow 1.4 it is at a fixed place; from 1.5 on it is one of a list of statistics.
    """
    at = _place_v15(payload) if version == _V15 else 20 if version == _V10 else 24
    return struct.unpack_from(">I", payload, at)[0] if at is not None and len(payload) >= at + 4 else None


def _place_v15(payload: bytes) -> int | None:
    """Return where the flow count is in a reply of OpenFlow 1.5, or None if there is none."""
    at = 12
    while len(payload) >= at + len(_FLOW_COUNT):
        header = payload[at : at + len(_FLOW_COUNT)]
        if header == _FLOW_COUNT:
            return at + len(header)
        at += len(header) + header[-1]
    return None


def _hello() -> bytes:
    return struct.pack(">HHI", 1, 8, sum(1 << version for version in _VERSIONS))
