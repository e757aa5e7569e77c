"""Flows in words: what they match, what they do, how they are chosen, counted and explained."""

from __future__ import annotations

from typing import Any

import pytest

from model.example import ADDRESSES, NETWORK, PORT, REMOTE, SHARED_MAC
from trunkline import apps
from trunkline.bridge.prober import catches
from trunkline.core.cookie import Subject, cookie
from trunkline.core.error import InvalidValueError
from trunkline.core.flow import Field, Flow, Output
from trunkline.core.pipeline import INNER_MAC_HIGH, INNER_MAC_LOW, Band, Owner, Table
from trunkline.core.view import ChassisView, View
from trunkline.insight.chassis import Interface
from trunkline.insight.connection import InstalledFlow
from trunkline.insight.explanation import Asked, asked, explanations
from trunkline.insight.flow import Rates, Selection, counts, in_order, kind, lines
from trunkline.insight.name import Names, PortName
from trunkline.openflow.message import Counters, encode

NAMES = Names(
    port_by_key={PORT.key: PortName("vm1", 7), REMOTE.key: PortName("vm2", 7)},
    network_by_key={7: "blue"},
    interface_by_ofport={1: Interface("int-br-ex", None), 10: Interface("tap0", "vm1")},
    source="northbound",
)
FOREIGN = Flow(Band.UPLINK, (Field.IN_PORT(99),), (Output(10),), 0xBAD)


def installed(flow: Flow, packets: int = 0) -> InstalledFlow:
    key, body = encode(flow)
    return InstalledFlow(key, body, Counters(3.0, packets, 60 * packets))


def of(view: View, packets: int = 0) -> list[InstalledFlow]:
    return [installed(flow, packets) for flow in apps.flows(view)]


def said(view: View, band: Band) -> list[str]:
    found = [flow for flow in of(view) if kind(flow).band is band]
    return [f"{line.matches} → {line.does}" for line in lines(in_order(found), NAMES)]


@pytest.mark.parametrize(
    ("view", "band", "words"),
    [
        (PORT, Band.VIF, "from vm1 (tap0) → is vm1, of blue, on to 10 PORT_SECURITY"),
        (PORT, Band.TAGGED, "from vm1, any VLAN tag → DROP rule 11"),
        (PORT, Band.REFLECTION, "from int-br-ex, MAC 02:00:00:00:00:01, VLAN 101 → DROP rule 7"),
        (PORT, Band.LOCAL_MAC, "in blue, to 02:00:00:00:00:01 → for vm1, on to 60 EGRESS"),
        (PORT, Band.DELIVER, "for vm1 → out of tap0"),
        (REMOTE, Band.REMOTE, "for vm2 → eth_dst = 02:00:00:00:00:02, tag 101 on, out of int-br-ex"),
        (NETWORK, Band.UPLINK, "from int-br-ex, VLAN 101 → tag off, of blue, on to 50 L2_LOOKUP"),
        (NETWORK, Band.FROM_WIRE, "from the wire, in blue, for no port here → DROP rules 4 and 6"),
        (ChassisView((1,)), Band.UNCAUGHT, "a frame of a probe → DROP rule 18"),
        (ChassisView((1,)), Band.NO_STATION, "from int-br-ex, a group's MAC → DROP rule 7"),
        (
            NETWORK,
            Band.UNKNOWN,
            "in blue, to any other MAC → for everybody, or an unknown MAC, on to 60 EGRESS",
        ),
        (NETWORK, Band.TO_WIRE, "in blue, for no port here → on to 70 EGRESS_EXTERNAL"),
        (PORT, Band.MAC_REFUSED, "from vm1, any other source MAC → DROP rule 13"),
        (ChassisView((1,)), Band.CONTROL_REFUSED, "a control frame, from any other port → DROP rule 17"),
        (
            ChassisView((1,)),
            Band.INNER_MAC_FORGED,
            "any other MAC inside → refused: ARP, RARP or neighbour discovery with a MAC or address of "
            "another, on to 90 REFUSED",
        ),
        (ChassisView((1,)), Band.SOURCE_FORGED, "anything else → DROP rule 13"),
        (
            PORT._replace(addresses=ADDRESSES),
            Band.ADDRESS,
            "from vm1, MAC 02:00:00:00:00:01, IPv4, from 192.0.2.1 → on to 50 L2_LOOKUP",
        ),
    ],
)
def test_a_flow_in_words(view: View, band: Band, words: str) -> None:
    assert words in said(view, band)


