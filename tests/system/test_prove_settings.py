"""`trunkline prove` tells of each setting by which a switch drops frames though its flows are right.

Each is set for real, with the agent stopped, and shown in bytes; the remedy that is told is typed.
"""

from __future__ import annotations

import json
import shlex
import signal
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened
from program import refusal, trunkline
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from trunkline.insight import chassis as chassis_of
from trunkline.path import isolation, isolation_watch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.path.isolation import Asked

pytestmark = pytest.mark.system

A, B = mac_of("a"), mac_of("b")
NIC, INNER, OUTER = "nic-br-phys1", "int-br-phys1", "phy-br-phys1"
TO_ALL = ("a", ethernet(BROADCAST, A))
TO_B = ("a", ethernet(B, A))
FROM_WIRE = (NIC, ethernet(BROADCAST, "02:ee:00:00:00:01", 101))


def frame(kind: int) -> tuple[str, bytes]:
    return "a", bytes(Ether(src=A, dst=BROADCAST, type=kind) / Raw(bytes(50)))


FRAGMENT = (
    "a",
    bytes(Ether(src=A, dst=BROADCAST) / IP(dst="192.0.2.9", flags="MF") / UDP(dport=9) / Raw(bytes(32))),
)
BFD = ("a", bytes(Ether(src=A, dst=BROADCAST) / IP(dst="192.0.2.9") / UDP(dport=3784) / Raw(bytes(32))))
CFM = ("a", bytes(Ether(src=A, dst="01:80:c2:00:00:30", type=0x8902) / Raw(bytes(80))))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One chassis with ports a and b of red and c of blue, whose agent repairs nothing."""
    with opened() as started:
        chassis = started.chassis()
        for name, network, vlan_id in (("a", "red", 101), ("b", "red", None), ("c", "blue", 102)):
            if vlan_id is not None:
                started.network(network, vlan_id)
            started.port(name, network)
            chassis.plug(name)
        started.await_up("a", "b", "c")
        started.sync()
        chassis.agent.process.send_signal(signal.SIGSTOP)
        yield started
        chassis.agent.process.send_signal(signal.SIGCONT)


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    monkeypatch.setenv("OVS_RUNDIR", str(site.all[0].switch.rundir))
    return site.all[0]


@pytest.fixture
def asked(chassis: DummyChassis) -> Iterator[Asked]:
    with isolation.asked(chassis_of.read(chassis.switch.remote)) as asked:
        assert isolation.answer(asked)["settings"] == []
        yield asked


def settings(asked: Asked) -> list[dict[str, str]]:
    """Return what is told of settings, with the exit code that follows; the flows are right."""
    found = isolation.answer(asked)
    assert (found["leaks"], found["is_proved"]) == ([], not found["settings"])
    told: list[dict[str, str]] = found["settings"]
    return told


def typed(chassis: DummyChassis, line: str) -> None:
    program, *words = shlex.split(line)
    ask = {"ovs-vsctl": chassis.switch.vsctl, "ovs-ofctl": chassis.switch.ofctl}[program]
    ask(*words)


def cold(chassis: DummyChassis, sent: tuple[str, bytes]) -> dict[str, int]:
    """Return how many frames come out of which device if that one is *sent*, with nothing cached."""
    chassis.vswitchd.await_revalidated()
    chassis.vswitchd.ask("revalidator/purge")
    return {device: len(frames) for device, frames in chassis.receive_once(*sent).items()}


@pytest.mark.parametrize(
    ("line", "sent", "text"),
    [
        (
            "ovs-ofctl mod-port br-int b no-forward",
            TO_B,
            "all that leaves by b (b) is dropped: it has no-forward",
        ),
        (
            "ovs-ofctl mod-port br-int a no-receive",
            TO_B,
            "all that comes in by a (a) is dropped: it has no-receive",
        ),
        (
            f"ovs-ofctl mod-port br-int {INNER} no-receive",
            FROM_WIRE,
            f"all that comes in by {INNER} is dropped",
        ),
        (f"ovs-ofctl mod-port br-int {INNER} no-forward", TO_ALL, f"all that leaves by {INNER} is dropped"),
        ("ovs-ofctl set-frags br-int drop", FRAGMENT, "br-int drops fragments: it handles them as drop"),
        ("ovs-vsctl set Bridge br-int stp_enable=true", TO_B, "br-int has stp_enable on"),
        ("ovs-vsctl set Bridge br-int rstp_enable=true", TO_B, "br-int has rstp_enable on"),
        (
            "ovs-vsctl set Port a protected=true -- set Port b protected=true",
            TO_B,
            "frames of red between a (a) and b (b) are dropped: they are protected ports",
        ),
        (
            f"ovs-vsctl set Port {INNER} protected=true -- set Port b protected=true",
            FROM_WIRE,
            f"frames of red between b (b) and {INNER} are dropped: they are protected ports",
        ),
        ("ovs-vsctl set Interface a lldp:enable=true", frame(0x88CC), "the switch itself takes LLDP frames"),
        ("ovs-vsctl set Interface a cfm_mpid=1", CFM, "the switch itself takes CFM frames"),
        ("ovs-vsctl set Interface a bfd:enable=TRUE", BFD, "the switch itself takes BFD packets"),
        ("ovs-vsctl set Port a lacp=passive", frame(0x8809), "the switch itself takes LACP frames"),
        (
            "ovs-vsctl --id=@a get Port a -- --id=@m create Mirror name=m output_port=@a "
            "-- set Bridge br-int mirrors=@m",
            TO_B,
            "all that comes in by a (a) is dropped: it is the output of a mirror",
        ),
        (
            f"ovs-vsctl set Interface {INNER} options:peer=x",
            FROM_WIRE,
            f"no frame passes {INNER}: it leads to x",
        ),
        (
            f"ovs-vsctl set Interface {OUTER} options:peer=x",
            TO_ALL,
            f"no frame passes {OUTER}: it leads to x",
        ),
    ],
)
def test_a_setting_that_drops_frames_is_told_until_its_remedy_is_typed(
    chassis: DummyChassis, asked: Asked, line: str, sent: tuple[str, bytes], text: str
) -> None:
    before = cold(chassis, sent)
    assert before
    typed(chassis, line)
    assert sum(cold(chassis, sent).values()) < sum(before.values()), "it drops nothing"
    (told,) = settings(asked)
    assert told["text"].startswith(text)
    typed(chassis, told["remedy"])
    assert settings(asked) == []
    if "lacp" in line:
        # Open vSwitch goes on taking them until a flow or a port changes (docs/prove.md).
        chassis.switch.ofctl("add-flow", "br-int", "cookie=0x5,table=99,priority=7,in_port=1,actions=drop")
        chassis.switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
    assert cold(chassis, sent) == before
    chassis.switch.vsctl(
        *("set", "Port", "a", "protected=false", "--", "set", "Port", "b", "protected=false"),
        *("--", "set", "Port", INNER, "protected=false"),
        *("--", "clear", "Bridge", "br-int", "mirrors"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "ovs-ofctl mod-port br-int b no-flood",
        "ovs-ofctl mod-port br-int b no-packet-in",
        "ovs-ofctl mod-port br-int br-int no-forward",
        "ovs-vsctl set Port b protected=true",
        "ovs-vsctl set Port c protected=true",
        "ovs-vsctl set Port b vlan_mode=access tag=7",
        "ovs-vsctl set Port b trunks=7",
        "ovs-vsctl set Bridge br-int mcast_snooping_enable=true",
        "ovs-vsctl set Bridge br-int flood_vlans=7",
        "ovs-vsctl set Bridge br-int other_config:forward-bpdu=true",
        "ovs-vsctl set Interface a lldp:enable=false",
    ],
)
def test_a_setting_that_changes_nothing_is_not_told(chassis: DummyChassis, asked: Asked, line: str) -> None:
    before = [cold(chassis, sent) for sent in (TO_ALL, TO_B, FROM_WIRE)]
    typed(chassis, line)
    assert settings(asked) == []
    assert [cold(chassis, sent) for sent in (TO_ALL, TO_B, FROM_WIRE)] == before
    chassis.switch.vsctl("set", "Port", "c", "protected=false", "--", "set", "Port", "b", "protected=false")


def test_how_first_fragments_are_hidden_is_told(chassis: DummyChassis, asked: Asked) -> None:
    typed(chassis, "ovs-ofctl set-frags br-int normal")
    (told,) = settings(asked)
    assert told["text"].startswith("br-int hides from its flows what first fragments are")
    typed(chassis, told["remedy"])
    assert settings(asked) == []


def test_a_device_that_is_set_down_is_told(chassis: DummyChassis, asked: Asked) -> None:
    chassis.devices.set_link("b", "down")
    (told,) = settings(asked)
    assert told == {
        "text": "nothing passes b (b): it is set down",
        "remedy": "ovs-ofctl -O OpenFlow14 mod-port br-int b up",
    }
    chassis.devices.set_link("b", "up")
    assert settings(asked) == []


def test_the_command_ends_with_4_for_the_network_that_it_concerns(chassis: DummyChassis) -> None:
    typed(chassis, "ovs-ofctl mod-port br-int b no-forward")
    done = trunkline("prove")
    assert (done.code, done.err) == (4, "")
    assert done.out.splitlines() == [
        "VIOLATED: all that leaves by b (b) is dropped: it has no-forward",
        "  remedy  ovs-ofctl -O OpenFlow14 mod-port br-int b forward",
    ]
    assert trunkline("prove", "--network", "red").code == 4
    assert trunkline("prove", "--network", "blue").code == 0
    typed(chassis, "ovs-ofctl mod-port br-int b forward")


@pytest.mark.parametrize(
    ("spoilt", "mended", "refused"),
    [
        (
            "ovs-ofctl add-flow br-int cookie=0x5,table=50,priority=900,actions=NORMAL",
            "ovs-ofctl del-flows br-int cookie=0x5/-1",
            "nothing can be proved beside a flow with the action NORMAL: ",
        ),
        (
            "ovs-vsctl set Open_vSwitch . other_config:vlan-limit=2",
            "ovs-vsctl set Open_vSwitch . other_config:vlan-limit=1",
            "other_config:vlan-limit is 2",
        ),
    ],
    ids=["flow", "vlan-limit"],
)
def test_what_drops_frames_is_told_although_the_flows_cannot_be_proved(
    chassis: DummyChassis, spoilt: str, mended: str, refused: str
) -> None:
    typed(chassis, spoilt)
    typed(chassis, "ovs-ofctl mod-port br-int b no-forward")
    try:
        done = trunkline("prove", "--megaflows")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert done.err.startswith("trunkline: ")
        assert refused in done.err
        assert done.out.splitlines() == [
            "VIOLATED: all that leaves by b (b) is dropped: it has no-forward",
            "  remedy  ovs-ofctl -O OpenFlow14 mod-port br-int b forward",
        ]
        done = trunkline("prove", "-o", "json")
        found = json.loads(done.out)
        assert (done.code, found["is_proved"], found["leaks"]) == (1, False, [])
        assert done.err == f"trunkline: {found['refused']}\n"
        # What is wrong is no matter of the other network.
        assert refused in refusal(trunkline("prove", "--network", "blue"), 1)
    finally:
        typed(chassis, "ovs-ofctl mod-port br-int b forward")
        typed(chassis, mended)


def test_a_watch_tells_a_setting_and_its_end(chassis: DummyChassis, asked: Asked) -> None:
    watch = isolation_watch.IsolationWatch(asked)
    assert _is_proved(watch) is True
    assert _is_proved(watch) is None
    typed(chassis, "ovs-ofctl mod-port br-int b no-forward")
    assert _is_proved(watch) is False
    assert _is_proved(watch) is None
    typed(chassis, "ovs-ofctl mod-port br-int b forward")
    assert _is_proved(watch) is True


def _is_proved(watch: isolation_watch.IsolationWatch) -> Any:
    found = watch.answer()
    return None if found is None else found["is_proved"]


def test_hidden_flows_for_a_controller_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened() as site:
        chassis = _of_one_port(site, monkeypatch)
        # With its first controller, a bridge loses its flows.
        chassis.switch.vsctl("set-controller", "br-int", "tcp:127.0.0.1:9")
        site.sync()
        chassis.agent.process.send_signal(signal.SIGSTOP)
        with isolation.asked(chassis_of.read(chassis.switch.remote)) as asked:
            for line, what in (
                ("set-fail-mode br-int standalone", "without it, hidden flows switch all"),
                (
                    "remove Bridge br-int other_config disable-in-band",
                    "in its name go by hidden flows",
                ),
            ):
                assert settings(asked) == []
                chassis.switch.vsctl(*line.split())
                (told,) = settings(asked)
                assert what in told["text"]
                typed(chassis, told["remedy"])
            assert settings(asked) == []
        chassis.agent.process.send_signal(signal.SIGCONT)


def test_a_switch_that_waits_for_its_flows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened() as site:
        chassis = _of_one_port(site, monkeypatch)
        chassis.switch.vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
        with isolation.asked(chassis_of.read(chassis.switch.remote)) as asked:
            # It matters at the next start alone.
            assert settings(asked) == []
        chassis.switch.stop_vswitchd()
        chassis.switch.start_vswitchd()
        site.sync()
        with isolation.asked(chassis_of.read(chassis.switch.remote)) as asked:
            (told,) = settings(asked)
            assert told["text"] == "ovs-vswitchd handles no new frames while flow-restore-wait is set"
            typed(chassis, told["remedy"])
            chassis.vswitchd.ask("revalidator/wait")
            assert settings(asked) == []


def _of_one_port(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    chassis = site.chassis()
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    site.network()
    site.port("a")
    chassis.plug("a")
    site.await_up("a")
    site.sync()
    return chassis
