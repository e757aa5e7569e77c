"""The watch over a switch's flows: it turns the switch's reports of others' changes into events."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.openflow import monitor
from trunkline.openflow.bundle import Scope
from trunkline.openflow.error import DecodeError
from trunkline.openflow.event import Event, FlowsDrifted, FlowsUnknown
from trunkline.runtime.trouble import Trouble


class FlowWatch:
    """The reports on one connection about flows in *scope*; *misreads* notes the invalid ones.

    After an invalid report, the flows have to be read again. Reading takes time, so further invalid reports
    lead to only one read, once the reports have been valid for a while: see `settle`. While *is_paused*, the
    switch holds reports back; `FlowsUnknown` comes when it goes on.
    """

    def __init__(self, scope: Scope, misreads: Trouble) -> None:
        self._scope, self._misreads = scope, misreads
        self.forget()

    def forget(self) -> None:
        """Drop the state of the connection, which has ended."""
        self._xid = 0
        self.is_paused = False
        self._is_unsure = False

    def request(self, xid: int) -> bytes:
        """Return the request for reports, a message with *xid*."""
        self._xid = xid
        return monitor.request(xid)

    def owns(self, xid: int) -> bool:
        """Return whether *xid* belongs to the request."""
        return xid == self._xid

    def on_update(self, reply: bytes) -> Iterator[Event]:
        """Take a report, a whole message; yield its events."""
        try:
            changes, self.is_paused, is_complete = monitor.updates(
                reply, self._scope, was_paused=self.is_paused
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
        """Yield `FlowsUnknown` once if there were invalid reports that have not led to a read yet."""
        if self._is_unsure and not self._misreads.is_held:
            self._is_unsure = False
            yield FlowsUnknown()
