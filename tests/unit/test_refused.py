"""When frames that were refused keep a port from working, and when they are ordinary."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from uuid import uuid4

import pytest

from trunkline.apps import port_security
from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Flow
from trunkline.core.frame import ARP, IPV6, RARP
from trunkline.core.model import Port
from trunkline.core.pipeline import Band, Owner
from trunkline.core.view import LocalPortView, Outlet
from trunkline.health.refused import RECENT_S, Counted, Counts, Kind, PortCounts, findings
from trunkline.openflow.message import encode
from trunkline.openflow.tally import Count

VM = Port(uuid4(), "vm1", 42, uuid4(), 0x02_00_00_00_00_01, addresses=(IPv4Address("192.0.2.11"),))
DUAL = VM._replace(addresses=(IPv4Address("192.0.2.11"), IPv6Address("2001:db8::1")))
OF_V6 = VM._replace(addresses=(IPv6Address("2001:db8::1"),))


def found(counts: Counts, port: Port = VM) -> dict[str, str]:
    return {each.code: each.severity for each in findings("c1", port, "blue", counts)}


LAST_ARP = {Kind.OTHER_NEIGHBOUR: Counted(1, 1.0), Kind.OTHER_ARP: Counted(1, 1.0)}


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, {}),
        ({Kind.OWN_MAC: Counted(9, 1.0), Kind.OWN_IPV4: Counted(9, 1.0)}, {}),
        # Nothing else was taken.
        ({Kind.OTHER_MAC: Counted(1, 900.0)}, {"T307": "error"}),
        ({Kind.OTHER_NEIGHBOUR: Counted(1), Kind.OWN_MAC: Counted(1)}, {"T309": "error"}),
        ({Kind.OTHER_ADDRESS: Counted(1), Kind.OWN_MAC: Counted(1)}, {"T308": "error"}),
        # Since it was refused, nothing was taken.
        ({Kind.OTHER_MAC: Counted(3, 1.0), Kind.OWN_MAC: Counted(900, 60.0)}, {"T307": "error"}),
        ({Kind.OTHER_MAC: Counted(1, 1.0), Kind.OWN_MAC: Counted(900, 60.0)}, {"T307": "error"}),
        ({Kind.OTHER_NEIGHBOUR: Counted(3, 1.0), Kind.OWN_IPV4: Counted(900, 60.0)}, {"T309": "error"}),
        # That was before it worked, or long ago, or once.
        ({Kind.OTHER_MAC: Counted(3, 60.0), Kind.OWN_MAC: Counted(900, 1.0)}, {}),
        ({Kind.OTHER_MAC: Counted(3, RECENT_S + 1), Kind.OWN_MAC: Counted(900, 900.0)}, {}),
        ({Kind.OTHER_NEIGHBOUR: Counted(2, 1.0), Kind.OWN_IPV4: Counted(900, 60.0)}, {}),
        # But one ARP is enough, as no ordinary VM sends it. Which came last must be known for an error.
        ({**LAST_ARP, Kind.OWN_IPV4: Counted(900, 60.0)}, {"T309": "error"}),
        ({**LAST_ARP, Kind.OWN_IPV4: Counted(900, 2.0)}, {"T309": "warning"}),
        # Nor is one that sends packets from there, and nothing else since.
        (
            {
                **dict.fromkeys(LAST_ARP, Counted(1, 4.0)),
                Kind.OWN_IPV4: Counted(900, 4.0),
                Kind.OTHER_ADDRESS: Counted(8, 0.0),
            },
            {"T309": "error"},
        ),
        (
            {
                **dict.fromkeys(LAST_ARP, Counted(1, 4.0)),
                Kind.OWN_IPV4: Counted(900, 3.0),
                Kind.OTHER_ADDRESS: Counted(8, 1.0),
            },
            {"T309": "warning"},
        ),
        ({Kind.OTHER_NEIGHBOUR: Counted(5, 1.0), Kind.OWN_IPV4: Counted(900, 2.0)}, {}),
        ({Kind.OTHER_MAC: Counted(1, 16.0), Kind.OWN_MAC: Counted(900, 16.5)}, {"T307": "warning"}),
        ({Kind.OTHER_MAC: Counted(1, 16.0), Kind.OWN_MAC: Counted(900, 0.5)}, {}),
        ({Kind.OTHER_MAC: Counted(1, 16.0), Kind.OWN_MAC: Counted(900)}, {}),
        # What was refused is mended, as others were taken since; or it is not known to be.
        ({Kind.OTHER_MAC: Counted(30, 59.0), Kind.OWN_MAC: Counted(9, 1.0)}, {"T307": "warning"}),
        ({Kind.OTHER_MAC: Counted(30, 61.0), Kind.OWN_MAC: Counted(9, 1.0)}, {}),
        ({Kind.OTHER_MAC: Counted(30, 61.0), Kind.OWN_MAC: Counted(9, 60.0)}, {"T307": "warning"}),
        # A VM with only IPv4 tries IPv6 addresses of its own making at any time.
        ({Kind.OTHER_ADDRESS: Counted(9, 1.0), Kind.OWN_IPV4: Counted(5, 60.0)}, {}),
        # Both go on, and it is no trifle: or nobody knows when.
        ({Kind.OTHER_ADDRESS: Counted(11, 1.0), Kind.OWN_ADDRESS: Counted(90, 1.0)}, {"T308": "warning"}),
        ({Kind.OTHER_ADDRESS: Counted(11, 1.0), Kind.OWN_ADDRESS: Counted(110, 1.0)}, {}),
        ({Kind.OTHER_MAC: Counted(11), Kind.OWN_MAC: Counted(90)}, {"T307": "warning"}),
        # A wrong address is one cause.
        (
            {
                Kind.OTHER_ADDRESS: Counted(11, 1.0),
                Kind.OTHER_NEIGHBOUR: Counted(3, 1.0),
                Kind.OWN_IPV4: Counted(9, 60.0),
            },
            {"T309": "error"},
        ),
        # What is never sent by accident.
        ({Kind.TAGGED: Counted(1, 1.0), Kind.OWN_MAC: Counted(900, 1.0)}, {"T311": "warning"}),
        ({Kind.SERVER: Counted(1, 1.0), Kind.OWN_MAC: Counted(900, 1.0)}, {"T312": "warning"}),
        ({Kind.SERVER: Counted(1, RECENT_S + 1), Kind.OWN_MAC: Counted(900, 1.0)}, {}),
        ({Kind.REFLECTED: Counted(11, 1.0)}, {"T326": "warning"}),
        ({Kind.REFLECTED: Counted(10, 1.0)}, {}),
    ],
)
def test_what_is_refused_is_compared_with_what_is_taken(counts: Counts, said: dict[str, str]) -> None:
    assert found(counts) == said


def test_a_port_without_ipv4_needs_no_arp_to_work() -> None:
    counts = {Kind.OTHER_NEIGHBOUR: Counted(1, 9.0), Kind.OWN_ADDRESS: Counted(5, 1.0)}
    assert found(counts, OF_V6) == {}
    assert found(counts) == {"T309": "error"}


def test_an_arp_of_a_port_without_ipv4_says_no_more_than_neighbour_discovery() -> None:
    assert found({**LAST_ARP, Kind.OWN_ADDRESS: Counted(5, 9.0)}, OF_V6) == {}


def test_the_text_says_how_many_and_when_and_the_remedy_names_the_port() -> None:
    (finding,) = findings("c1", VM, "blue", {Kind.OTHER_MAC: Counted(3, 1.2), Kind.OWN_MAC: Counted(1, 60)})
    assert finding.text == (
        "vm1 sends frames from a MAC that its port may not use: 3 frames were refused (the last one 1 s ago)"
        "; 1 other frame was taken (the last one 60 s ago)"
    )
    assert finding.subject == "port vm1"
    assert "trunkline port set vm1 `allowed_address_pairs=MAC`" in finding.remedy


@pytest.mark.parametrize(
    ("counts", "wait_s"),
    [
        # Which of both came last is not known yet, and soon is, if the VM goes on.
        ({Kind.OTHER_MAC: Counted(1, 0.0), Kind.OWN_MAC: Counted(900, 0.0)}, 4.0),
        ({Kind.OTHER_MAC: Counted(1, 0.0), Kind.OWN_MAC: Counted(900, 2.0)}, 2.0),
        ({**LAST_ARP, Kind.OWN_IPV4: Counted(900, 1.0)}, 3.0),
        # It never will be, if nothing more is sent.
        ({Kind.OTHER_MAC: Counted(1, 3.0), Kind.OWN_MAC: Counted(900, 4.0)}, None),
        ({Kind.OTHER_MAC: Counted(1, 60.0), Kind.OWN_MAC: Counted(900, 60.0)}, None),
        # It is known.
        ({Kind.OTHER_MAC: Counted(1, 0.0), Kind.OWN_MAC: Counted(900, 4.0)}, None),
        ({Kind.OTHER_MAC: Counted(1, 0.0)}, None),
        ({Kind.TAGGED: Counted(1, 0.0), Kind.OWN_MAC: Counted(900, 0.0)}, None),
    ],
)
def test_it_is_said_when_it_is_too_early_to_tell_which_frame_was_the_last(
    counts: Counts, wait_s: float | None
) -> None:
    (finding,) = findings("c1", VM, "blue", counts)
    assert finding.wait_s == wait_s
    assert ("wait_s" in finding.data()) == (wait_s is not None)


@pytest.mark.parametrize(
    ("counts", "end"),
    [
        ({Kind.OTHER_MAC: Counted(30, 9.0), Kind.OWN_MAC: Counted(9, 1.0)}, "a minute"),
        ({Kind.TAGGED: Counted(1, 9.0), Kind.OWN_MAC: Counted(900, 1.0)}, "5 minutes"),
        ({Kind.REFLECTED: Counted(11, 9.0)}, "5 minutes"),
        # An error ends as soon as what the VM sends is right.
        ({Kind.OTHER_MAC: Counted(30, 1.0)}, None),
        # Nobody knows when it was.
        ({Kind.OTHER_MAC: Counted(11), Kind.OWN_MAC: Counted(90)}, None),
    ],
)
def test_a_warning_says_when_it_goes_by_itself(counts: Counts, end: str | None) -> None:
    (finding,) = findings("c1", VM, "blue", counts)
    words = f". This warning goes by itself {end} after the last such frame"
    assert finding.text.endswith(words) if end else "by itself" not in finding.text


@pytest.mark.parametrize(("port", "of_ipv6"), [(VM, 0), (DUAL, 1)])
def test_the_flows_of_a_port_are_told_apart_by_what_they_count(port: Port, of_ipv6: int) -> None:
    """Each flow that port security makes for a port, by the bytes that the switch has of it."""
    view = LocalPortView(
        key=42,
        network_key=1,
        mac=VM.mac,
        outlet=Outlet(7, None),
        wire=None,
        has_own_mac=True,
        is_transparent=False,
        is_secured=True,
        is_announced=True,
        passes_control=False,
        addresses=port.addresses,
        allowed_pairs=(),
    )
    counts = PortCounts()
    for flow in port_security.flows(view):
        encoded = encode(flow)
        counts.note([Count(flow.band.table, flow.band.priority, flow.cookie, 1, 0.0, encoded.key[3:])])
    assert {kind: each.packets for kind, each in counts.of(42).items()} == {
        Kind.OWN_MAC: 1,
        Kind.OWN_IPV4: 2,
        Kind.OWN_ADDRESS: 1 + of_ipv6,
        **dict.fromkeys((Kind.OWN_IPV6,) * of_ipv6, 1),
        **dict.fromkeys((Kind.OTHER_MAC, Kind.OTHER_ADDRESS, Kind.OTHER_NEIGHBOUR), 1),
        **dict.fromkeys((Kind.TAGGED, Kind.SERVER), 1),
    }


FORGED = {
    "arp": (Band.ADDRESS_FORGED, ARP),
    "rarp": (Band.ADDRESS_FORGED, RARP),
    "advertisement": (Band.ND_FORGED, IPV6),
}


@pytest.mark.parametrize(
    ("idle_s", "is_arp"),
    [
        ({"arp": 7.01}, True),
        ({"arp": 7.01, "advertisement": 90.0, "rarp": 1.0}, True),
        # Another port was refused ARP then, or this one something else.
        ({"arp": 3.0, "advertisement": 7.0}, False),
        ({"arp": 7.01, "advertisement": 7.0}, False),
        ({"rarp": 7.0}, False),
        ({}, False),
    ],
)
def test_the_flows_that_all_ports_share_tell_whether_the_last_frame_was_arp(
    idle_s: dict[str, float], is_arp: bool
) -> None:
    counts = PortCounts()
    place = Band.NEIGHBOUR_REFUSED.table, Band.NEIGHBOUR_REFUSED.priority
    counts.note([Count(*place, cookie(Owner.PORT_SECURITY, Subject.PORT, 42), 2, 7.0, b"")])
    by = cookie(Owner.PORT_SECURITY, Subject.CHASSIS)
    for name, at_s in idle_s.items():
        band, term = FORGED[name]
        encoded = encode(Flow(band, (term,), (), by))
        counts.note([Count(band.table, band.priority, by, 9, at_s, encoded.key[3:])])
    assert counts.of(42).get(Kind.OTHER_ARP) == (Counted(2, 7.0) if is_arp else None)


def test_flows_of_others_are_counted_by_cookie_and_those_of_no_port_are_not() -> None:
    counts = PortCounts()
    place = Band.TAGGED.table, Band.TAGGED.priority
    counts.note([Count(*place, 0xBAD, 5, None, b"")] * 2)
    counts.note([Count(*place, cookie(Owner.PORT_SECURITY, Subject.NETWORK, 42), 5, None, b"")])
    assert counts.others == {0xBAD: 2}
    assert counts.of(42) == {}


@pytest.mark.parametrize(
    ("port", "more", "said"),
    [
        # What it sends of IPv6 is all from other addresses, or from its link-local one.
        (DUAL, {Kind.OTHER_ADDRESS: Counted(3, 1.0)}, {"T308": "warning"}),
        (
            DUAL,
            {Kind.OTHER_ADDRESS: Counted(3, 1.0), Kind.OWN_ADDRESS: Counted(99, 1.0)},
            {"T308": "warning"},
        ),
        # It used its own, or tried an address once or twice, or that is over, or it has none.
        (DUAL, {Kind.OTHER_ADDRESS: Counted(3, 1.0), Kind.OWN_IPV6: Counted(1, 99.0)}, {}),
        (DUAL, {Kind.OTHER_ADDRESS: Counted(2, 1.0)}, {}),
        (DUAL, {Kind.OTHER_ADDRESS: Counted(9, RECENT_S + 1)}, {}),
        (VM, {Kind.OTHER_ADDRESS: Counted(3, 1.0)}, {}),
        (DUAL._replace(addresses=(IPv6Address("fe80::1"),)), {Kind.OTHER_ADDRESS: Counted(3, 1.0)}, {}),
        # Neighbour discovery is over once IPv6 goes on, though nothing of IPv4 was taken for long.
        (DUAL, {Kind.OTHER_NEIGHBOUR: Counted(9, 90.0)}, {"T309": "error"}),
        (
            DUAL,
            {
                Kind.OTHER_NEIGHBOUR: Counted(9, 90.0),
                Kind.OTHER_DISCOVERY: Counted(9, 90.0),
                Kind.OWN_ADDRESS: Counted(9, 1.0),
            },
            {},
        ),
    ],
)
def test_a_port_of_both_protocols_is_judged_by_each(port: Port, more: Counts, said: dict[str, str]) -> None:
    own = {Kind.OWN_MAC: Counted(900, 1.0), Kind.OWN_IPV4: Counted(900, 200.0)}
    assert found({**own, **more}, port) == said
