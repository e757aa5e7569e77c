"""A read of a switch's flows: the question, and the answer, which comes in several messages."""

from __future__ import annotations

from trunkline.openflow import message
from trunkline.openflow.bundle import Scope
from trunkline.openflow.event import FlowsRead


class FlowRead:
    """The reads of one connection, of the flows in *scope*: the latest one is answered, others are not."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.forget()

    def forget(self) -> None:
        """Drop the read that is under way, if any."""
        self._xid = 0
        self._flow_by_key: dict[bytes, bytes] = {}
        self._replies: list[bytes] = []

    def request(self, xid: int) -> bytes:
        """Return the question, a message with *xid*; answers to the question before it are dropped."""
        self.forget()
        self._xid = xid
        return message.flow_stats_request(xid, *self._scope)

    @property
    def is_under_way(self) -> bool:
        """Whether the answer, or the rest of it, is still to come."""
        return bool(self._xid)

    def owns(self, xid: int) -> bool:
        """Return whether *xid* is that of the read under way."""
        return self.is_under_way and xid == self._xid

    def on_reply(self, reply: bytes) -> FlowsRead | None:
        """Take a part of the answer, a whole message; return all of it with the last one, None before."""
        is_last = message.is_last_part(reply)
        message.flow_entries(reply, self._flow_by_key)
        self._replies.append(reply)
        if not is_last:
            return None
        read = FlowsRead(self._flow_by_key, tuple(self._replies))
        self.forget()
        return read
