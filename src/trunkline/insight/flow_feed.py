"""A flow feed: all flows of a bridge, kept current by what the switch reports of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.insight.connection import RefusedError, SwitchError
from trunkline.openflow import monitor
from trunkline.openflow.bundle import Scope
from trunkline.openflow.error import DecodeError

if TYPE_CHECKING:
    from trunkline.insight.connection import Connection

_ALL = Scope(0, 0)


class FlowFeed:
    """The flows of the bridge at *connection*, whosever they are: bodies by key, as of `message.encode`."""

    def __init__(self, connection: Connection) -> None:
        self.flows: dict[bytes, bytes] = {}
        self._connection = connection
        self._is_monitored = True
        self._is_known = False
        self._is_paused = False

    def read(self) -> dict[bytes, bytes | None]:
        """Return what has become of *flows* since the last call: bodies by key, None for one that is gone.

        *flows* has it too, then. Raises `SwitchError` if the switch does not answer in time.
        """
        changes = self._reported()
        if changes is None or not self._is_known:
            changes = self._listed()
        changes = {key: body for key, body in changes.items() if self.flows.get(key) != body}
        for key, body in changes.items():
            if body is None:
                del self.flows[key]
            else:
                self.flows[key] = body
        self._is_known = True
        return changes

    def _reported(self) -> dict[bytes, bytes | None] | None:
        """Return what the switch has reported; None if that is not all."""
        if not self._is_monitored:
            return None
        found: dict[bytes, bytes | None] = {}
        is_all = not self._is_paused
        try:
            for report in self._connection.reports():
                updates = monitor.updates(report, _ALL, was_paused=self._is_paused)
                found |= updates.changes
                self._is_paused = updates.is_paused
                is_all &= updates.is_complete and not updates.is_paused
        except RefusedError:
            self._is_monitored = False
            return None
        except DecodeError as error:
            raise SwitchError(str(error)) from error
        return found if is_all else None

    def _listed(self) -> dict[bytes, bytes | None]:
        """Return what is other by the list of all flows. Reports of what happens meanwhile come later."""
        there = {flow.key: flow.body for flow in self._connection.flows()}
        return {**dict.fromkeys(self.flows.keys() - there.keys()), **there}
