"""A read of a switch's flows: the request, and the answer, which comes in several messages."""

from __future__ import annotations

from trunkline.openflow import message
from trunkline.openflow.bundle import Scope
from trunkline.openflow.event import FlowsRead


class FlowRead:
    """The reads of the flows in *scope* on one connection; only the latest read is answered."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.forget()

    def forget(self) -> None:
        """Drop the read that is under way, if any."""
        self._xid = 0
        self._flow_by_key: dict[bytes, bytes] = {}
        self._replies: list[bytes] = []

    def request(self, xid: int) -> bytes:
        """Return the request, a message with *xid*; answers to the previous request are dropped."""
        self.forget()
        self._xid = xid
        return message.flow_stats_request(xid, *self._scope)

    @property
    def is_under_way(self) -> bool:
        """Whether the answer, or a part of it, is still to come."""
        return bool(self._xid)

    def owns(self, xid: int) -> bool:
        """Return whether *xid* belongs to the read under way."""
        return self.is_under_way and xid == self._xid

    def on_reply(self, reply: bytes) -> FlowsRead | None:
        """Take a part of the answer, a whole message; after the last part, return all of it."""
        is_last = message.is_last_part(reply)
        message.flow_entries(reply, self._flow_by_key)
        self._replies.append(reply)
        if not is_last:
            return None
        read = FlowsRead(self._flow_by_key, tuple(self._replies))
        self.forget()
        return read
