"""A connection to one switch that stays up by itself and never blocks.

The session is driven by a loop of `ovs.poller`: `run` does what can be done at once and returns what
happened, `wait` registers what to wake for. Times are milliseconds of the monotonic clock, as everywhere in
`ovs`.
"""

from __future__ import annotations

import errno
import os
import struct
from collections import deque
from typing import Any

import ovs.poller
import ovs.reconnect
import ovs.stream
import ovs.timeval

from trunkline.core.flow import Action
from trunkline.core.plan import Plan
from trunkline.openflow import message, monitor, port
from trunkline.openflow.attempts import Attempts
from trunkline.openflow.bundle import Scope
from trunkline.openflow.bundles import Bundles
from trunkline.openflow.error import DecodeError, NotReady
from trunkline.openflow.event import (
    Connected,
    Disconnected,
    Event,
    FlowsDrifted,
    FlowsRead,
    FlowsUnknown,
    FragmentsRead,
    PortSeen,
)
from trunkline.openflow.listing import Listing
from trunkline.openflow.port import Port
from trunkline.openflow.reason import reason
from trunkline.openflow.trouble import Trouble
from trunkline.runtime.log import Log

log = Log("openflow")

QUIET_S = 10.0
"""How long a switch has to make sense before it is said to do so again."""

_CHUNK_BYTES = 1 << 18
# What one `run` reads and writes at most: about 2,000 flows read (8 ms), 7,000 flows sent.
_READ_BUDGET_BYTES = 1 << 18
_WRITE_BUDGET_BYTES = 1 << 20
_LAST_XID = 0xFFFFFFFF

_header = struct.Struct(">BBHI").unpack_from


