"""Forwarding: brings the flows of the integration bridge from what is installed to what is desired."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import ovs.poller

from trunkline import apps
from trunkline.bridge.drift import Contest, DriftLog
from trunkline.bridge.early_start import EarlyStart
from trunkline.core import plan as planning
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK
from trunkline.core.desired import Desired
from trunkline.core.plan import Plan
from trunkline.core.subject import SubjectId
from trunkline.core.view import View, weight
from trunkline.openflow import message
from trunkline.openflow.error import EncodeError
from trunkline.openflow.event import (
    BundleApplied,
    BundleRefused,
    CaughtUp,
    Connected,
    Disconnected,
    Event,
    FlowsDrifted,
    FlowsRead,
    FlowsUnknown,
)
from trunkline.openflow.session import Session
from trunkline.runtime.log import Log
from trunkline.runtime.trouble import Trouble

log = Log("forwarding")


LARGE_UPDATE = 1000
"""From how many views on, the first flows are sent while the others are still computed."""

_SLICE = 250
"""How many views, by weight, are turned into flows before the clock is looked at again: some 15 ms."""


@dataclass(frozen=True)
class _Sent:
    bundle_id: int
    plan: Plan
    revision: int
    drifts: int


class Forwarding:
    """The flows of the bridge whose management socket is *target*.

    `update` says which flows should be there. `send` sends the difference as one atomic bundle; there is one
    bundle at a time. *revision* is that of the rows which the last update followed from
    (`Inventory.revision`), *applied* the one that the switch has acknowledged last. What somebody else
    changes is put back as soon as the switch reports it, but not without limit: see `Contest`. *repairs*
    counts these flows.
    """

    def __init__(self, target: str) -> None:
        self.session = Session(target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
        self.desired: Desired[SubjectId] = Desired()
        self.installed: dict[bytes, bytes] | None = None
        self.revision = 0
        self.applied = -1
        self.repairs = 0
        self.refused: dict[SubjectId, str] = {}
        self._view_by_subject: dict[SubjectId, View] = {}
        self._drift_log = DriftLog(log)
        self._contest = Contest(log)
        self._drifted: set[bytes] = set()
        # How many drifts were noted: all, those in the last plan, those put back, those before an answer.
        self._drifts = self._planned_drifts = self._settled_drifts = self._asked_drifts = 0
        self._touched: set[bytes] = set()
        self._sent: _Sent | None = None
        self._early_start = EarlyStart(self.session, self.desired.body_by_key)
        self._waiting: dict[SubjectId, View | None] = {}
        self._is_large = False
        self._is_unsure = False
        self._refusals = Trouble(
            lambda reason: log.error("switch refuses changes of flows as a whole", reason=reason),
            lambda times: log.info("switch accepts changes of flows again", refused=times),
        )

    # -- what should be ----------------------------------------------------------------------------

    def update(
        self,
        view_by_subject: Mapping[SubjectId, View | None],
        revision: int,
        *,
        is_whole: bool = True,
        may_go: Callable[[], bool] = lambda: True,
    ) -> None:
        """Give each subject the flows that follow from its view; None means no flows.

        *revision* is that of the rows, even if no view changed with it. A view that did not change costs
        nothing: every chassis hears of each port's `up`, which changes no flow. If the change is not whole
        yet (*is_whole*), more follows before it is sent. Work goes on while it *may_go* on; the rest is left
        to the next update.
        """
        self.revision = revision
        for subject, view in view_by_subject.items():
            if self._view_by_subject.get(subject) != view:
                self._waiting[subject] = view
            else:
                self._waiting.pop(subject, None)
        self._is_large |= not is_whole or len(self._waiting) >= LARGE_UPDATE
        while self.has_more and may_go():
            self._compute()
        self._is_large &= self.has_more

    def _compute(self) -> None:
        """Turn the next views into flows, or send the next portion of flows, if `send` found too many."""
        if not self._waiting:
            self._touched -= self._send_early(self._early_start.next_portion())
            return
        some = self._next_slice()
        touched = self.desired.replace(
            {subject: self._encoded(subject, view) for subject, view in some.items()}
        )
        self._touched |= touched - self._send_early(touched) if self._is_large else touched

    def _next_slice(self) -> dict[SubjectId, View | None]:
        """Return the views of one slice, those that have waited longest, and take them off the list."""
        some: dict[SubjectId, View | None] = {}
        total = 0
        for subject, view in self._waiting.items():
            if total >= _SLICE:
                break
            some[subject] = view
            total += weight(view)
        for subject in some:
            del self._waiting[subject]
        return some

    @property
    def has_more(self) -> bool:
        """Whether an update left something to compute; no change is committed before that is done."""
        return bool(self._waiting) or self._early_start.has_more

    def _encoded(self, subject: SubjectId, view: View | None) -> list[tuple[bytes, bytes]]:
        self._view_by_subject.pop(subject, None)
        try:
            flows = encoded(view)
        except EncodeError as error:
            self.refused[subject] = str(error)
            return []
        if view is not None:
            self._view_by_subject[subject] = view
        return flows

    # -- what is -----------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether the bridge is connected and its flows are known."""
        return self.session.is_ready and self.installed is not None

    @property
    def is_applied(self) -> bool:
        """Whether the switch has acknowledged the flows of all updates."""
        return self.is_connected and self.applied == self.revision and not self.has_more

    @property
    def is_awaited(self) -> bool:
        """Whether the switch has yet to tell its flows, or to take some.

        A switch that hangs does not do so for ever: its connection ends.
        """
        return self._sent is not None or self.session.is_reading

    def catch_up(self) -> None:
        """Ask the switch for an answer, which comes after all that it has done so far: see `is_caught_up`."""
        self.session.catch_up()

    @property
    def is_caught_up(self) -> bool:
        """Whether all that others had changed by the latest `catch_up` is known, and has been put back.

        What they change later does not count: somebody who changes flows again and again must not keep a
        request without an answer.
        """
        is_known = self.session.is_caught_up and not self._is_unsure and not self.session.is_reading
        return is_known and self._settled_drifts >= self._asked_drifts

    def read_flows(self) -> None:
        """Ask the switch for all its flows, unless that is under way; they are compared when they come."""
        if self.session.is_ready and not self.session.is_reading:
            self.session.read_flows()

    @property
    def progress(self) -> tuple[object, ...]:
        """What one step of a turn sets here, and an earlier step of the loop reads: see `Agent`."""
        is_read, has_flows = self.installed is not None, self.applied >= 0
        return is_read, has_flows, len(self._drifted), self._contest.is_on

    def audit(self) -> None:
        """Have all flows compared with what the switch has, in case it did not report a drift."""
        if self.session.is_ready:
            self.session.check_flows()

    def pending(self) -> Plan:
        """Return what would change now, by comparing all flows."""
        return planning.plan(self.desired.body_by_key, self.installed or {})

    def run(self) -> list[Event]:
        """Read what the switch says, as far as that is possible without waiting; return what happened."""
        events = self.session.run()
        for event in events:
            self._on_event(event)
        self._drift_log.settle()
        self._contest.settle()
        return events

    @property
    def faults(self) -> dict[str, str]:
        """What keeps the flows from being as they should be, by subject."""
        faults = self._contest.faults | self.session.faults
        if self._refusals.reason is not None:
            faults["switch changes"] = (
                f"the switch refuses changes of flows, and does not say which flow is wrong "
                f"({self._refusals.reason}); it keeps the flows that it has. See the log of ovs-vswitchd"
            )
        return faults

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        self.session.wait(poller)
        self._refusals.wait(poller)
        if not self._drift_log.is_settled:
            poller.timer_wait(1000)
        next_s = self._contest.next_s(is_waiting=bool(self._drifted))
        if next_s is not None:
            poller.timer_wait(max(0, int((next_s - time.monotonic()) * 1000) + 1))

    def close(self) -> None:
        """End the connection; the switch keeps its flows."""
        self.session.close()

    def _on_event(self, event: Event) -> None:
        match event:
            case Connected():
                self._forget()
                self._refusals.forgive()
                self.read_flows()
            case Disconnected():
                self._forget()
            case FlowsRead(flow_by_key=flow_by_key):
                if self.installed is None and not self.session.is_failing and self._refusals.reason is None:
                    log.info("flows read", flows=len(flow_by_key))
                if self._sent is None and flow_by_key == self.installed:
                    return
                if self._sent is None:
                    if self.installed is not None:
                        self._drift(_difference(self.installed, flow_by_key))
                        self._asked_drifts = self._drifts
                    self.installed = dict(flow_by_key)
                    self._touched = {*flow_by_key, *self.desired.body_by_key, *self._early_start.keys}
                else:
                    # A bundle was sent meanwhile; what was read may be from before it.
                    self.read_flows()
            case FlowsDrifted(changes):
                self._drift(changes)
            case FlowsUnknown():
                self._is_unsure = True
            case CaughtUp():
                self._asked_drifts = self._drifts
            case BundleApplied(bundle_id):
                sent = self._finish(bundle_id)
                if sent is not None and self.installed is not None:
                    planning.advance(self.installed, sent.plan)
                    self.applied = sent.revision
                    self._settled_drifts = sent.drifts
                    self._refusals.over()
            case BundleRefused(bundle_id, refusals):
                sent = self._finish(bundle_id)
                if sent is not None:
                    self._touched |= {*sent.plan.adds, *sent.plan.modifies, *sent.plan.deletes}
                for key, reason in refusals:
                    self._refuse(key, reason)

    def _drift(self, body_by_key: Mapping[bytes, bytes | None]) -> None:
        """Note what is installed at some keys now, by somebody else; None means nothing is."""
        if self.installed is None:
            # The flows are being read; the answer will show the change.
            return
        for key, body in body_by_key.items():
            if body == self.installed.get(key):
                continue
            if body is None:
                del self.installed[key]
            else:
                self.installed[key] = body
            self._drifted.add(key)
            self._drifts += 1
            wanted = self.desired.body_by_key.get(key)
            if body != wanted:
                self.repairs += 1
                self._contest.note(key)
                if not self._contest.is_on:
                    self._drift_log.report(key, wanted, body)

    def _refuse(self, key: bytes, reason: str) -> None:
        subject = self.desired.subject_of(key)
        if subject is None:
            # No desired flow has that key: what we know of the switch is wrong, so its flows are read again.
            self._refusals.note(reason)
            self._forget()
            self.read_flows()
        else:
            log.error("switch refused a flow", subject=subject, reason=reason)
            self.refused[subject] = f"the switch refused a flow of it: {reason}"

    def _forget(self) -> None:
        self.installed = None
        self.applied = -1
        self._sent = None
        self._early_start.forget()
        self._is_unsure = False

    def _finish(self, bundle_id: int) -> _Sent | None:
        if self._sent is None or self._sent.bundle_id != bundle_id:
            return None
        sent, self._sent = self._sent, None
        return sent

    def send(self) -> None:
        """Send the difference between the desired and the installed flows, unless a bundle is under way.

        Nothing is sent before the installed flows have been read.
        """
        if not self.is_connected or self._sent is not None or self.refused or self.installed is None:
            return
        if self._refusals.is_held or self.has_more:
            return
        is_repair = bool(self._drifted) and self._contest.take_turn()
        if is_repair:
            self._touched |= self._drifted
            self._drifted = set()
            self._planned_drifts = self._drifts
        plan = planning.plan(self.desired.body_by_key, self.installed, self._touched)
        if self._refusals.reason is None and self._early_start.divide(plan, self.installed):
            return
        if plan.is_empty and not self._early_start.is_open:
            self._touched = set()
            self.applied = self.revision
            self._settled_drifts = self._planned_drifts
            if self._is_unsure:
                # Only now: reading takes the switch time that repairs need more.
                self._is_unsure = False
                self.read_flows()
            return
        if self._early_start.is_open:
            bundle_id, plan = self._early_start.complete(plan, self._touched)
        else:
            bundle_id = self.session.send_bundle(plan)
        if not (is_repair and self._contest.is_on) and self._refusals.reason is None:
            log.info(
                "flows sent", adds=len(plan.adds), modifies=len(plan.modifies), deletes=len(plan.deletes)
            )
        self._touched = set()
        self._sent = _Sent(bundle_id, plan, self.revision, self._planned_drifts)

    def _send_early(self, keys: Iterable[bytes]) -> set[bytes]:
        """Send the new flows at *keys* ahead of the rest, if that is possible now; return their keys."""
        if not self.is_connected or self._sent is not None or self.refused or self.installed is None:
            return set()
        if self._refusals.reason is not None:
            return set()
        return self._early_start.add(keys, self.installed)


def encoded(view: View | None) -> list[tuple[bytes, bytes]]:
    """Return the flows that follow from *view*, as (key, body). Raises `EncodeError`."""
    return [] if view is None else [message.encode(flow) for flow in apps.flows(view)]


def encodable(view: View | None) -> list[tuple[bytes, bytes]]:
    """Return what `encoded` returns; no flows if one cannot be encoded: its network gets into quarantine."""
    try:
        return encoded(view)
    except EncodeError:
        return []


def _difference(old: Mapping[bytes, bytes], new: Mapping[bytes, bytes]) -> dict[bytes, bytes | None]:
    """Return what *new* has at the keys at which it differs from *old*; None for nothing."""
    return {key: new.get(key) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