def test_every_flow_of_every_view_has_words_without_a_number_of_a_field() -> None:
    views: list[View] = [PORT._replace(addresses=ADDRESSES), NETWORK, REMOTE, SHARED_MAC, ChassisView((1, 2))]
    for view in views:
        for line in lines(of(view), NAMES):
            assert "reg" not in line.matches
            assert "metadata" not in line.matches
            assert line.kind.band is not None


def test_a_flow_of_somebody_else_is_foreign() -> None:
    (line,) = lines([installed(FOREIGN)], NAMES)
    assert (line.kind.name, line.row) == ("FOREIGN cookie 0xbad", None)
    assert (line.matches, line.does) == ("from ofport 99", "out of tap0")
    assert line.data()["app"] is line.data()["row"] is None


def test_a_flow_with_our_cookie_and_of_no_band_is_said_to_be_of_none() -> None:
    ours = installed(FOREIGN._replace(cookie=cookie(Owner.L2, Subject.PORT, 1)))
    odd = InstalledFlow(bytes([77]) + ours.key[1:], ours.body, ours.counters)
    assert kind(odd).name == "priority 50 of no band"


def test_rows_without_a_name_are_called_by_their_keys() -> None:
    nameless = Names(interface_by_ofport=NAMES.interface_by_ofport, source="VIFs")
    (line,) = lines([flow for flow in of(PORT) if kind(flow).band is Band.LOCAL_MAC], nameless)
    assert (line.matches, line.does) == (
        "in network 7, to 02:00:00:00:00:01",
        "for port 42, on to 60 EGRESS",
    )


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(), {"port", "network", "mac", "chassis", "foreign"}),
        (Selection(owner=Owner.PORT_SECURITY), {"port", "chassis"}),
        (Selection(port_key=PORT.key), {"port"}),
        (Selection(network_key=7), {"network", "mac"}),
        (Selection(owner=Owner.L2, network_key=7), {"network", "mac"}),
        (Selection(owner=Owner.PROVIDER, network_key=8), set()),
    ],
)
def test_the_switch_is_asked_by_a_cookie_and_a_mask(selection: Selection, chosen: set[str]) -> None:
    flows: dict[str, list[InstalledFlow]] = {
        "port": of(PORT),
        "network": of(NETWORK),
        "mac": of(SHARED_MAC),
        "chassis": of(ChassisView((1,))),
        "foreign": [installed(FOREIGN)],
    }
    value, mask = selection.cookie
    matching = {name for name, some in flows.items() if any(flow.cookie & mask == value for flow in some)}
    assert matching == chosen


def test_counts_are_one_line_a_band_in_the_order_in_which_frames_meet_them() -> None:
    found = counts([*of(PORT, 2), *of(REMOTE, 1), installed(FOREIGN, 5)])
    places = [(count.kind.table, -count.kind.priority) for count in found]
    assert places == sorted(places)
    by_name = {count.kind.name: count for count in found}
    assert (by_name["TAGGED"].flows, by_name["TAGGED"].packets, by_name["TAGGED"].bytes) == (1, 2, 120)
    assert by_name["FOREIGN cookie 0xbad"].packets == 5
    assert by_name["TAGGED"].data()["rules"] == [11]


def test_rates_are_what_came_since_the_last_reading() -> None:
    rates = Rates()
    tagged = Flow(Band.TAGGED, (Field.REG6(42),), (), cookie(Owner.PORT_SECURITY, Subject.PORT, 42))
    rates.note([installed(tagged, 10)], 100.0)
    assert rates.rate([installed(tagged, 10)]) is None
    rates.note([installed(tagged, 30)], 102.0)
    assert rates.rate([installed(tagged, 30)]) == 10.0
    # Made anew, it counts from zero.
    rates.note([installed(tagged, 4)], 104.0)
    assert rates.rate([installed(tagged, 4)]) == 2.0


def test_no_two_flows_of_one_table_are_said_to_match_the_same() -> None:
    """But for what the tables before have left: a frame that one of them matches is another's too."""
    views: list[View] = [PORT._replace(addresses=ADDRESSES), NETWORK, REMOTE, SHARED_MAC, ChassisView((1, 2))]
    places = [(line.kind.table, line.matches) for view in views for line in lines(of(view), NAMES)]
    assert {place for place in places if places.count(place) > 1} == set()


@pytest.mark.parametrize("text", ["", "vm1", "table=10", "0x1ffffffffffffffff", "cookie=", "-1"])
def test_what_begins_with_no_cookie_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="cookie"):
        asked(text)


