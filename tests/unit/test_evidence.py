"""What counters say of the wire between two chassis, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from trunkline.path import trace as tracing
from trunkline.path.endpoint import End, Source, Target, Wire
from trunkline.path.evidence import wire


def counter(packets: int, age_s: float, idle_s: float | None = None) -> dict[str, Any]:
    return {"packets": packets, "age_s": age_s, "idle_s": idle_s}


def said(
    received: dict[str, Any] | None, *, is_announced: bool = False, here_s: float = 800, **sent: Any
) -> tuple[str, bool]:
    sender = {"chassis": "c1", "counters": sent}
    counters = {} if received is None else {"received": received}
    steps = [{"band": "LOCAL_MAC", "age_s": here_s}]
    receiver = {"chassis": "c2", "counters": counters, "steps": steps}
    found = wire(sender, receiver, "physnet1 [101]", is_announced=is_announced)
    return found.text, found.is_lost


def arp(idle_s: float) -> dict[str, Any]:
    """Return the counters of a sender whose last ARP left as a broadcast."""
    seen = counter(310, 900, idle_s)
    return {"sender_arp": seen, "group": seen, "sent": seen}


def test_an_arp_that_was_sent_after_the_last_frame_that_came_is_lost() -> None:
    text, is_lost = said(counter(52, 900, 600), **arp(1))
    assert is_lost
    assert text == (
        "c1 has sent 310 frames (the last one 1 s ago) into physnet1 [101]; c2 has received "
        "52 frames (the last one 600 s ago) of that VLAN: not the ARP of the sender 1 s ago"
    )


def test_a_frame_to_the_receiver_that_was_sent_while_nothing_ever_came_is_lost() -> None:
    text, is_lost = said(counter(0, 900), sent=counter(0, 2000), sent_there=counter(3, 2000, 5))
    assert is_lost
    assert text.endswith(
        "c2 has received none of that VLAN in the 900 s that it counts them: not the frame to it 5 s ago"
    )


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        # Something came since, of whomever.
        (counter(52, 900, 1), arp(1)),
        # So little later that the counter may be late.
        (counter(52, 900, 3), arp(1)),
        # Nothing was sent.
        (counter(0, 900), {"sent": counter(0, 900), "sent_there": counter(0, 900)}),
        # Multicast that a switch may keep back, or frames to a MAC of no port.
        (counter(0, 900), {"sent": counter(310, 900, 1)}),
        (counter(0, 900), {"sent": counter(310, 900, 1), "group": counter(310, 900, 1)}),
        (counter(0, 900), arp(1) | {"sender_arp": counter(9, 900, 60)}),
        (counter(0, 900), arp(1) | {"group": counter(9, 900, 60)}),
        # What was sent may have been sent before the receiver counted.
        (counter(0, 900), {"sent_there": counter(310, 900)}),
        (counter(0, 10), arp(60)),
        # It is not known when the last one came: the switch allows OpenFlow 1.4 alone.
        (counter(52, 900), {"sent_there": counter(310, 5)}),
        (None, arp(1)),
    ],
)
def test_what_has_another_explanation_is_not_called_lost(
    received: dict[str, Any] | None, sent: dict[str, Any]
) -> None:
    assert not said(received, **sent)[1]


def test_an_announcement_that_was_asked_for_is_lost_if_nothing_came_since() -> None:
    def asked(announced_s: float) -> tuple[str, float | None]:
        sender = {"chassis": "c1", "counters": {}, "announced_s": announced_s}
        receiver = {"chassis": "c2", "counters": {"received": counter(52, 900, 10)}, "steps": []}
        return wire(sender, receiver, "physnet1 [101]", is_announced=True)

    assert asked(5) == (
        "no VM of c1 has sent a frame into physnet1 [101]; c2 has received 52 frames (the last one 10 s ago) "
        "of that VLAN: not the announcement of the sender 5 s ago",
        5,
    )
    # It may have come itself.
    assert asked(8)[1] is None


def test_a_frame_to_a_receiver_that_has_moved_here_since_is_not_called_lost() -> None:
    assert said(counter(0, 900), sent_there=counter(3, 2000, 60), here_s=61)[1]
    assert not said(counter(0, 900), sent_there=counter(3, 2000, 60), here_s=30)[1]


def test_without_openflow_15_the_age_of_the_senders_flow_is_enough_if_the_receivers_is_older() -> None:
    assert said(counter(0, 900), sent_there=counter(3, 400))[1]


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


@pytest.mark.parametrize(("later_s", "is_lost"), [(0.5, True), (5.0, False)])
def test_a_chassis_that_counted_later_has_not_lost_what_is_older_by_then(
    monkeypatch: pytest.MonkeyPatch, later_s: float, *, is_lost: bool
) -> None:
    """The second chassis is asked *later_s* after the first: all that it counted is so much older."""
    now_s = [100.0]
    monkeypatch.setattr(tracing, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    out = {"fault": None, "vlans": [101], "mtu": None, "port": None}
    hops: dict[str, dict[str, Any]] = {
        "c1": {"out": [out | {"kind": "wire", "interface": "eth0", "physnet": "physnet1"}], "steps": []},
        "c2": {
            "out": [out | {"kind": "vif", "interface": "tap2", "port": "vm2", "vlans": []}],
            "steps": [{"band": "LOCAL_MAC", "age_s": 900.0}],
        },
    }
    counted = {
        "c1": {"sent_there": counter(3, 900, 60.0)},
        "c2": {"received": counter(52, 900, 60.0 + later_s + 0.2 if not is_lost else 70.0)},
    }

    def ask(names: Sequence[str], _: object) -> dict[str, Any]:
        (name,) = names
        now_s[0] += later_s if name == "c2" else 0.0
        common: dict[str, Any] = {"chassis": name, "fault": None, "drop": None, "dropped": [], "more": 0}
        return {name: {**hops[name], **common, "counters": counted[name]}}

    one, other = (End(f"vm{at}", at, (), f"vm{at}", f"c{at}") for at in (1, 2))
    here = Source(Wire("blue", "physnet1", 101, "uuid"), one)
    found = tracing.trace(here, Target(other.mac, (other,)), bytes(60), "a frame", ask)
    assert [each.is_lost for each in found.outcomes] == [is_lost]
