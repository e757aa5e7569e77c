"""A connection to one switch that reconnects by itself and never blocks.

A loop of `ovs.poller` drives the session: `run` does what can be done at once and returns what happened;
`wait` registers the events to wake for. Times are milliseconds of the monotonic clock, as in `ovs`.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

import ovs.poller
import ovs.reconnect
import ovs.timeval

from trunkline.core.flow import Action
from trunkline.core.plan import Plan
from trunkline.openflow import message, monitor, port
from trunkline.openflow.attempts import Attempts
from trunkline.openflow.bundle import Scope
from trunkline.openflow.bundles import Bundles
from trunkline.openflow.channel import READ_BUDGET_BYTES, Channel
from trunkline.openflow.error import DecodeError, NotReady
from trunkline.openflow.event import (
    CaughtUp,
    Connected,
    Disconnected,
    Event,
    FlowsDrifted,
    FragmentsRead,
    PortSeen,
)
from trunkline.openflow.flow_read import FlowRead
from trunkline.openflow.flow_watch import FlowWatch
from trunkline.openflow.listing import Listing
from trunkline.openflow.reason import not_offered, reason
from trunkline.runtime.log import Log
from trunkline.runtime.trouble import Trouble

log = Log("openflow")

QUIET_S = 10.0
"""How long a switch's messages have to be valid before the log says that they are understood again."""


