"""Whether a switch's flows are those that they were: all of them, without counters, as one digest.

Flow statistics hold counters, so that no two answers are alike. The first answer to a monitor that asks for
what is there (OFPFMF_INITIAL, OpenFlow 1.4.0 section 7.3.5.17) has none: Open vSwitch sends the same bytes
for the same flows, in the same order unless some changed meanwhile.
"""

from __future__ import annotations

from hashlib import blake2b

from trunkline.openflow import message, monitor


class Listing:
    """Listings of one connection's flows, whoever put them there; one is under way at a time."""

    def __init__(self) -> None:
        self._xid = 0
        self._hash = blake2b(digest_size=16)
        self._last: bytes | None = None

    def request(self, xid: int) -> bytes:
        """Return the question, to a switch that reports changes."""
        self._xid, self._hash = xid, blake2b(digest_size=16)
        return monitor.listing_request(xid)

    @property
    def is_under_way(self) -> bool:
        """Whether an answer, or the rest of it, is still to come."""
        return bool(self._xid)

    def owns(self, xid: int) -> bool:
        """Return whether *xid* is that of the listing under way."""
        return self.is_under_way and xid == self._xid

    def on_reply(self, reply: bytes) -> bool | None:
        """Take a part of the answer, a whole message; return whether this listing is the last one once more.

        None: there is more to come. The first listing is like none. Raises `DecodeError` where *reply* is cut
        short.
        """
        is_last = message.is_last_part(reply)
        self._hash.update(reply[message.HEADER_BYTES + 8 :])
        if not is_last:
            return None
        before, self._last = self._last, self._hash.digest()
        self._xid = 0
        return self._last == before
