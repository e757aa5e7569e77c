"""The watch over a switch's flows: what it reports of changes that others make, as events."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.openflow import monitor
from trunkline.openflow.bundle import Scope
from trunkline.openflow.error import DecodeError
from trunkline.openflow.event import Event, FlowsDrifted, FlowsUnknown
from trunkline.runtime.trouble import Trouble


class FlowWatch:
    """The reports on one connection about flows in *scope*; those that make no sense are noted as *misreads*.

    After a report that cannot be decoded the flows have to be read again. Reading takes time, so further such
    reports lead to one read only, when the switch has made sense for a while: see `settle`.
    """

    def __init__(self, scope: Scope, misreads: Trouble) -> None:
        self._scope, self._misreads = scope, misreads
        self.forget()

    def forget(self) -> None:
        """Drop what is known of the connection: it has ended."""
        self._xid = 0
        self._is_paused = False
        self._is_unsure = False

    def request(self, xid: int) -> bytes:
        """Return the question for reports, a message with *xid*."""
        self._xid = xid
        return monitor.request(xid)

    def owns(self, xid: int) -> bool:
        """Return whether *xid* is that of the question."""
        return xid == self._xid

    def on_update(self, reply: bytes) -> Iterator[Event]:
        """Take in a report, a whole message; yield what happened."""
        try:
            changes, self._is_paused, is_complete = monitor.updates(
                reply, self._scope, was_paused=self._is_paused
            )
        except DecodeError as error:
            is_first = not self._misreads.is_held
            self._misreads.note(f"flow update: {error}")
            self._is_unsure |= not is_first
            changes, is_complete = {}, not is_first
        if changes:
            yield FlowsDrifted(changes)
        if not is_complete:
            yield FlowsUnknown()

    def settle(self) -> Iterator[Event]:
        """Yield that the flows are unknown, once, if there were reports that led to no read yet."""
        if self._is_unsure and not self._misreads.is_held:
            self._is_unsure = False
            yield FlowsUnknown()
