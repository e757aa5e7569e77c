"""An early start: the first flows of a large change, sent while the others are computed (docs/adr/0013)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from trunkline.core.plan import Plan

MOST_FLOWS = 30_000
"""How many new flows are sent at once: some 60 ms. More go out in portions, still in one bundle."""

PORTION = 5000


class Bundles(Protocol):
    """What an early start needs of the session: a bundle that stays open between two turns."""

    def open_bundle(self) -> int:
        """Open a bundle; return its id."""

    def add_to_bundle(self, bundle_id: int, plan: Plan) -> None:
        """Send *plan* into that bundle."""

    def close_bundle(self, bundle_id: int) -> None:
        """Commit the bundle: all of it takes effect at once."""


class EarlyStart:
    """The bundle of a large change, open until the plan is whole.

    Only adds go out early, and only at keys that have no installed flow: whatever later rows change can still
    be corrected before the commit. `complete` sends what has to follow, so that the bundle as a whole is the
    plan. *desired* are the flows that should be, by key; they change between two calls.
    """

    def __init__(self, bundles: Bundles, desired: Mapping[bytes, bytes]) -> None:
        self._bundles = bundles
        self._desired = desired
        self._bundle_id: int | None = None
        self._adds: dict[bytes, bytes] = {}
        self._portions: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether some flows are on their way."""
        return self._bundle_id is not None

    @property
    def keys(self) -> Collection[bytes]:
        """The keys of the flows that are on their way."""
        return self._adds.keys()

    @property
    def has_more(self) -> bool:
        """Whether `next_portion` has something to send."""
        return bool(self._portions)

    def add(self, keys: Iterable[bytes], installed: Mapping[bytes, bytes]) -> set[bytes]:
        """Send the flows at *keys* that are new, given what is *installed*; return the keys of these."""
        adds = {key: self._desired[key] for key in keys if key in self._desired and key not in installed}
        if adds:
            if self._bundle_id is None:
                self._bundle_id = self._bundles.open_bundle()
            self._bundles.add_to_bundle(self._bundle_id, Plan(adds, {}, {}))
            self._adds.update(adds)
        return set(adds)

    def divide(self, plan: Plan, installed: Mapping[bytes, bytes]) -> bool:
        """Return whether *plan* has so many new flows that they are sent first, by `next_portion`."""
        if len(plan.adds) <= MOST_FLOWS:
            return False
        new = [key for key in plan.adds if key not in installed]
        if len(new) <= MOST_FLOWS:
            return False
        self._portions = new
        return True

    def next_portion(self) -> list[bytes]:
        """Return the keys of the next portion that is left of `divide`, and drop them there."""
        keys, self._portions = self._portions[:PORTION], self._portions[PORTION:]
        return keys

    def complete(self, plan: Plan, touched: Collection[bytes]) -> tuple[int, Plan]:
        """Send what is missing for the bundle to be *plan*, and commit it; return its id, and the whole.

        *touched* are the keys at which anything may have changed since its flow was sent.
        """
        assert self._bundle_id is not None
        bundle_id, sent, desired = self._bundle_id, self._adds, self._desired
        adds = {
            key: desired[key]
            for key in touched
            if key in desired and (key in plan.adds or key in sent) and sent.get(key) != desired[key]
        }
        stale = {key: sent.pop(key) for key in touched if key in sent and key not in desired}
        rest = Plan(adds, plan.modifies, plan.deletes | stale)
        self._bundles.add_to_bundle(bundle_id, rest)
        self._bundles.close_bundle(bundle_id)
        self.forget()
        return bundle_id, Plan(sent | adds, plan.modifies, rest.deletes)

    def forget(self) -> None:
        """Start again with nothing sent: the bundle is committed, or the connection has ended."""
        self._bundle_id = None
        self._adds = {}
        self._portions = []
