"""The fields of a frame are what a real ovs-vswitchd sees in its bytes, and it learns nothing from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from model.openflow_switch import Switch, running
from trunkline.path.fields import fields
from trunkline.path.sample import BROADCAST, Kind, Sample

pytestmark = pytest.mark.system

ADDRESSES = (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2"))
A, B = 0x020000000001, 0x020000000002
SRC, DST = "02:00:00:00:00:01", "02:00:00:00:00:02"
HEAD = Ether(src=SRC, dst=DST)


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    with running(tmp_path_factory.mktemp("fields")) as switch:
        switch.vsctl("add-br", "br-ex", "--", "set", "Bridge", "br-ex", "datapath_type=dummy")
        switch.vsctl(
            "add-port", "br-ex", "nic", "--", "set", "Interface", "nic", "type=dummy", "ofport_request=9"
        )
        yield switch


def samples() -> Iterator[bytes]:
    """Yield each frame that `trace` makes up itself."""
    for kind, (src, dst), tag, is_answer in product(Kind, ADDRESSES, (None, 0, 101), (False, True)):
        for to in (B, BROADCAST):
            yield Sample(
                kind, A, to, ip_address(src), ip_address(dst), 80, None, tag, is_answer=is_answer
            ).encode()


OTHERS = [
    bytes(frame)
    for frame in (
        HEAD / IP(tos=0xB9, ttl=3, proto=89),
        HEAD / IP(flags="MF") / UDP(),
        HEAD / IP(frag=7) / (b"x" * 40),
        HEAD / IP(options=b"\x94\x04\x00\x00") / TCP(),
        HEAD / IP() / ICMP(type=3, code=1) / (IP() / UDP()),
        HEAD / IP(proto=2) / b"\x16\0\0\0\xe0\0\0\1",
        HEAD / Dot1Q(vlan=7, prio=5) / IPv6(tc=0x2E, fl=0x12345, hlim=9) / TCP(flags="FPU"),
        HEAD / IPv6() / ICMPv6ND_NA(R=1),
        HEAD / IPv6() / ICMPv6ND_NS() / b"\x01\x01\x02\x00\x00\x00\x00\x01" / b"\x0e\x01\0\0\0\0\0\0",
        HEAD / IPv6() / ICMPv6ND_RA(),
        HEAD / IPv6(nh=0) / b"\x3a\x00\x01\x04\x00\x00\x00\x00" / b"\x80\0\0\0\0\0\0\0",
        HEAD / ARP(op=2),
        Ether(src=SRC, dst=DST, type=0x8035) / ARP(op=3),
        HEAD / ARP(hwlen=8),
        HEAD / Dot1Q(vlan=7) / Dot1Q(vlan=8) / IP(),
        Ether(src=SRC, dst=DST, type=0x88CC) / bytes(46),
        Ether(src=SRC, dst=DST, type=0x26) / bytes(46),
    )
]


def seen(switch: Switch, *words: str) -> str:
    """Return the flow that ovs-vswitchd begins a trace with."""
    said = switch.appctl("ofproto/trace", "br-ex", *words)
    (flow,) = re.findall(r"^Flow: (.*)$", said, re.MULTILINE)
    return str(flow)


def assert_same(switch: Switch, frame: bytes) -> bool:
    """Assert that the fields of *frame*, if it has any, are what its bytes are; return whether it has."""
    found = fields(frame)
    if found is not None:
        assert seen(switch, f"in_port=9,{found}") == seen(switch, "in_port=9", frame.hex()), frame.hex()
    return found is not None


def test_each_frame_that_a_trace_makes_up_has_fields(switch: Switch) -> None:
    for frame in samples():
        assert assert_same(switch, frame), frame.hex()


def test_other_frames_have_fields_if_these_say_all(switch: Switch) -> None:
    have = [assert_same(switch, frame) for frame in OTHERS]
    assert True in have
    assert False in have


WELL_FORMED = [*dict.fromkeys([*samples(), *OTHERS])]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_frame_that_is_cut_or_altered_anywhere_has_the_fields_of_its_bytes_or_none(
    switch: Switch, data: st.DataObject
) -> None:
    frame = bytearray(data.draw(st.sampled_from(WELL_FORMED)))
    for at in data.draw(st.lists(st.integers(12, len(frame) - 1), max_size=3)):
        frame[at] = data.draw(st.integers(0, 255))
    assert_same(switch, bytes(frame[: data.draw(st.integers(14, len(frame)))]))


def test_the_switch_learns_nothing_from_fields(switch: Switch) -> None:
    frame = Sample(Kind.ARP, A, BROADCAST, ip_address("192.0.2.1"), ip_address("192.0.2.2")).encode()
    switch.appctl("fdb/flush", "br-ex")
    seen(switch, f"in_port=9,{fields(frame)}")
    assert "02:00:00:00:00:01" not in switch.appctl("fdb/show", "br-ex")
    # As it does from bytes.
    seen(switch, "in_port=9", frame.hex())
    assert "02:00:00:00:00:01" in switch.appctl("fdb/show", "br-ex")