class Session:
    """A connection to the switch at *target*, such as `unix:/run/openvswitch/br-int.mgmt`; it mends itself.

    It reads, watches and deletes only flows whose cookie equals *cookie* under *cookie_mask*. It asks for the
    changes that others make before it says `Connected`: flows that are read after that, brought up to date by
    the `FlowsDrifted` that follow, are what the switch holds, at every moment. Where a switch reports no
    changes, only reading shows them. It tells of every port that changes.

    A target that is not there is tried again and again, see `Attempts`. A switch that is silent for 5 s is
    probed, and given up after 5 s more. What makes no sense is told once, until it has made
    sense for a while.
    """

    def __init__(self, target: str, *, cookie: int, cookie_mask: int) -> None:
        self._target = target
        self._scope = Scope(cookie, cookie_mask)
        self._attempts = Attempts(target, ovs.timeval.msec())
        self._stream: Any = None
        self._next_xid = 1
        self._is_monitored = True
        self._bundles = Bundles(self._scope, self._xids, self._send)
        self._misreads = Trouble(
            lambda reason: log.warning("message not understood", target=target, reason=reason),
            lambda times: log.info("messages are understood again", target=target, not_understood=times),
            quiet_s=QUIET_S,
        )
        self._refusals = Trouble(
            lambda reason: log.warning("switch refused a message", target=target, reason=reason),
            lambda times: log.info("messages are no longer refused", target=target, refused=times),
            quiet_s=QUIET_S,
        )
        self._forget()

    def _forget(self) -> None:
        """Drop all that belongs to one connection."""
        self._is_open = False
        self._is_ready = False
        self._inbox = bytearray()
        self._outbox: deque[memoryview] = deque()
        self._bundles.forget()
        self._monitor_xid = 0
        self._ports_xid = 0
        self._is_paused = False
        self._is_unsure = False
        self._listing = Listing()
        self._read_xid = 0
        self._flow_by_key: dict[bytes, bytes] = {}
        self._replies: list[bytes] = []
        self._events: list[Event] = []

    @property
    def is_ready(self) -> bool:
        """True from `Connected` to `Disconnected`: the switch speaks OpenFlow 1.4 and can be sent to."""
        return self._is_ready

    @property
    def failure(self) -> str | None:
        """Why the switch cannot be sent to, as far as the last attempt showed; None where it can."""
        return None if self._is_ready else self._attempts.last_end

    @property
    def is_reading(self) -> bool:
        """Whether `read_flows` was called and `FlowsRead` has yet to answer."""
        return bool(self._read_xid)

    @property
    def is_failing(self) -> bool:
        """Whether one connection after the other ended soon after it was made."""
        return self._attempts.is_failing

    @property
    def faults(self) -> dict[str, str]:
        """What the switch does wrong, by subject."""
        faults = self._attempts.faults
        if self._misreads.reason is not None:
            faults["switch messages"] = (
                f"the switch says what makes no sense ({self._misreads.reason}); look for another program at "
                f"{self._target}, or report it with the versions of both"
            )
        return faults

    def run(self) -> list[Event]:
        """Connect, send and read as far as that goes without waiting; return what happened, in order."""
        now = ovs.timeval.msec()
        step = self._attempts.run(now)
        if step == ovs.reconnect.CONNECT:
            self._connect(now)
        elif step == ovs.reconnect.DISCONNECT:
            self._disconnect("no answer to an echo request" if self._is_open else "connecting took too long")
        elif step == ovs.reconnect.PROBE:
            self._queue(message.message(message.ECHO_REQUEST, self._xids(1)))
        if self._stream is not None and not self._is_open:
            self._finish_connect(now)
        if self._is_open:
            self._receive(now)
        if self._is_open:
            self._flush()
        self._settle(now)
        events, self._events = self._events, []
        return events

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        self._attempts.wait(poller, ovs.timeval.msec())
        self._misreads.wait(poller)
        self._refusals.wait(poller)
        if self._stream is None:
            return
        if not self._is_open:
            self._stream.connect_wait(poller)
            return
        self._stream.recv_wait(poller)
        if self._outbox:
            self._stream.send_wait(poller)

    def read_flows(self) -> None:
        """Ask for all flows in scope; `FlowsRead` answers, for the latest call only. Raises `NotReady`."""
        self._require_ready()
        self._read_xid = self._xids(1)
        self._flow_by_key, self._replies = {}, []
        self._queue(message.flow_stats_request(self._read_xid, *self._scope))

    def check_flows(self) -> None:
        """Have the flows read, unless they are those of the last check; nothing comes where they are.

        A tenth of the work of a read, on this side. A switch that left the last check without an answer is
        not asked for another, but has its flows read. Raises `NotReady`.
        """
        self._require_ready()
        if self._is_monitored and not self._listing.is_under_way:
            self._queue(self._listing.request(self._xids(1)))
        else:
            self.read_flows()

    def read_ports(self) -> None:
        """Ask for all ports; a `PortSeen` for each answers. Raises `NotReady`."""
        self._require_ready()
        self._ports_xid = self._xids(1)
        self._queue(port.request(self._ports_xid))

    def unblock(self, blocked: Port) -> None:
        """Have *blocked* take and give frames as flows say; nothing answers. Raises `NotReady`."""
        self._require_ready()
        self._queue(port.unblock(self._xids(1), blocked))

    def read_fragments(self) -> None:
        """Ask how fragments are handled, of which no change is told; `FragmentsRead` answers.

        Raises `NotReady`.
        """
        self._require_ready()
        self._queue(message.message(message.GET_CONFIG_REQUEST, self._xids(1)))

    def show_fragments(self) -> None:
        """Have fragments handled as flows need it: see `message.set_config`. Raises `NotReady`."""
        self._require_ready()
        self._queue(message.set_config(self._xids(1)))

    def send_bundle(self, plan: Plan) -> int:
        """Send *plan* as one ordered, atomic bundle and return its id; an event with that id answers.

        It is all in place at `BundleApplied`, and nothing of it at `BundleRefused`. Several may be
        outstanding; they are applied in the order sent. Raises `NotReady`.
        """
        bundle_id = self.open_bundle()
        self.add_to_bundle(bundle_id, plan)
        self.close_bundle(bundle_id)
        return bundle_id

    def open_bundle(self) -> int:
        """Open a bundle that `add_to_bundle` fills and `close_bundle` has applied; return its id.

        A switch gives up a bundle that is open for long without an addition: 10 s with Open vSwitch. Raises
        `NotReady`.
        """
        self._require_ready()
        return self._bundles.open()

    def add_to_bundle(self, bundle_id: int, plan: Plan) -> None:
        """Send *plan* as more of the open bundle; the switch reads it meanwhile, and changes nothing yet."""
        self._bundles.add(bundle_id, plan)

    def close_bundle(self, bundle_id: int) -> None:
        """Have all of the open bundle applied, in the order in which it was sent; an event answers."""
        self._bundles.close(bundle_id)

    def packet_out(self, frame: bytes, actions: tuple[Action, ...], in_port: int | None = None) -> None:
        """Do *actions* with *frame* as if it came in by *in_port* (None: by no port); nothing answers.

        Raises `NotReady`, and `EncodeError` as `message.packet_out` does.
        """
        self._require_ready()
        self._queue(message.packet_out(self._xids(1), frame, actions, in_port))

    def close(self) -> None:
        """End the connection for good; what the switch has not answered for may or may not be applied."""
        self._attempts.stop(ovs.timeval.msec())
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._forget()

    def _require_ready(self) -> None:
        if not self._is_ready:
            raise NotReady(f"{self._target} is not connected; wait for it")

    def _xids(self, count: int) -> int:
        """Return the first of *count* consecutive xids; none is 0."""
        if self._next_xid + count > _LAST_XID:
            self._next_xid = 1
        first = self._next_xid
        self._next_xid += count
        return first

    # The connection

    def _connect(self, now: int) -> None:
        error, stream = ovs.stream.Stream.open(self._target)
        if error:
            self._attempts.fail(now, error)
            return
        self._stream = stream
        self._attempts.begin(now)

    def _finish_connect(self, now: int) -> None:
        error = self._stream.connect()
        if error == errno.EAGAIN:
            return
        if error:
            self._stream.close()
            self._stream = None
            self._attempts.fail(now, error)
            return
        self._is_open = True
        self._attempts.make(now)
        self._queue(message.hello(self._xids(1)))

    def _disconnect(self, why: str) -> None:
        """End this connection; the next attempt follows by itself."""
        was_open, was_ready, events = self._is_open, self._is_ready, self._events
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._forget()
        self._events = events
        self._attempts.end(ovs.timeval.msec(), why, was_ready=was_ready)
        if was_open:
            self._events.append(Disconnected(why))

    def _settle(self, now: int) -> None:
        """Take note of what has been well for long enough."""
        if self._is_ready:
            self._attempts.settle(now)
        self._misreads.settle()
        self._refusals.settle()
        if self._is_unsure and not self._misreads.is_held:
            self._is_unsure = False
            self._events.append(FlowsUnknown())

    # Bytes

    def _queue(self, data: bytes) -> None:
        self._outbox.append(memoryview(data))

    def _send(self, data: bytes) -> None:
        """Queue *data*, and send what can be sent at once: the switch reads while the next is made."""
        if self._is_open:
            self._queue(data)
            self._flush()

    def _flush(self) -> None:
        budget = _WRITE_BUDGET_BYTES
        while self._outbox and budget > 0:
            self._join()
            count = self._stream.send(self._outbox[0][:_CHUNK_BYTES])
            if count == -errno.EAGAIN:
                return
            if count < 0:
                self._disconnect(_why(-count))
                return
            budget -= count
            if count == len(self._outbox[0]):
                self._outbox.popleft()
            else:
                self._outbox[0] = self._outbox[0][count:]

    def _join(self) -> None:
        """Make one of the small messages that come first: 1,000 announcements are not 1,000 system calls."""
        size, some = 0, []
        while self._outbox and size + len(self._outbox[0]) <= _CHUNK_BYTES:
            some.append(self._outbox.popleft())
            size += len(some[-1])
        if some:
            self._outbox.appendleft(memoryview(b"".join(some)) if len(some) > 1 else some[0])

    def _receive(self, now: int) -> None:
        budget = _READ_BUDGET_BYTES
        while self._is_open and budget > 0:
            error, data = self._stream.recv(_CHUNK_BYTES)
            self._attempts.receive(now, is_something=not error and bool(data))
            if error == errno.EAGAIN:
                return
            if error or not data:
                self._disconnect(_why(error))
                return
            budget -= len(data)
            self._inbox += data
            try:
                self._take_messages()
            except DecodeError as error_in_message:
                self._disconnect(str(error_in_message))

    def _take_messages(self) -> None:
        at = 0
        while self._is_open and len(self._inbox) - at >= message.HEADER_BYTES:
            version, kind, length, xid = _header(self._inbox, at)
            if length < message.HEADER_BYTES:
                raise DecodeError(f"{self._target} does not speak OpenFlow; give a bridge's .mgmt socket")
            if len(self._inbox) - at < length:
                break
            received = bytes(self._inbox[at : at + length])
            at += length
            self._handle(version, kind, xid, received)
        if self._is_open:
            del self._inbox[:at]

    # Messages

    def _handle(self, version: int, kind: int, xid: int, received: bytes) -> None:
        payload = received[message.HEADER_BYTES :]
        if kind == message.HELLO:
            self._handle_hello(message.offered_versions(version, payload))
        elif kind == message.ERROR:
            self._handle_error(xid, payload)
        elif kind == message.ECHO_REQUEST:
            self._queue(message.message(message.ECHO_REPLY, xid, payload))
        elif kind == message.MULTIPART_REPLY and self._listing.owns(xid):
            if self._listing.on_reply(received) is False:
                self.read_flows()
        elif kind == message.MULTIPART_REPLY and monitor.is_update(received):
            self._handle_updates(received)
        elif kind == message.MULTIPART_REPLY and xid == self._read_xid:
            self._handle_flows(received)
        elif kind == message.MULTIPART_REPLY and xid == self._ports_xid:
            self._events.extend(map(PortSeen, port.ports(received)))
        elif kind == port.PORT_STATUS:
            self._events.append(PortSeen(*port.status(received)))
        elif kind == message.GET_CONFIG_REPLY:
            self._events.append(FragmentsRead(message.fragment_handling(received)))
        elif kind == message.PACKET_IN:
            self._handle_packet_in(received)
        elif kind == message.BARRIER_REPLY:
            self._tell(self._bundles.on_barrier(xid))
        elif kind == message.BUNDLE_CONTROL:
            self._tell(self._bundles.on_reply(xid))

    def _handle_hello(self, offered: frozenset[int]) -> None:
        if message.VERSION not in offered:
            names = ", ".join(f"OpenFlow1{version - 1}" for version in sorted(offered)) or "none"
            why = (
                f"the switch does not allow OpenFlow14 (it offers {names}); add it to the bridge's protocols"
            )
            self._disconnect(why)
        elif not self._is_ready:
            self._is_ready = True
            # First: Open vSwitch tells of no port over `.mgmt` without it.
            self.show_fragments()
            self._monitor_xid = self._xids(1)
            self._queue(monitor.request(self._monitor_xid))
            if not self.is_failing:
                log.info("switch connected", target=self._target)
            self._events.append(Connected())

    def _handle_packet_in(self, received: bytes) -> None:
        try:
            self._events.append(message.packet_in(received))
        except DecodeError as error:
            # A frame lost here is one that the network could have lost: no reason to connect again.
            self._misreads.note(f"packet-in: {error}")

    def _handle_flows(self, reply: bytes) -> None:
        is_last = message.is_last_part(reply)
        message.flow_entries(reply, self._flow_by_key)
        self._replies.append(reply)
        if is_last:
            self._events.append(FlowsRead(self._flow_by_key, tuple(self._replies)))
            self._read_xid, self._flow_by_key, self._replies = 0, {}, []

    def _handle_updates(self, reply: bytes) -> None:
        try:
            changes, self._is_paused, is_complete = monitor.updates(
                reply, self._scope, was_paused=self._is_paused
            )
        except DecodeError as error:
            is_first = not self._misreads.is_held
            self._misreads.note(f"flow update: {error}")
            # The flows have to be read again, and that takes its time, too.
            self._is_unsure |= not is_first
            changes, is_complete = {}, not is_first
        last = self._events[-1] if self._events else None
        if changes and isinstance(last, FlowsDrifted):
            last.changes.update(changes)
        elif changes:
            self._events.append(FlowsDrifted(changes))
        if not is_complete:
            self._events.append(FlowsUnknown())

    def _handle_error(self, xid: int, payload: bytes) -> None:
        if len(payload) < 4:
            raise DecodeError("error message is cut short; connect again")
        why = reason(*struct.unpack_from(">HH", payload))
        if self._bundles.owns(xid):
            self._tell(self._bundles.on_error(xid, why))
        elif not self._is_ready:
            self._disconnect(f"the switch refused the handshake: {why}")
        elif self._read_xid and xid == self._read_xid:
            self._disconnect(f"the switch refused to list its flows: {why}")
        elif xid == self._monitor_xid:
            if self._is_monitored:
                log.warning("switch reports no changes of flows", target=self._target, reason=why)
            self._is_monitored = False
        elif self._listing.owns(xid):
            log.warning("switch lists no flows", target=self._target, reason=why)
            self.read_flows()
        else:
            self._refusals.note(why)

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._events.append(event)


def _why(error: int) -> str:
    """Return why a connection ended with *error*, 0 for the end of what there is to read."""
    is_closed = error in (0, errno.EPIPE, errno.ECONNRESET)
    return "closed by the switch" if is_closed else os.strerror(error)