def test_a_line_of_ovs_ofctl_is_understood_as_it_is() -> None:
    line = " cookie=0x747202020000002a, duration=3.4s, table=10, n_packets=0, priority=300,reg6=0x2a"
    assert asked(line) == Asked(0x747202020000002A, 10, 300)
    assert str(asked("42,priority=7")) == "0x2a,priority=7"
    # And a cookie that was copied without its 0x, with letters among its digits or not.
    assert asked("747202020000002A,table=10") == asked("0x747202020000002a,table=10")
    assert asked("cookie=7472010100000042").cookie == 0x7472010100000042


def explained(*flows: InstalledFlow, **changed: Any) -> list[str]:
    (found,) = explanations(flows, changed.get("names", NAMES), "br-int")
    return [*found.says, *([] if found.remedy is None else [found.remedy])]


def test_an_explanation_has_rule_row_counter_and_remedy() -> None:
    (tagged,) = [flow for flow in of(PORT, 14) if kind(flow).band is Band.TAGGED]
    assert explained(tagged) == [
        f"table 10 PORT_SECURITY, band TAGGED: {Band.TAGGED.purpose}",
        "rule 11 of docs/frames.md; made by app port_security from port vm1 (key 42) of network blue",
        "from vm1, any VLAN tag: DROP rule 11   (14 packets, 840 bytes, in the 3 s that it is there)",
        "if these should pass: trunkline network set blue `vlan_transparent=true`; or make a sub-port for "
        "that tag: trunkline port create NAME `network=NETWORK` `mac=MAC` `parent=vm1` `parent_vlan=TAG`",
    ]


def test_a_name_in_a_remedy_cannot_be_taken_for_a_command() -> None:
    (tagged,) = [flow for flow in of(PORT) if kind(flow).band is Band.TAGGED]
    names = Names(port_by_key={42: PortName("vm1; reboot", 7)}, network_by_key={7: "$(reboot)"})
    assert "network set '$(reboot)' " in explained(tagged, names=names)[-1]
    assert "parent='vm1; reboot'" in explained(tagged, names=names)[-1]


def test_a_remedy_for_a_row_whose_name_is_not_known_leaves_the_name_to_the_reader() -> None:
    (tagged,) = [flow for flow in of(PORT) if kind(flow).band is Band.TAGGED]
    names = Names(port_by_key={42: PortName("vm1", 7)})
    _, why, *_, remedy = explained(tagged, names=names)
    assert why.endswith("made by app port_security from port vm1 (key 42)")
    assert "network set NETWORK " in remedy
    _, why, *_, remedy = explained(tagged, names=Names())
    assert why.endswith("made by app port_security from the port with key 42")
    assert " `parent=PORT` " in remedy


def test_a_flow_that_passes_frames_has_no_remedy() -> None:
    (vif,) = [flow for flow in of(PORT) if kind(flow).band is Band.VIF]
    assert len(explained(vif)) == 3


def test_the_flow_that_catches_probes_is_shown_and_explained() -> None:
    flow = installed(next(catches(1, is_for_addresses=False)))
    (line,) = lines([flow], NAMES)
    assert (line.kind.name, line.matches) == (
        "CATCH",
        "from int-br-ex, not sent back by the agent, a frame of a probe",
    )
    assert line.data()["match"] == "rarp,reg3=0,in_port=1,arp_tpa=244.116.108.112,arp_op=24"
    head, why, *_ = explained(flow)
    assert head == f"table 0 CLASSIFY, band CATCH: {Band.CATCH.purpose}"
    assert why == "made by the agent for a probe (docs/probe.md); the switch takes it away by itself"


def test_a_foreign_flow_is_explained_with_how_to_remove_it() -> None:
    assert explained(installed(FOREIGN)) == [
        f"table {Table.CLASSIFY.value}, priority 50, FOREIGN cookie 0xbad: another program made it",
        "Trunkline leaves it alone.",
        "from ofport 99: out of tap0   (0 packets, 0 bytes, in the 3 s that it is there)",
        "to remove it: ovs-ofctl -O OpenFlow14 del-flows br-int cookie=0xbad/-1",
    ]


def test_registers_that_hold_no_mac_are_shown_as_registers() -> None:
    """Another program's flow may match any value of registers in which ours have a MAC."""
    match = (INNER_MAC_HIGH(0x582DD89F), INNER_MAC_LOW(1))
    (line,) = lines([installed(Flow(Band.UPLINK, match, (Output(10),), 0xBAD))], NAMES)
    assert [INNER_MAC_HIGH.name.lower() in line.matches, INNER_MAC_LOW.name.lower() in line.matches] == [
        True
    ] * 2
