from __future__ import annotations

import struct

import pytest

from trunkline.openflow import message
from trunkline.openflow.error import DecodeError
from trunkline.openflow.listing import Listing


def part(xid: int, body: bytes, *, is_last: bool = True) -> bytes:
    return message.message(message.MULTIPART_REPLY, xid, struct.pack(">HHxxxx", 16, not is_last) + body)


def listed(listing: Listing, xid: int, *bodies: bytes) -> bool | None:
    listing.request(xid)
    answers = [
        listing.on_reply(part(xid, body, is_last=number == len(bodies)))
        for number, body in enumerate(bodies, start=1)
    ]
    assert answers[:-1] == [None] * (len(bodies) - 1)
    return answers[-1]


def test_a_listing_is_compared_with_the_last_one_whole() -> None:
    listing = Listing()
    assert listed(listing, 1, b"one", b"two") is False, "there was none before it"
    assert listed(listing, 3, b"one", b"two") is True, "whatever the xid"
    assert listed(listing, 5, b"one", b"six") is False
    assert listed(listing, 7, b"one", b"six") is True
    assert listed(listing, 9, b"one") is False
    assert listed(listing, 11, b"") is False


def test_a_listing_is_under_way_until_its_last_part() -> None:
    listing = Listing()
    assert not listing.is_under_way
    listing.request(3)
    assert listing.owns(3)
    assert not listing.owns(4)
    assert listing.on_reply(part(3, b"half", is_last=False)) is None
    assert listing.is_under_way
    assert listing.on_reply(part(3, b"half")) is False
    assert not listing.is_under_way
    assert not listing.owns(3)


def test_no_xid_is_that_of_a_listing_before_there_is_one() -> None:
    assert not Listing().owns(0)


def test_an_answer_that_is_cut_short_is_refused() -> None:
    listing = Listing()
    listing.request(1)
    with pytest.raises(DecodeError, match="cut short"):
        listing.on_reply(part(1, b"")[:12])
