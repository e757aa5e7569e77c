"""`trunkline plan` on a chassis: what the agent would change on the switch, whether it runs or not."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, until
from program import Done, refusal, trunkline

from trunkline.core import announcement
from trunkline.core.address import parse_port_mac

pytestmark = pytest.mark.system

OURS = 0x7472 << 48


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    """A chassis with ports a and b of blue, VLAN 101, and t of red, VLAN 102."""
    chassis = site.chassis()
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    site.network("blue", 101)
    site.network("red", 102)
    site.port("a", "blue", port_security=True, addresses=("192.0.2.1",))
    site.port("b", "blue")
    site.port("t", "red")
    for port in "abt":
        chassis.plug(port)
    site.await_up("a", "b", "t")
    site.sync()
    return chassis


def asked(*words: str, code: int = 0) -> Any:
    done = trunkline("plan", "-o", "json", *words)
    assert (done.code, done.err) == (code, ""), done
    found = json.loads(done.out)
    assert found["version"] == 1
    return found


def stop(chassis: DummyChassis) -> None:
    chassis.agent.process.send_signal(signal.SIGKILL)
    chassis.agent.process.wait()


def uncounted(chassis: DummyChassis) -> set[str]:
    return set(chassis.switch.ofctl("--no-stats", "dump-flows", "br-int").splitlines())


def assert_nothing_to_do(chassis: DummyChassis) -> None:
    done = trunkline("plan", "--exit-code")
    flows = len(chassis.flows())
    said = f"nothing to do: the switch holds all {flows:,} flows as computed\n"
    assert done == Done(0, said, "")


def test_an_agent_that_has_settled_has_nothing_to_do(chassis: DummyChassis) -> None:
    assert_nothing_to_do(chassis)
    assert asked()["counts"] == {"add": 0, "change": 0, "delete": 0}
    stop(chassis)
    assert_nothing_to_do(chassis)


def test_what_somebody_did_to_flows_is_what_there_is_to_do(chassis: DummyChassis, site: Site) -> None:
    stop(chassis)
    key = site.nb.port("b")["unique_key"]
    chassis.receive_once("b", ethernet(BROADCAST, mac_of("b")))
    chassis.vswitchd.await_revalidated()
    vif = f"table=0,priority=100,in_port={chassis.ofport('a')}"
    chassis.switch.ofctl("--strict", "del-flows", "br-int", vif)
    vif = f"table=0,priority=100,in_port={chassis.ofport('t')}"
    chassis.switch.ofctl("--strict", "mod-flows", "br-int", f"{vif},actions=drop")
    stray = f"cookie={OURS | 0x02 << 40 | 0x02 << 32 | key:#x},table=50,priority=7"
    chassis.switch.ofctl("add-flow", "br-int", f"{stray},actions=drop")
    chassis.switch.ofctl("add-flow", "br-int", f"cookie={OURS | 0xFF << 40:#x},priority=8,actions=drop")
    chassis.switch.ofctl("add-flow", "br-int", "cookie=0xbad,table=0,priority=9,actions=drop")
    reg = f"table=80,priority=100,reg7={key}"
    chassis.switch.ofctl("add-flow", "br-int", f"cookie=0xbad,{reg},actions=drop")
    found = asked("--exit-code", code=4)
    assert found["counts"] == {"change": 2, "add": 1, "delete": 2}
    by_verb = {
        (each["verb"], each["table"], each["band"]): (each["row"] and each["row"]["name"], each["held_by"])
        for each in found["changes"]
    }
    unknown = f"cookie {OURS | 0xFF << 40:#x}, with our mark, but of no app of ours"
    assert by_verb == {
        ("add", 0, "VIF"): ("a", None),
        ("change", 0, "VIF"): ("t", None),
        ("delete", 0, "priority 8 of no band"): (None, unknown),
        ("delete", 50, "priority 7 of no band"): ("b", "our cookie, app port_security, row b"),
        ("change", 80, "DELIVER"): ("b", "cookie 0xbad, of another program"),
    }
    assert found["foreign"] == [{"cookie": "0xbad", "flows": 1}]
    assert found["affected_ports"] == ["a", "b", "t"]
    told = trunkline("plan")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[0] == f"c1: 1 flow to add, 2 to delete, 2 to change, of {found['flows']}"
    assert "DROP rule 14 → is t, of red, on to 10 PORT_SECURITY" in told.out
    # The agent that starts now does just that.
    chassis.start_agent()
    assert chassis.agent.log.count("flows sent adds=2 modifies=1 deletes=2") == 1, chassis.agent.log
    chassis.switch.ofctl("del-flows", "br-int", "cookie=0xbad/-1")
    assert_nothing_to_do(chassis)


def test_many_changes_of_one_kind_are_counted(chassis: DummyChassis) -> None:
    stop(chassis)
    chassis.switch.ofctl("del-flows", "br-int")
    done = trunkline("plan", "--summary", "--exit-code")
    assert done.code == 4
    count = asked()["counts"]["add"]
    lines = done.out.splitlines()
    assert lines[0] == f"c1: {count} flows to add, of {count}"
    assert "  + 3 flows: 0  CLASSIFY VIF" in lines
    assert lines[-1] == "affected: 3 local ports: a, b, t"
    chassis.start_agent()


def test_of_more_than_20_changes_of_a_kind_the_first_are_shown(chassis: DummyChassis, site: Site) -> None:
    names = [f"n{number}" for number in range(22)]
    for name in names:
        site.port(name, "blue")
        chassis.plug(name)
    site.await_up(*names)
    stop(chassis)
    chassis.switch.ofctl("--strict", "del-flows", "br-int", "table=0,priority=0")
    for name in names:
        chassis.switch.ofctl("--strict", "del-flows", "br-int", f"table=0,priority=100,in_port={name}")
    lines = trunkline("plan").out.splitlines()
    assert lines[0].startswith("c1: 23 flows to add, of ")
    assert sum("CLASSIFY VIF" in line for line in lines) == 21
    assert "  + 2 more flows: 0  CLASSIFY VIF" in lines
    assert lines[-1].endswith(" and 15 more"), "of 25 ports, as the chassis itself is concerned"
    assert len(trunkline("plan", "--full").out.splitlines()) == 1 + 23 + 1
    chassis.start_agent()


def test_rows_that_the_agent_has_not_read_are_in_the_plan(chassis: DummyChassis, site: Site) -> None:
    stop(chassis)
    site.nb.set_network("blue", {"segmentation_id": 121})
    chassis.receive_once("t", *[ethernet(mac_of("b"), mac_of("t"))] * 3)
    chassis.vswitchd.await_revalidated()
    chassis.unplug("t")
    found = asked()
    uplinks = [
        (each["verb"], each["words"]["match"]) for each in found["changes"] if each["band"] == "UPLINK"
    ]
    assert sorted(uplinks) == [
        ("add", "from int-br-phys1, VLAN 121"),
        ("delete", "from int-br-phys1, VLAN 101"),
        ("delete", "from int-br-phys1, VLAN 102"),
    ]
    assert found["affected_ports"] == ["a", "b", "t"]
    assert found["deleted_packets"] == 3
    assert "the flows to delete have carried 3 frames" in trunkline("plan").out
    chassis.start_agent()
    assert_nothing_to_do(chassis)


def test_without_its_northbound_and_its_agent_a_plan_is_one_line(chassis: DummyChassis, site: Site) -> None:
    stop(chassis)
    chassis.set(**{"trunkline-nb": "unix:/nowhere/nb.sock"})
    said = refusal(trunkline("plan"), 1)
    assert "the northbound does not answer, so what should be is not known" in said
    assert "correct trunkline-nb" in said
    chassis.set(**{"trunkline-nb": site.served.remote})
    chassis.set(**{"trunkline-nb-identity": "another"})
    assert "this chassis obeys another: it changes nothing" in refusal(trunkline("plan"), 1)
    site.is_checked = False


def test_every_feature_at_once_leaves_nothing_to_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    chassis = site.chassis(physnets={"physnet1": "br-phys1", "physnet2": "br-phys2"})
    monkeypatch.setenv("OVS_RUNDIR", str(chassis.switch.rundir))
    site.chassis("c2", physnets={})
    site.network("blue", 101, mtu=1400, unknown_unicast="drop")
    site.network("learned", 102, remote_ports="learned")
    site.network("inner", 103, vlan_transparent=True)
    site.network("flat", None, "physnet2", vlan_transparent=True)
    pairs = ("02:00:5e:00:01:0a,192.0.2.100",)
    site.port("a", "blue", port_security=True, addresses=("192.0.2.1", "2001:db8::1"))
    site.port("v1", "blue", port_security=True, addresses=("192.0.2.2",), allowed_address_pairs=pairs)
    site.port("v2", "blue", port_security=True, allowed_address_pairs=pairs)
    site.port("remote", "blue", allowed_address_pairs=pairs)
    site.port("hub", "learned", unknown_macs=True)
    site.port("far", "learned", allowed_address_pairs=("02:00:5e:00:01:0b",))
    site.port("trunk", "inner")
    site.port("parent", "learned")
    site.port("sub", "blue", parent="parent", parent_vlan=7)
    site.port("tags", "flat", options={"control-frames": "true"})
    site.port("off", "blue", enabled=False)
    site.port("moving", "blue")
    site.request("moving", "c2,c1")
    site.port("away", "blue")
    site.request("away", "c2")
    here = ("a", "v1", "v2", "hub", "trunk", "parent", "tags", "off", "moving", "away", "nobody")
    for port in here:
        chassis.plug(port)
    chassis.plug("a", "a2")
    site.await_up("a", "v1", "v2", "hub", "trunk", "parent", "sub", "tags")
    site.sync()
    assert_nothing_to_do(chassis)
    # The port that moves here has announced itself, and is awake from then on.
    chassis.receive_once("moving", announcement.frames(parse_port_mac(mac_of("moving")), ())[0])
    until(lambda: "port wakes" in chassis.agent.log, "awake")
    chassis.agent.await_settled()
    assert_nothing_to_do(chassis)
    # Of two VIFs of one port, the one in use stays in use; a reader has to learn that from the flows.
    chassis.unplug("a")
    site.sync()
    chassis.plug("a", "a")
    site.sync()
    assert_nothing_to_do(chassis)
    stop(chassis)
    assert_nothing_to_do(chassis)
    chassis.start_agent()


BLUE = """
kind: Network
name: blue
network_type: vlan
physical_network: physnet1
segmentation_id: 121
"""
GREEN = """
kind: Network
name: green
network_type: vlan
physical_network: physnet1
segmentation_id: 103
---
kind: Port
name: new
network: red
mac: 02:00:00:00:0e:01
---
kind: Port
name: b
network: green
mac: 02:00:00:00:00:62
"""


def test_a_file_is_planned_as_it_is_then_done(chassis: DummyChassis, site: Site, tmp_path: Path) -> None:
    chassis.plug("new")
    chassis.agent.await_settled()
    (tmp_path / "blue.yaml").write_text(BLUE)
    (tmp_path / "green.yaml").write_text(GREEN)
    words = ("--with", str(tmp_path), "--adopt")
    before = site.nb.networks(), site.nb.ports()
    found = asked(*words, "--exit-code", code=4)
    assert found["vlans"] == {"physnet1": {"new": [103, 121], "gone": [101]}}
    assert found["affected_ports"] == ["a", "b", "new", "t"]
    told = trunkline("plan", *words)
    assert "the VLANs of physnet1 change: +103 +121 −101" in told.out
    assert (site.nb.networks(), site.nb.ports()) == before
    assert_nothing_to_do(chassis)
    flows = uncounted(chassis)
    done = trunkline("apply", "-f", str(tmp_path), "--adopt", "--yes", "--wait", nb=site.served.remote)
    assert done.code == 0, done
    assert_nothing_to_do(chassis)
    # The agent has done just what the plan said.
    counts, now = found["counts"], uncounted(chassis)
    assert found["flows"] == len(now)
    assert len(flows - now) == counts["change"] + counts["delete"]
    assert len(now - flows) == counts["change"] + counts["add"]
    assert asked(*words)["counts"] == {"add": 0, "change": 0, "delete": 0}


def test_what_a_file_no_longer_has_is_planned_to_go(
    chassis: DummyChassis, site: Site, tmp_path: Path
) -> None:
    """The rows of another chassis' networks are not read, and so change nothing here."""
    file = tmp_path / "all.yaml"
    file.write_text(BLUE.replace("blue", "elsewhere") + "---" + GREEN)
    assert trunkline("apply", "-f", str(file), "--adopt", "--yes", "--wait", nb=site.served.remote).code == 0
    file.write_text(BLUE.replace("blue", "elsewhere").replace("121", "122"))
    assert asked("--with", str(file))["counts"] == {"add": 0, "change": 0, "delete": 0}
    found = asked("--with", str(file), "--prune")
    gone = {each["row"]["name"] for each in found["changes"] if each["verb"] == "delete"}
    assert {"green", "b"} <= gone
    assert found["vlans"] == {"physnet1": {"new": [], "gone": [103]}}
    assert found["affected_ports"] == ["b"]


