"""A listing tells whether a switch's flows have changed: it is one digest over all flows without counters.

Flow statistics hold counters, so no two answers are alike. The first answer to a monitor that asks for the
present flows (OFPFMF_INITIAL, OpenFlow 1.4.0 section 7.3.5.17) has no counters. For the same flows, Open
vSwitch sends the same bytes, in the same order unless some flows changed meanwhile.
"""

from __future__ import annotations

from hashlib import blake2b

from trunkline.openflow import message, monitor


class Listing:
    """The listings of all flows, ours and others', over one connection; one is under way at a time."""

    def __init__(self) -> None:
        self._xid = 0
        self._hash = blake2b(digest_size=16)
        self._last: bytes | None = None

    def request(self, xid: int) -> bytes:
        """Return the request; the switch has to be one that reports changes."""
        self._xid, self._hash = xid, blake2b(digest_size=16)
        return monitor.listing_request(xid)

    @property
    def is_under_way(self) -> bool:
        """Whether an answer, or a part of it, is still to come."""
        return bool(self._xid)

    def owns(self, xid: int) -> bool:
        """Return whether *xid* belongs to the listing under way."""
        return self.is_under_way and xid == self._xid

    def on_reply(self, reply: bytes) -> bool | None:
        """Take a part of the answer, a whole message; return whether this listing equals the previous one.

        Return None if there is more to come. The first listing equals none. Raises `DecodeError` if *reply*
        is cut short.
        """
        is_last = message.is_last_part(reply)
        self._hash.update(reply[message.HEADER_BYTES + 8 :])
        if not is_last:
            return None
        before, self._last = self._last, self._hash.digest()
        self._xid = 0
        return self._last == before
