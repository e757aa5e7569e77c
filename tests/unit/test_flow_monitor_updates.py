from __future__ import annotations

import struct

import pytest

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK
from trunkline.openflow import message, monitor
from trunkline.openflow.bundle import Scope
from trunkline.openflow.error import DecodeError
from trunkline.openflow.monitor import Updates, updates

SCOPE = Scope(COOKIE_OURS, COOKIE_OURS_MASK)
OURS, FOREIGN = COOKIE_OURS | 1, 5
ADDED, REMOVED, MODIFIED, ABBREVIATED, PAUSED, RESUMED = range(1, 7)
KEY = bytes.fromhex("32 0064 80000004 00000001")
DROP = COOKIE_OURS.to_bytes(8, "big")[:7] + b"\1"
GOTO = bytes.fromhex("000100083c000000")


def full(event: int, cookie: int = OURS, instructions: bytes = b"", key: bytes = KEY) -> bytes:
    fields = key[3:]
    match = struct.pack(">HH", 1, 4 + len(fields)) + fields
    match += bytes(-len(match) % 8)
    length = 24 + len(match) + len(instructions)
    priority = int.from_bytes(key[1:3], "big")
    head = struct.pack(">HHBBHHH4xQ", length, event, key[0], 0, 0, 0, priority, cookie)
    return head + match + instructions


def short(event: int) -> bytes:
    return struct.pack(">HHI", 8, event, 0)


def reply(*entries: bytes) -> bytes:
    return message.message(message.MULTIPART_REPLY, 0, struct.pack(">HHxxxx", 16, 0) + b"".join(entries))


def test_question_asks_for_changes_with_instructions_and_not_for_what_is_there() -> None:
    head = "05 12 0028 00000009 0010 0000 00000000"
    body = "00000001 ffffffff ffffffff 001e ff 00 0001 0004 00000000"
    assert monitor.request(9) == bytes.fromhex(head + body)


def test_a_listing_is_the_same_question_anew_with_what_is_there() -> None:
    asked = "05 12 0028 00000009 0010 0000 00000000 00000001 ffffffff ffffffff 001f ff 01 0001 0004 00000000"
    assert monitor.listing_request(9) == bytes.fromhex(asked)


def test_update_is_told_from_flow_statistics() -> None:
    statistics = message.message(message.MULTIPART_REPLY, 0, struct.pack(">HHxxxx", 1, 0))
    assert monitor.is_update(reply())
    assert not monitor.is_update(statistics)
    assert not monitor.is_update(statistics[:9])


@pytest.mark.parametrize(
    ("entry", "changes"),
    [
        (full(ADDED), {KEY: DROP}),
        (full(ADDED, instructions=GOTO), {KEY: DROP + GOTO}),
        (full(MODIFIED, instructions=GOTO), {KEY: DROP + GOTO}),
        (full(REMOVED, instructions=GOTO), {KEY: None}),
        (full(ADDED, FOREIGN), {KEY: None}),
        (full(MODIFIED, FOREIGN), {KEY: None}),
        (full(REMOVED, FOREIGN), {}),
        (short(ABBREVIATED), {}),
    ],
)
def test_update_says_what_stands_at_the_key_now(entry: bytes, changes: dict[bytes, bytes | None]) -> None:
    assert updates(reply(entry), SCOPE) == Updates(changes)


def test_last_change_of_a_key_counts() -> None:
    assert updates(reply(full(REMOVED), full(ADDED)), SCOPE).changes == {KEY: DROP}
    assert updates(reply(full(ADDED), full(REMOVED)), SCOPE).changes == {KEY: None}


def test_match_of_any_length_is_found() -> None:
    for count in range(9):
        key = KEY[:3] + bytes(range(count))
        assert updates(reply(full(ADDED, instructions=GOTO, key=key)), SCOPE).changes == {key: DROP + GOTO}


def test_nothing_is_taken_between_pause_and_resumption_and_then_all_is_unknown() -> None:
    assert updates(reply(full(ADDED), short(PAUSED), full(REMOVED)), SCOPE) == Updates({KEY: DROP}, True)
    assert updates(reply(full(REMOVED)), SCOPE, was_paused=True) == Updates({}, True)
    resumed = updates(reply(full(ADDED), short(RESUMED)), SCOPE, was_paused=True)
    assert resumed == Updates({}, is_paused=False, is_complete=False)


@pytest.mark.parametrize(
    "entry",
    [
        b"\0",
        short(7),
        struct.pack(">HHI", 4, ABBREVIATED, 0),
        full(ADDED)[:-8],
        struct.pack(">HHI", 8, ADDED, 0),
    ],
)
def test_update_that_makes_no_sense_is_refused(entry: bytes) -> None:
    with pytest.raises(DecodeError, match="read the flows again"):
        updates(reply(entry), SCOPE)
