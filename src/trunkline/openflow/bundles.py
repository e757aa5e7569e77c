"""The bundles of one connection: what is sent for each, and what the switch answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from trunkline.core.plan import Plan
from trunkline.openflow import bundle
from trunkline.openflow.event import BundleApplied, BundleRefused, Refusal
from trunkline.openflow.message import BARRIER_REQUEST, message

_LAST_BUNDLE_ID = 0xFFFFFFFF
_SLICE = 2000
# How many flows are encoded before they are sent: some 400 kB, 6 ms.


@dataclass(slots=True)
class _Bundle:
    """A bundle that the switch has not answered yet, with the keys for each range of its xids."""

    bundle_id: int
    open_xid: int
    stretches: list[tuple[int, list[bytes]]] = field(default_factory=list)
    barrier_xid: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def commit_xid(self) -> int:
        return self.barrier_xid + 1

    def key_at(self, xid: int) -> bytes | None:
        """Return the key of the message *xid*: empty for the bundle itself, None for others."""
        if xid == self.open_xid or (self.barrier_xid and self.barrier_xid <= xid <= self.commit_xid):
            return b""
        for first_xid, keys in self.stretches:
            if first_xid <= xid < first_xid + len(keys):
                return keys[xid - first_xid]
        return None


class Bundles:
    """The bundles that are open or wait for an answer.

    Open vSwitch leaves a message that it cannot parse out of the bundle, and would commit the rest. So that a
    bundle is atomic, a barrier follows its last message. If the switch answers the barrier and reported no
    error before, the bundle is committed, and otherwise discarded.

    *take_xids* returns the first of the given number of consecutive xids; *send* takes messages.
    """

    def __init__(
        self, scope: bundle.Scope, take_xids: Callable[[int], int], send: Callable[[bytes], None]
    ) -> None:
        self._scope, self._take_xids, self._send = scope, take_xids, send
        self._next_id = 1
        self._bundles: dict[int, _Bundle] = {}

    def forget(self) -> None:
        """Drop all bundles: the connection has ended, and the switch has dropped them too."""
        self._bundles.clear()

    def open(self) -> int:
        """Open a bundle and return its id."""
        bundle_id = self._next_id
        self._next_id = bundle_id % _LAST_BUNDLE_ID + 1
        opened = self._bundles[bundle_id] = _Bundle(bundle_id, self._take_xids(1))
        self._send(bundle.control(bundle.OPEN_REQUEST, opened.open_xid, bundle_id))
        return bundle_id

    def add(self, bundle_id: int, plan: Plan) -> None:
        """Add *plan* to the open bundle, after what is in it; ignore a bundle that was dropped."""
        opened = self._bundles.get(bundle_id)
        if opened is None or plan.is_empty:
            return
        first_xid = self._take_xids(len(plan))
        opened.stretches.append((first_xid, bundle.keys(plan)))
        messages = bundle.flow_mods(plan, self._scope, bundle_id, first_xid)
        while some := b"".join(islice(messages, _SLICE)):
            self._send(some)

    def close(self, bundle_id: int) -> None:
        """Have the bundle committed once the switch has taken all of it; an event answers."""
        opened = self._bundles.get(bundle_id)
        if opened is not None:
            opened.barrier_xid = self._take_xids(2)
            self._send(message(BARRIER_REQUEST, opened.barrier_xid))

    # -- answers -----------------------------------------------------------------------------------

    def on_barrier(self, xid: int) -> BundleRefused | None:
        """Handle the reply to a barrier: commit the bundle that it closed, or discard and refuse it."""
        closed = next((each for each in self._bundles.values() if each.barrier_xid == xid), None)
        if closed is None:
            return None
        kind = bundle.DISCARD_REQUEST if closed.refusals else bundle.COMMIT_REQUEST
        self._send(bundle.control(kind, closed.commit_xid, closed.bundle_id))
        return self._refuse(closed) if closed.refusals else None

    def on_reply(self, xid: int) -> BundleApplied | None:
        """Handle the reply to a bundle control message; after that to a commit, the bundle is in place."""
        committed = next((each for each in self._bundles.values() if each.commit_xid == xid), None)
        if committed is None:
            return None
        del self._bundles[committed.bundle_id]
        return BundleApplied(committed.bundle_id)

    def owns(self, xid: int) -> bool:
        """Return whether the message *xid* belongs to a bundle that the switch has not answered yet."""
        return any(each.key_at(xid) is not None for each in self._bundles.values())

    def on_error(self, xid: int, why: str) -> BundleRefused | None:
        """Handle an error about a message that `owns` knows; return the event that follows, if any."""
        at_fault = next(each for each in self._bundles.values() if each.key_at(xid) is not None)
        if not (at_fault.barrier_xid and xid == at_fault.commit_xid):
            at_fault.refusals.append(Refusal(at_fault.key_at(xid) or b"", why))
            return None
        if not at_fault.refusals:
            at_fault.refusals.append(Refusal(b"", why))
        return self._refuse(at_fault)

    def _refuse(self, refused: _Bundle) -> BundleRefused:
        # It is already gone if the connection ended while the switch was told to discard it.
        self._bundles.pop(refused.bundle_id, None)
        return BundleRefused(refused.bundle_id, tuple(refused.refusals))