def test_a_file_that_is_wrong_is_told_with_its_line(chassis: DummyChassis, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BLUE.replace("121", "5000"))
    assert f"{file}:6:18" in refusal(trunkline("plan", "--with", str(file)), 2)
    file.write_text(BLUE)
    assert "it is in no set" in refusal(trunkline("plan", "--with", str(file)), 1)
    assert "name them by --with" in refusal(trunkline("plan", "--prune"), 2)
    assert_nothing_to_do(chassis)


def test_of_the_rows_of_a_file_those_count_that_the_agent_would_load(
    chassis: DummyChassis, site: Site, tmp_path: Path
) -> None:
    """A remote port of a network that learns its remote ports is not loaded, whatever it lists."""
    site.network("learned", 104, remote_ports="learned")
    site.port("hub", "learned")
    chassis.plug("hub")
    site.await_up("hub")
    site.sync()
    far = "kind: Port\nname: far\nnetwork: learned\nmac: 02:00:00:00:0f:01\n"
    far += f"allowed_address_pairs: ['{mac_of('hub')}']"
    (tmp_path / "far.yaml").write_text(far)
    assert asked("--with", str(tmp_path))["counts"] == {"add": 0, "change": 0, "delete": 0}
    done = trunkline("apply", "-f", str(tmp_path), "--yes", "--wait", nb=site.served.remote)
    assert done.code == 0, done
    assert_nothing_to_do(chassis)


def test_what_the_northbound_would_refuse_is_told_of_all_documents_at_once(
    chassis: DummyChassis, site: Site, tmp_path: Path
) -> None:
    """In the words and with the exit codes of `apply --dry-run`: existing ports, chassis, form, values."""
    documents = [
        f"kind: Port\nname: x\nnetwork: blue\nmac: {mac_of('a')}\nrequested_chassis: c9\n",
        "kind: Port\nname: y\nnetwork: blue\nmac: 02:00:00:00:07:01\naddresses: [192.0.2.1]\n",
        "kind: Network\nname: z\nnetwork_type: vlan\nphysical_network: physnet1\nsegmentation_id: 101\n",
    ]
    wrong = "kind: Port\nname: v\nmac: zz\nmacc: 1\n"
    file = tmp_path / "files.yaml"
    for texts, count, code in ((documents, 4, 1), ([*documents, wrong], 7, 2)):
        file.write_text("---\n".join(texts))
        planned = trunkline("plan", "--with", str(file))
        dry = trunkline("apply", "-f", str(file), "--dry-run", nb=site.served.remote)
        assert (planned.code, planned.err.count("\n")) == (code, count), planned
        assert dry == Done(code, "", planned.err + "nothing was applied\n")
