"""What counters say of the wire between two chassis, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.insight.evidence import wire


def counter(packets: int, age_s: float, idle_s: float | None = None) -> dict[str, Any]:
    return {"packets": packets, "age_s": age_s, "idle_s": idle_s}


def said(received: dict[str, Any] | None, *, is_announced: bool = False, **sent: Any) -> tuple[str, bool]:
    sender = {"chassis": "c1", "counters": sent}
    receiver = {"chassis": "c2", "counters": {} if received is None else {"received": received}}
    return wire(sender, receiver, "physnet1 [101]", is_announced=is_announced)


def test_a_frame_that_was_sent_after_the_last_that_came_is_lost() -> None:
    text, is_lost = said(counter(52, 900, 600), sent=counter(310, 900, 1))
    assert is_lost
    assert text == (
        "c1 has sent 310 frames (the last one 1 s ago) into physnet1 [101]; "
        "c2 has received 52 frames (the last one 600 s ago) of that VLAN"
    )


def test_a_frame_that_was_sent_while_nothing_ever_came_is_lost() -> None:
    text, is_lost = said(counter(0, 900), sent=counter(310, 2000, 1))
    assert is_lost
    assert text.endswith("c2 has received none of that VLAN in 900 s")


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        # Something came since, of whomever.
        (counter(52, 900, 1), counter(310, 900, 1)),
        # So little later that the counter may be late.
        (counter(52, 900, 3), counter(310, 900, 1)),
        # Nothing was sent.
        (counter(0, 900), counter(0, 900)),
        # What was sent may have been sent before the receiver counted.
        (counter(0, 900), counter(310, 900)),
        (counter(0, 10), counter(310, 900, 60)),
        # It is not known when the last one came: the switch allows OpenFlow 1.4 alone.
        (counter(52, 900), counter(310, 5)),
        (None, counter(310, 900, 1)),
    ],
)
def test_what_has_another_explanation_is_not_called_lost(
    received: dict[str, Any] | None, sent: dict[str, Any]
) -> None:
    assert not said(received, sent=sent)[1]


def test_without_openflow_15_the_age_of_the_senders_flow_is_enough_if_the_receivers_is_older() -> None:
    assert said(counter(0, 900), sent_there=counter(3, 400))[1]


def test_frames_to_the_receiver_alone_count_as_much_as_broadcasts() -> None:
    text, is_lost = said(counter(0, 900), sent=counter(0, 2000), sent_there=counter(3, 2000, 5))
    assert is_lost
    assert "3 frames" in text


@pytest.mark.parametrize(
    ("age_s", "since_s", "is_lost"),
    [
        # Announced 20, 19, 17, 13 and 5 s ago.
        (20, 900, True),
        (20, 10, True),
        (20, 7, False),
        # Hours ago, before the receiver was there.
        (9000, 900, False),
        # A moment ago: the counters may be late.
        (2, 900, False),
    ],
)
def test_announcements_of_the_sender_are_expected_too(age_s: float, since_s: float, is_lost: bool) -> None:
    sender = counter(0, age_s)
    assert said(counter(0, since_s), sender=sender, is_announced=True)[1] == is_lost
    assert not said(counter(0, since_s), sender=sender, is_announced=False)[1]
