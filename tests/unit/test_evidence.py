"""What counters say of the wire between two chassis, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from trunkline.path import trace as tracing
from trunkline.path.endpoint import End, Source, Target, Wire
from trunkline.path.evidence import COLD_S, LAG_S, Evidence, Reading, wire

SOON_S = 0.1
"""How much later the receiver has counted, at most, if it was asked right after the sender."""


def counter(packets: int, age_s: float, idle_s: float | None = None) -> dict[str, Any]:
    return {"packets": packets, "age_s": age_s, "idle_s": idle_s}


def said(
    received: dict[str, Any] | None, *, is_announced: bool = False, here_s: float = 800, **sent: Any
) -> tuple[str, bool]:
    found = told([Reading(shown(**sent), 0, SOON_S)], received, is_announced=is_announced, here_s=here_s)
    return found.text, found.is_lost


def shown(**sent: Any) -> dict[str, Any]:
    """Return the hop of a sender that has counted what is *sent*."""
    return {"chassis": "c1", "counters": sent}


def told(
    senders: Sequence[Reading],
    received: dict[str, Any] | None,
    *,
    is_announced: bool = False,
    here_s: float = 800,
) -> Evidence:
    counters = {} if received is None else {"received": received}
    steps = [{"band": "LOCAL_MAC", "age_s": here_s}]
    receiver = {"chassis": "c2", "counters": counters, "steps": steps}
    return wire(senders, receiver, "physnet1 [101]", is_announced=is_announced)


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
        # So little later that the counter may be late: not yet.
        (counter(52, 900, 3), arp(1)),
        # It is not known which came first within a second.
        (counter(52, 900, 61), arp(60)),
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
        return wire([Reading(sender)], receiver, "physnet1 [101]", is_announced=True)[:2]

    assert asked(5) == (
        "no VM of c1 has sent a frame into physnet1 [101]; c2 has received 52 frames (the last one 10 s ago) "
        "of that VLAN: not the announcement of the sender 5 s ago",
        5,
    )
    # It may have come itself.
    assert asked(9.5)[1] is None


AMID = {
    # Name: how long ago a frame came to the receiver, and one of the sender, whether its bridge learns MACs,
    # and what that says.
    "neither for long": (40, 20.0, True, "lost"),
    "never": (None, 20.0, True, "lost"),
    "the bridge has forgotten the sender": (40, None, True, "lost"),
    "the sender was heard since, as by an announcement after a mend": (40, 1.0, True, "fine"),
    "somebody has sent something to the receiver since": (0, 20.0, True, "fine"),
    "nobody knows from whom frames came": (40, None, False, "fine"),
}


@pytest.mark.parametrize(("here_s", "heard_s", "learns", "says"), AMID.values(), ids=AMID)
def test_a_frame_to_the_receiver_is_lost_though_others_are_heard(
    here_s: float | None, heard_s: float | None, says: str, *, learns: bool
) -> None:
    here = counter(0 if here_s is None else 9, 900, here_s)
    steps: list[dict[str, Any]] = [{"band": "LOCAL_MAC", "age_s": 800}]
    steps += [{"band": None, "age_s": None, "text": "anything else: NORMAL"}] if learns else []
    counters = {"received": counter(52, 900, 0), "received_here": here}
    receiver: dict[str, Any] = {"chassis": "c2", "counters": counters, "steps": steps, "heard_s": heard_s}
    for sent_s in (5, 0):
        found = wire([Reading(shown(**frames(sent_s)), 0, SOON_S)], receiver, "here", is_announced=False)
        assert (found.is_lost or found.wait_s is not None) == (says == "lost")
    assert not wire([Reading(shown(**frames(60)))], receiver, "here", is_announced=False).is_lost


@pytest.mark.parametrize(("heard_s", "is_lost"), [(20.0, True), (5.0, False), (None, False)])
def test_an_announcement_that_nobody_has_heard_is_lost_though_others_are(
    heard_s: float | None, is_lost: bool
) -> None:
    sender = {"chassis": "c1", "counters": {}, "announced_s": 5}
    receiver: dict[str, Any] = {
        "chassis": "c2",
        "counters": {"received": counter(52, 900, 0)},
        "steps": [],
        "heard_s": heard_s,
    }
    assert wire([Reading(sender)], receiver, "here", is_announced=True).is_lost == is_lost


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


# -- too early to tell ---------------------------------------------------------------------------------


def frames(idle_s: float) -> dict[str, Any]:
    """Return the counters of a sender that has sent frames to the receiver, the last one *idle_s* ago."""
    return {"sent_there": counter(310, 900, idle_s)}


AT_ONCE = {
    # Name: how long ago the last frame was sent, and the last one received, and what that says.
    "busy": (0, 0, "fine"),
    "busy, and the receiver counts it a moment later": (0, 1, "early"),
    "one frame a second ago": (1, 1, "fine"),
    "one frame a second ago, and the next second begins between the readings": (1, 2, "early"),
    "one frame before the counters may be late": (3, 3, "fine"),
    "one frame a while ago, and the next second begins between the readings": (60, 61, "fine"),
    "others speak, and the sender is quiet": (60, 0, "fine"),
    "lost since just now, one frame": (0, 2, "early"),
    "lost since just now, and the sender goes on": (0, 1, "early"),
    "lost for so long that a frame would be the next one in a cache": (0, COLD_S - 1, "early"),
    "lost for so long that nothing is cached": (0, COLD_S, "lost"),
    "lost a while ago, the only frame since": (3, 5, "lost"),
    "lost a minute ago, one second after the last one": (60, 62, "lost"),
}


@pytest.mark.parametrize(("sent_s", "received_s", "says"), AT_ONCE.values(), ids=AT_ONCE)
def test_what_counters_tell_at_once(sent_s: float, received_s: float, says: str) -> None:
    found = told([Reading(shown(**frames(sent_s)), 0, SOON_S)], counter(52, 900, received_s))
    assert (found.is_lost, found.wait_s is not None) == (says == "lost", says == "early")
    if says == "early":
        assert found.wait_s == LAG_S - sent_s
        assert found.text.endswith(f": not yet the frame to it {sent_s} s ago")


def test_a_frame_that_is_sent_while_nothing_ever_came_is_judged_only_once_counters_show_it() -> None:
    received = counter(0, LAG_S + 5)
    assert told([Reading(shown(**frames(0)))], received).wait_s == LAG_S
    assert told([Reading(shown(**frames(3)))], received).is_lost
    # The flow that takes it is so new that the cache may still have what was before.
    assert told([Reading(shown(**frames(0)))], counter(0, LAG_S))[1:3] == (None, None)


LATER = {
    # Name: how long ago the last frame was sent, at first and later, and what had been received by then.
    "busy": (0, 0, 0, "fine"),
    "busy, and counted a moment later again": (0, 0, 1, "fine"),
    "one frame": (0, 3, 3, "fine"),
    "one frame, and the next second begins between the readings": (0, 3, 4, "fine"),
    "others have spoken since": (0, 3, 0, "fine"),
    "lost, one frame": (0, 3, 6, "lost"),
    "lost, and the sender goes on": (0, 0, 6, "lost"),
    "lost since a second before, and the sender goes on": (0, 0, 4, "early"),
    "lost only since it was asked first": (0, 0, 2, "fine"),
}


@pytest.mark.parametrize(("first_s", "second_s", "received_s", "says"), LATER.values(), ids=LATER)
def test_what_counters_tell_after_waiting(
    first_s: float, second_s: float, received_s: float, says: str
) -> None:
    """The receiver is read again 3.2 to 3.5 s after the sender was first, and at once after it again."""
    senders = [
        Reading(shown(**frames(first_s)), 3.2, 3.5),
        Reading(shown(**frames(second_s)), 0, SOON_S),
    ]
    found = told(senders, counter(52, 900, received_s))
    assert (found.is_lost, found.wait_s is not None) == (says == "lost", says == "early")
    # That the sender was announced long before, and was heard then, changes nothing.
    with_port = [
        each._replace(hop=shown(**each.hop["counters"], sender=counter(310, 60))) for each in senders
    ]
    assert told(with_port, counter(52, 900, received_s), is_announced=True)[1:] == found[1:]
    if says == "lost":
        assert found.lost_s in (3, 3.2)


@pytest.mark.parametrize(("later_s", "is_lost"), [(0.5, True), (5.0, False)])
def test_a_chassis_that_counted_later_has_not_lost_what_is_older_by_then(
    site: Blue, later_s: float, *, is_lost: bool
) -> None:
    """The second chassis is asked *later_s* after the first: all that it counted is so much older."""
    site.sent, site.answers_s = [60.0], [later_s]
    site.received = [70.0 if is_lost else 60.0 + later_s + 0.2]
    assert [each.is_lost for each in site.trace().outcomes] == [is_lost]


class Blue:
    """Chassis c1 and c2 with a port of one network each; *sent* and *received* are idle times, as read.

    c2 answers *answers_s* after it was asked, each time, and then always as the last time.
    """

    def __init__(self) -> None:
        self.now_s, self.answers_s = 100.0, [SOON_S]
        self.sent: list[float] = []
        self.received: list[float] = []
        self.waited_s: list[float] = []

    def ask(self, names: Sequence[str], _: object) -> dict[str, Any]:
        (name,) = names
        if name == "c2":
            self.now_s += self.answers_s.pop(0) if self.answers_s[1:] else self.answers_s[0]
        idle_s = (self.sent if name == "c1" else self.received).pop(0)
        counted = {"sent_there" if name == "c1" else "received": counter(52, 900, idle_s)}
        common: dict[str, Any] = {"chassis": name, "fault": None, "drop": None, "dropped": [], "more": 0}
        return {name: {**_HOPS[name], **common, "counters": counted}}

    def trace(self) -> tracing.Trace:
        one, other = (End(f"vm{at}", at, (), f"vm{at}", f"c{at}") for at in (1, 2))
        here = Source(Wire("blue", "physnet1", 101, "uuid"), one)
        return tracing.trace(here, Target(other.mac, (other,)), bytes(60), "a frame", self.ask)

    def settled(self) -> tracing.Trace:
        """Return the trace as the command has it, which waits."""

        def wait(wait_s: float) -> None:
            self.waited_s.append(wait_s)
            self.now_s += wait_s

        (found,) = tracing.settled([self.trace()], self.ask, wait)
        return found


_OUT = {"fault": None, "vlans": [101], "mtu": None, "port": None}
_HOPS: dict[str, dict[str, Any]] = {
    "c1": {"out": [_OUT | {"kind": "wire", "interface": "eth0", "physnet": "physnet1"}], "steps": []},
    "c2": {
        "out": [_OUT | {"kind": "vif", "interface": "tap2", "port": "vm2", "vlans": []}],
        "steps": [{"band": "LOCAL_MAC", "age_s": 900.0}],
    },
}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Blue:
    blue = Blue()
    clock = SimpleNamespace(monotonic=lambda: blue.now_s, time_ns=lambda: round(blue.now_s * 1e9))
    monkeypatch.setattr(tracing, "time", clock)
    return blue


WAITED = {
    # Name: idle times of sender and receiver, reading by reading, and how it ends.
    "busy": ([0], [0], "DELIVERED"),
    "busy, counted a moment later": ([0, 0], [1, 1], "DELIVERED"),
    "one frame, and the second begins between the readings": ([0, 3], [1, 4], "DELIVERED"),
    "lost": ([0, 0], [5, 8], "NOT DELIVERED"),
    "lost within a second, and the sender goes on": ([0, 0, 0], [1, 4, 7], "NOT DELIVERED"),
    "late, then busy": ([2, 0], [4, 0], "DELIVERED"),
    "counted a moment later, and then as late again": ([0, 0, 0], [3, 3, 1], "DELIVERED"),
}


@pytest.mark.parametrize(("sent", "received", "verdict"), WAITED.values(), ids=WAITED)
def test_a_trace_waits_for_counters_and_reads_them_again(
    site: Blue, sent: list[float], received: list[float], verdict: str
) -> None:
    site.sent, site.received = [*sent], [*received]
    found = site.settled()
    assert found.verdict == verdict
    assert len(site.waited_s) == len(sent) - 1
    assert not site.sent + site.received


def test_a_trace_does_not_wait_for_ever_if_a_chassis_takes_longer_and_longer_to_answer(site: Blue) -> None:
    site.answers_s, site.sent, site.received = [0.1, 0.1, 9.0], [0, 0, 0], [1, 4, 9]
    assert site.settled().verdict == "INCOMPLETE"
    assert site.waited_s == [LAG_S] * tracing.MOST_WAITS


def test_a_trace_that_does_not_wait_says_when_to_ask_again(site: Blue) -> None:
    site.sent, site.received = [1], [2]
    found = site.trace()
    assert (found.verdict, found.wait_s) == ("INCOMPLETE", 2)
    assert found.text == (
        "too early to tell, since frames were sent just now: c1 has sent 52 frames (the last one 1 s ago) "
        "into physnet1 [101]; c2 has received 52 frames (the last one 2 s ago) of that VLAN: "
        "not yet the frame to it 1 s ago"
    )
    assert found.data()["remedy"] == "run this again in 2 s"


def test_a_trace_whose_verdict_is_known_waits_for_nothing(site: Blue) -> None:
    site.sent, site.received = [1], [2]
    found = site.trace()
    found.outcomes.append(found.outcomes[0]._replace(is_delivered=False, wait_s=None))
    assert (found.verdict, found.wait_s) == ("NOT DELIVERED", None)