class Session:
    """A connection to the switch at *target*, such as `unix:/run/openvswitch/br-int.mgmt`; it reconnects.

    It reads, watches and deletes only flows whose cookie equals *cookie* under *cookie_mask*. It requests
    reports of others' changes before `Connected`. So the flows that are read after that, updated by the
    `FlowsDrifted` that follow, are at every moment what the switch holds. If a switch does not report
    changes, only reading shows them. Every changed port is reported.

    A target that does not answer is tried again: see `Attempts`. A switch that is silent for 5 s is probed,
    and counts as lost after 5 s more. Invalid messages are logged once, until they were valid for a while.
    """

    def __init__(self, target: str, *, cookie: int, cookie_mask: int) -> None:
        self._target = target
        self._scope = Scope(cookie, cookie_mask)
        self._attempts = Attempts(target, ovs.timeval.msec())
        self._channel = Channel(target)
        self._queue = self._channel.queue
        self._flow_read = FlowRead(self._scope)
        self._is_monitored = True
        self._bundles = Bundles(self._scope, self._channel.next_xid, self._send)
        self._misreads = Trouble(
            lambda reason: log.warning("message not understood", target=target, reason=reason),
            lambda times: log.info("messages are understood again", target=target, not_understood=times),
            quiet_s=QUIET_S,
        )
        self._flow_watch = FlowWatch(self._scope, self._misreads)
        self._refusals = Trouble(
            lambda reason: log.warning("switch refused a message", target=target, reason=reason),
            lambda times: log.info("messages are no longer refused", target=target, refused=times),
            quiet_s=QUIET_S,
        )
        self._forget()

    def _forget(self) -> None:
        """Drop everything that belongs to one connection."""
        self._channel.close()
        self._is_ready = False
        self._bundles.forget()
        self._flow_watch.forget()
        self._ports_xid = 0
        self._question_xid = 0
        self._listing = Listing()
        self._flow_read.forget()
        self._events: list[Event] = []

    @property
    def is_ready(self) -> bool:
        """True from `Connected` to `Disconnected`: the switch speaks OpenFlow 1.4 and takes messages."""
        return self._is_ready

    @property
    def failure(self) -> str | None:
        """Why the switch takes no messages, by the last attempt; None if it does."""
        return None if self._is_ready else self._attempts.failure

    @property
    def has_unsent(self) -> bool:
        """Whether data waits because the switch had no room for it."""
        return self._channel.has_unsent

    @property
    def is_reading(self) -> bool:
        """Whether `read_flows` was called and `FlowsRead` has not come yet."""
        return self._flow_read.is_under_way

    @property
    def is_failing(self) -> bool:
        """Whether several connections in a row ended soon after they were made."""
        return self._attempts.is_failing

    @property
    def faults(self) -> dict[str, str]:
        """The faults of the switch, by subject."""
        faults = self._attempts.faults
        if self._misreads.reason is not None:
            faults["switch messages"] = (
                f"the switch sends invalid messages ({self._misreads.reason}); look for another program at "
                f"{self._target}, or report this with the versions of Trunkline and Open vSwitch"
            )
        return faults

    def run(self) -> list[Event]:
        """Connect, send and read as far as possible without waiting; return what happened, in order."""
        now = ovs.timeval.msec()
        step = self._attempts.run(now)
        if step == ovs.reconnect.CONNECT:
            self._connect(now)
        elif step == ovs.reconnect.DISCONNECT:
            is_open = self._channel.is_open
            self._disconnect("no answer to an echo request" if is_open else "connecting took too long")
        elif step == ovs.reconnect.PROBE:
            self._queue(message.message(message.ECHO_REQUEST, self._channel.next_xid()))
        if self._channel.is_connecting:
            self._finish_connect(now)
        if self._channel.is_open:
            self._receive(now)
        if self._channel.is_open:
            self._flush()
        self._settle(now)
        events, self._events = self._events, []
        return events

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        self._attempts.wait(poller, ovs.timeval.msec())
        self._misreads.wait(poller)
        self._refusals.wait(poller)
        self._channel.wait(poller)

    def read_flows(self) -> None:
        """Request all flows in scope; `FlowsRead` answers, only for the latest call. Raises `NotReady`."""
        self._require_ready()
        self._queue(self._flow_read.request(self._channel.next_xid()))

    def check_flows(self) -> None:
        """Read the flows if they differ from those of the last check; otherwise nothing answers.

        This takes a tenth of a read's work here. If the switch has not answered the last check, the flows are
        read instead. Raises `NotReady`.
        """
        self._require_ready()
        if self._is_monitored and not self._listing.is_under_way:
            self._queue(self._listing.request(self._channel.next_xid()))
        else:
            self.read_flows()

    def catch_up(self) -> None:
        """Send a barrier, if the switch is connected; `CaughtUp` answers, after all that was sent before.

        If the connection ends, the barrier is dropped: what is read by the next one is newer.
        """
        if self._is_ready:
            self._question_xid = self._channel.next_xid()
            self._queue(message.message(message.BARRIER_REQUEST, self._question_xid))

    @property
    def is_caught_up(self) -> bool:
        """Whether the switch has answered the latest `catch_up`, and its flow monitor is not paused."""
        return not self._question_xid and not self._flow_watch.is_paused

    def read_ports(self) -> None:
        """Request all ports; a `PortSeen` for each answers. Raises `NotReady`."""
        self._require_ready()
        self._ports_xid = self._channel.next_xid()
        self._queue(port.request(self._ports_xid))

    def order(self, build: Callable[[int], bytes]) -> None:
        """Send the message that *build* makes of its xid; nothing answers. Raises `NotReady`."""
        self._require_ready()
        self._queue(build(self._channel.next_xid()))

    def read_fragments(self) -> None:
        """Ask how fragments are handled; the switch does not report changes. `FragmentsRead` answers.

        Raises `NotReady`.
        """
        self._require_ready()
        self._queue(message.message(message.GET_CONFIG_REQUEST, self._channel.next_xid()))

    def show_fragments(self) -> None:
        """Set the fragment handling that the flows need: see `message.set_config`. Raises `NotReady`."""
        self._require_ready()
        self._queue(message.set_config(self._channel.next_xid()))

    def send_bundle(self, plan: Plan) -> int:
        """Send *plan* as one ordered, atomic bundle and return its id; an event with that id answers.

        After `BundleApplied` all of it is in place, after `BundleRefused` nothing of it. Several may be
        outstanding; they are applied in the order sent. Raises `NotReady`.
        """
        bundle_id = self.open_bundle()
        self.add_to_bundle(bundle_id, plan)
        self.close_bundle(bundle_id)
        return bundle_id

    def open_bundle(self) -> int:
        """Open a bundle, which `add_to_bundle` fills and `close_bundle` applies; return its id.

        A switch discards one that gets no addition for long: 10 s with Open vSwitch. Raises `NotReady`.
        """
        self._require_ready()
        return self._bundles.open()

    def add_to_bundle(self, bundle_id: int, plan: Plan) -> None:
        """Add *plan* to the open bundle; the switch reads it meanwhile, but changes nothing yet."""
        self._bundles.add(bundle_id, plan)

    def close_bundle(self, bundle_id: int) -> None:
        """Apply all of the open bundle, in the order in which it was sent; an event answers."""
        self._bundles.close(bundle_id)

    def packet_out(self, frame: bytes, actions: tuple[Action, ...], in_port: int | None = None) -> None:
        """Do *actions* with *frame* as if it came in at *in_port* (None: at no port); nothing answers.

        Raises `NotReady`, and `EncodeError` as `message.packet_out` does.
        """
        self._require_ready()
        self._queue(message.packet_out(self._channel.next_xid(), frame, actions, in_port))

    def flush(self) -> None:
        """Send what was queued since `run`, as far as there is room; `run` deals with a lost connection."""
        self._channel.flush()

    def close(self) -> None:
        """End the connection for good; bundles that the switch has not answered may or may not be applied."""
        self._attempts.stop(ovs.timeval.msec())
        self._forget()

    def _require_ready(self) -> None:
        if not self._is_ready:
            raise NotReady(f"{self._target} is not connected; wait for it")

    # The connection

    def _connect(self, now: int) -> None:
        error = self._channel.open()
        if error:
            self._attempts.fail(now, error)
        else:
            self._attempts.begin(now)

    def _finish_connect(self, now: int) -> None:
        error = self._channel.connect()
        if not error:
            self._attempts.make(now)
            self._queue(message.hello(self._channel.next_xid()))
        elif error != errno.EAGAIN:
            self._channel.close()
            self._attempts.fail(now, error)

    def _disconnect(self, why: str) -> None:
        """End this connection; the next attempt follows by itself."""
        was_open, was_ready, events = self._channel.is_open, self._is_ready, self._events
        self._forget()
        self._events = events
        self._attempts.end(ovs.timeval.msec(), why, was_ready=was_ready)
        if was_open:
            self._events.append(Disconnected(why))

    def _settle(self, now: int) -> None:
        """Take note of what has worked for long enough."""
        if self._is_ready:
            self._attempts.settle(now)
        self._misreads.settle()
        self._refusals.settle()
        self._tell(*self._flow_watch.settle())

    def _send(self, data: bytes) -> None:
        """Queue *data* and send what can be sent at once, so that the switch reads it meanwhile."""
        if self._channel.is_open:
            self._queue(data)
            self._flush()

    def _flush(self) -> None:
        if (why := self._channel.flush()) is not None:
            self._disconnect(why)

    def _receive(self, now: int) -> None:
        budget = READ_BUDGET_BYTES
        while self._channel.is_open and budget > 0:
            count, why = self._channel.read()
            self._attempts.receive(now, is_something=count > 0)
            if why is not None:
                self._disconnect(why)
            if not count:
                return
            budget -= count
            try:
                for received in self._channel.messages():
                    self._handle(*received)
            except DecodeError as error:
                self._disconnect(str(error))

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
            self._tell(*self._flow_watch.on_update(received))
        elif kind == message.MULTIPART_REPLY and self._flow_read.owns(xid):
            self._tell(self._flow_read.on_reply(received))
        elif kind == message.MULTIPART_REPLY and xid == self._ports_xid:
            self._events.extend(map(PortSeen, port.ports(received)))
        elif kind == port.PORT_STATUS:
            self._events.append(PortSeen(*port.status(received)))
        elif kind == message.GET_CONFIG_REPLY:
            self._events.append(FragmentsRead(message.fragment_handling(received)))
        elif kind == message.PACKET_IN:
            self._handle_packet_in(received)
        elif kind == message.BARRIER_REPLY and xid == self._question_xid:
            self._question_xid = 0
            self._tell(CaughtUp())
        elif kind == message.BARRIER_REPLY:
            self._tell(self._bundles.on_barrier(xid))
        elif kind == message.BUNDLE_CONTROL:
            self._tell(self._bundles.on_reply(xid))

    def _handle_hello(self, offered: frozenset[int]) -> None:
        if message.VERSION not in offered:
            self._disconnect(not_offered(offered))
        elif not self._is_ready:
            self._is_ready = True
            # This comes first, because without it Open vSwitch reports no ports over `.mgmt`.
            self.show_fragments()
            self._queue(self._flow_watch.request(self._channel.next_xid()))
            if not self.is_failing:
                log.info("switch connected", target=self._target)
            self._events.append(Connected())

    def _handle_packet_in(self, received: bytes) -> None:
        try:
            self._events.append(message.packet_in(received))
        except DecodeError as error:
            # The network could have lost this frame too, so there is no need to connect again.
            self._misreads.note(f"packet-in: {error}")

    def _handle_error(self, xid: int, payload: bytes) -> None:
        if len(payload) < 4:
            raise DecodeError("error message is cut short; connect again")
        why = reason(*struct.unpack_from(">HH", payload))
        if self._bundles.owns(xid):
            self._tell(self._bundles.on_error(xid, why))
        elif not self._is_ready:
            self._disconnect(f"the switch refused the handshake: {why}")
        elif self._flow_read.owns(xid):
            self._disconnect(f"the switch refused to list its flows: {why}")
        elif self._flow_watch.owns(xid):
            if self._is_monitored:
                log.warning("switch reports no changes of flows", target=self._target, reason=why)
            self._is_monitored = False
        elif self._listing.owns(xid):
            log.warning("switch lists no flows", target=self._target, reason=why)
            self.read_flows()
        else:
            self._refusals.note(why)

    def _tell(self, *events: Event | None) -> None:
        """Have the next `run` return *events*; changes of flows that follow on others are one event."""
        for event in events:
            last = self._events[-1] if self._events else None
            if isinstance(event, FlowsDrifted) and isinstance(last, FlowsDrifted):
                last.changes.update(event.changes)
            elif event is not None:
                self._events.append(event)
