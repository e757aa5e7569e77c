"""`trunkline trace` to ports of every kind: of trunks, with shared MACs, in flat and transparent networks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dummy_chassis import Site, ethernet, mac_of, opened
from program import trunkline

from trunkline.cli.trace import asker
from trunkline.northbound import question
from trunkline.path.hop import Entry
from trunkline.path.outcome import Silence

pytestmark = pytest.mark.system

SHARED = "02:00:00:00:00:ee"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """On c1: p, a trunk with sub-port s; v and w, which share a MAC; k, which takes unknown MACs; f; x.

    On c2: q, which also lists the shared MAC; g, flat like f; y, transparent like x; n, of the network of s.
    """
    with opened() as started:
        c1, c2 = started.chassis("c1"), started.chassis("c2")
        started.network("blue")
        started.network("red", 102)
        started.network("flat", None, "physnet1")
        started.network("clear", 103, vlan_transparent=True)
        pair: dict[str, Any] = {"allowed_address_pairs": (SHARED,)}
        both: dict[str, Any] = {"port_security": True, "addresses": ("192.0.2.1", "2001:db8::1")}
        started.port("p", "blue", **both)
        started.port("s", "red", parent="p", parent_vlan=7)
        for name in ("v", "w"):
            started.port(name, "blue", **pair)
        started.port("k", "blue", unknown_macs=True)
        started.port("f", "flat")
        started.port("x", "clear")
        started.port("q", "blue", addresses=("2001:db8::2",), **pair)
        started.port("g", "flat")
        started.port("y", "clear")
        started.port("n", "red")
        for chassis, names in ((c1, "pvwkfx"), (c2, "qgyn")):
            for name in names:
                chassis.plug(name)
        started.await_up(*"psvwkfxqgyn")
        started.sync()
        yield started


@pytest.fixture
def traced(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OVS_RUNDIR", "/nonexistent")

    def trace(code: int, *words: str) -> dict[str, Any]:
        done = trunkline("trace", *words, "-o", "json", nb=site.served.remote)
        assert (done.code, done.err) == (code, ""), done
        found: dict[str, Any] = json.loads(done.out)
        return found

    return trace


def bands(found: dict[str, Any]) -> list[str]:
    return [step["band"] for hop in found["hops"] for step in hop["steps"] if step["band"]]


def test_a_sub_port_sends_and_receives_with_its_tag_on_its_trunks_vif(traced: Any) -> None:
    there = traced(0, "--from", "s", "--to", "n")
    assert bands(there)[0] == "SUBPORT"
    back = traced(0, "--from", "n", "--to", "s")
    assert back["text"] == "to s (c1, p), with VLAN 7"


def test_a_shared_mac_is_delivered_to_each_that_lists_it(traced: Any) -> None:
    found = traced(0, "--from", "k", "--to", SHARED)
    assert {each["port"] for each in found["outcomes"]} == {"v", "w", "q"}
    assert {each["verdict"] for each in found["outcomes"]} == {"DELIVERED"}


def test_an_unknown_mac_is_delivered_to_whom_takes_it_and_leaves(traced: Any) -> None:
    found = traced(0, "--from", "p", "--to", "02:00:00:00:00:fe")
    assert [each["port"] for each in found["outcomes"]] == ["k"]
    assert {each["kind"] for each in found["hops"][0]["out"]} == {"vif", "wire"}
    assert traced(0, "--from", "physnet1", "--vlan", "101", "--to", "02:00:00:00:00:fe")["outcomes"]


def test_a_flat_network_is_untagged_on_the_wire(traced: Any) -> None:
    found = traced(0, "--from", "f", "--to", "g")
    assert found["hops"][1]["enters"] == "physnet1 untagged"
    assert traced(0, "--from", "physnet1", "--to", "g")["verdict"] == "DELIVERED"


def test_a_transparent_network_carries_the_tag_of_its_vms(traced: Any) -> None:
    found = traced(0, "--from", "x", "--to", "y", "--vlan", "9")
    assert found["hops"][1]["enters"] == "physnet1 [103][9]"
    assert found["text"] == "to y (c2, y), with VLAN 9"


@pytest.mark.parametrize("kind", ["--icmp", "--arp"])
def test_ports_that_have_only_ipv6_in_common_are_traced_by_it(traced: Any, kind: str) -> None:
    found = traced(0, "--from", "p", "--to", "q", kind, "--both")
    assert "2001:db8::1 → 2001:db8::2" in found["frame"]
    assert found["back"]["verdict"] == "DELIVERED"


@pytest.mark.parametrize(
    "group", ["33:33:00:00:00:01", "01:00:5e:00:00:fb", "224.0.0.251", "ff02::1", "255.255.255.255"]
)
def test_a_group_is_reached_by_its_mac_or_address(traced: Any, group: str) -> None:
    found = traced(0, "--from", "p", "--to", group)
    assert {each["port"] for each in found["outcomes"]} == {"v", "w", "k", "q"}


def test_a_disabled_port_is_cut_off_both_ways(site: Site, traced: Any) -> None:
    site.nb.set_port("k", {"enabled": False})
    try:
        site.sync()
        done = trunkline("trace", "--from", "k", "--to", "v", nb=site.served.remote)
        assert (done.code, done.err) == (4, "")
        assert (
            "DROPPED k is disabled, so nothing passes it\n    → trunkline port set k --enable\n" in done.out
        )
        found = traced(4, "--from", "v", "--to", "k")
        assert (found["text"], found["remedy"]) == (
            "k is disabled, so nothing passes it",
            "trunkline port set k --enable",
        )
    finally:
        site.nb.set_port("k", {"enabled": None})
        site.await_up("k")
        site.sync()


def test_a_frame_that_only_the_cache_of_the_senders_switch_knows_is_told_as_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of some frames is counted at once, the others once ovs-vswitchd looks through its cache."""
    monkeypatch.setenv("OVS_RUNDIR", "/nonexistent")
    c1, frame = site.all[0], ethernet(mac_of("g"), mac_of("f"))
    ask = asker(site.nb, None, is_counted=True)
    for number in range(1, 4):
        c1.devices.receive("f", frame)
        hop = ask(["c1"], Entry(frame, "f"))["c1"]
        assert not isinstance(hop, Silence), hop
        assert hop["counters"]["sent_there"]["packets"] == number


@pytest.mark.parametrize("way", [{"iface_id": "x; reboot"}, {"physnet": "x; reboot"}])
def test_no_name_of_a_row_is_taken_for_what_to_do(site: Site, way: dict[str, str]) -> None:
    asked = Entry(bytes(60), way.get("iface_id"), way.get("physnet")).parameters()
    (answer,) = question.ask(site.nb, "trace", ["c1"], asked, timeout_s=20).by_chassis.values()
    text, _, remedy = answer.body["fault"].rpartition("; ")
    assert "x; reboot" in text
    assert "reboot" not in remedy


def test_the_words_of_the_switch_are_shown_if_asked_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVS_RUNDIR", "/nonexistent")
    done = trunkline("trace", "--from", "v", "--to", "k", "--raw", nb=site.served.remote)
    assert done.code == 0
    assert '    | bridge("br-int")' in done.out
    assert "    | Datapath actions:" in done.out
