"""`trunkline check` as it is typed, on real agents and switches that are harmed."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dummy_chassis import DummyChassis, Site, mac_of, opened, until
from program import Done, refusal, trunkline

from trunkline.northbound.client import PortSpec
from trunkline.northbound.operation import insert

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """A site with port a on c1 and port b on c2, in one network; each test leaves it so.

    No wire connects the NICs of the two, so nothing may be announced.
    """
    with opened() as site:
        site.network(mtu=1500)
        for port, name in (("a", "c1"), ("b", "c2")):
            site.port(port, options={"announce": "false"})
            site.chassis(name).plug(port)
        site.await_up("a", "b")
        site.sync()
        yield site


@pytest.fixture
def first(shared: Site) -> DummyChassis:
    return shared.all[0]


def check(site: Site, *options: str) -> Done:
    return trunkline("check", *options, nb=site.served.remote)


def found(site: Site, *options: str) -> list[tuple[str, str, str | None]]:
    """Return code, subject and chassis of each finding."""
    listed: list[dict[str, Any]] = json.loads(check(site, *options, "-o", "json").out)
    return [(each["code"], each["subject"], each["chassis"]) for each in listed]


def test_a_healthy_site_gives_no_finding_in_any_way_of_asking(shared: Site) -> None:
    for options in (
        (),
        ("--deep",),
        ("--chassis", "c1"),
        ("--network", "net1"),
        ("--network", "net1", "--deep"),
    ):
        done = check(shared, *options)
        assert (done.code, done.err) == (0, ""), done
        assert "nothing found" in done.out
    done = check(shared, "--port", "a")
    assert (done.code, done.out.splitlines()[0], done.err) == (0, "a works", "")
    assert check(shared, "-o", "json").out.strip() == "[]"


def test_a_port_without_a_vif_is_found_and_the_vif_with_a_wrong_name_too(
    shared: Site, first: DummyChassis
) -> None:
    shared.port("web1")
    first.plug("wbe1", "tap1")
    shared.sync()
    try:
        assert found(shared) == [("T301", "port web1", None), ("T302", "vif wbe1", "c1")]
        done = check(shared, "--port", "web1")
        assert done.code == 4
        assert done.out.startswith("web1 does not work, for 2 reasons:\n ✗ T301 port web1: ")
        assert " ! T302 vif wbe1 on c1: no port has iface-id wbe1" in done.out
        assert "→ did you mean web1? create it, or correct iface-id of tap1" in done.out
        assert check(shared, "--port", "a").code == 0
        assert found(shared, "--only", "T302", "--only", "t203") == [("T302", "vif wbe1", "c1")]
        assert check(shared, "--only", "T203").code == 0
    finally:
        first.unplug("tap1")
        shared.nb.delete_ports(["web1"])
        shared.sync()


def test_a_remedy_names_options_in_json_too(shared: Site) -> None:
    shared.port("web1", enabled=False)
    try:
        (finding,) = json.loads(check(shared, "--port", "web1", "--only", "T316", "-o", "json").out)
        assert finding["remedy"] == "trunkline port set web1 --enable"
    finally:
        shared.nb.delete_ports(["web1"])
        shared.sync()


def test_a_killed_agent_is_found_by_the_port_that_it_holds(shared: Site, first: DummyChassis) -> None:
    first.agent.end(signal.SIGKILL)
    try:
        done = check(shared, "--port", "a")
        assert done.code == 4
        assert done.out.splitlines()[0] == "a is not known to work, for 1 reason:"
        assert "T501 chassis c1" in done.out
        assert "trunkline check --local" in done.out
        # One chassis that does not answer is a finding, and the other one is asked all the same.
        assert found(shared, "--deep") == [("T501", "chassis c1", "c1")]
        assert found(shared, "--port", "b") == [("T501", "chassis c1", "c1")]
    finally:
        first.start_agent()
        shared.sync()


def test_a_mapping_that_is_gone_is_one_line_for_all_chassis(shared: Site) -> None:
    for chassis in shared.all:
        chassis.set(**{"trunkline-bridge-mappings": "physnet9:br-phys1"})
    shared.sync()
    try:
        assert found(shared) == [("T204", "network net1", None)]
        shared.all[1].set(**{"trunkline-bridge-mappings": "physnet1:br-phys1"})
        shared.sync()
        assert found(shared) == [("T202", "network net1", "c1")]
        done = check(shared, "--port", "a")
        assert done.code == 4
        assert done.out.startswith("a does not work, for 1 reason:\n ✗ T202 network net1 on c1: ")
        assert check(shared, "--port", "b").out.startswith(
            "b works, with 1 warning:\n ! T202 network net1 on c1"
        )
    finally:
        for chassis in shared.all:
            chassis.set(**{"trunkline-bridge-mappings": "physnet1:br-phys1"})
        shared.await_up("a", "b")
        shared.sync()


def test_what_only_the_chassis_sees_is_found_for_its_port_without_more_words(
    shared: Site, first: DummyChassis
) -> None:
    mirror = (
        "--",
        "--id=@m",
        "create",
        "Mirror",
        "name=m",
        "select_all=true",
        "--",
        "set",
        "Bridge",
        "br-int",
    )
    first.switch.vsctl(*mirror[1:], "mirrors=@m")
    shared.sync()
    try:
        assert found(shared) == []
        assert found(shared, "--port", "a") == found(shared, "--deep") == [("T406", "switch", "c1")]
        assert check(shared, "--port", "a").out.startswith("a works, with 1 warning:\n ! T406 switch on c1: ")
    finally:
        first.switch.vsctl("clear", "Bridge", "br-int", "mirrors")
        shared.sync()


def test_a_connection_that_may_only_read_shows_what_it_can(shared: Site, tmp_path: Path) -> None:
    read_only = f"unix:{tmp_path}/ro.sock"
    row = {"target": f"p{read_only}", "read_only": True}
    changed = ["connections", "insert", ["set", [["named-uuid", "ro"]]]]
    mutation = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [changed]}
    shared.nb.transact([insert("Connection", row, "ro"), mutation])
    until(lambda: (tmp_path / "ro.sock").exists(), "listening")
    done = trunkline("check", "--port", "a", nb=read_only)
    assert (done.code, done.out.splitlines()[0]) == (3, "a is not known to work, for 1 reason:")
    assert "T506 chassis c1: it was not asked: this connection may not ask" in done.out
    assert done.err.startswith("trunkline: the chassis were not asked")


def test_marks_are_in_ascii_if_the_terminal_shows_no_others(
    shared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    shared.port("web1")
    try:
        out = check(shared, "--port", "web1").out
        assert out.isascii()
        assert " x T301 port web1: " in out
        assert " -> start its VM" in out
    finally:
        shared.nb.delete_ports(["web1"])


def test_of_many_lines_with_one_code_ten_are_shown_and_the_others_on_request(shared: Site) -> None:
    names = [f"web{number}" for number in range(12)]
    shared.nb.create(
        ports=[
            PortSpec(name=name, network="net1", mac=mac_of(name), external_ids={f"trunkline-{name}": ""})
            for name in names
        ]
    )
    try:
        out = check(shared).out
        assert out.count(" ! T321 ") == 10
        assert "T321 2 more: trunkline check --only T321" in out
        assert out.count(" ! T301 ports web0, web1, web2 and 9 more, each: ") == 1
        assert check(shared, "--only", "T321").out.count(" ! T321 ") == 12
        assert len(found(shared, "--only", "T321")) == 12
    finally:
        shared.nb.delete_ports(names)
        shared.sync()


def test_a_chassis_that_answers_no_questions_is_a_finding_and_the_answer_incomplete(
    shared: Site, first: DummyChassis
) -> None:
    first.set(**{"trunkline-answers": "false"})
    shared.sync()
    try:
        done = check(shared, "--deep")
        assert done.code == 3
        assert "T506 chassis c1" in done.out
        assert "trunkline-answers=false" in done.out
        assert "ovs-vsctl remove Open_vSwitch . external_ids trunkline-answers" in done.out
        assert check(shared).code == 0
    finally:
        first.set(**{"trunkline-answers": None})
        shared.sync()


def local(nb: str | None = None) -> list[tuple[str, str, str | None]]:
    """Return what the chassis of $OVS_RUNDIR itself finds: code, subject and chassis of each finding."""
    done = trunkline("check", "--local", "-o", "json", nb=nb)
    assert done.err == ""
    return [(each["code"], each["subject"], each["chassis"]) for each in json.loads(done.out)]


def test_a_chassis_looks_at_itself_whether_its_agent_runs_or_not(
    shared: Site, first: DummyChassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVS_RUNDIR", str(first.switch.rundir))
    assert local() == []
    first.agent.end(signal.SIGKILL)
    try:
        assert local() == [("T407", "agent", "c1")]
        first.switch.ofctl("-O", "OpenFlow14", "del-flows", "br-int", "table=80")
        assert local() == [("T404", "flows", "c1"), ("T407", "agent", "c1")]
        assert local(nb="unix:/nowhere") == [("T104", "northbound", "c1"), ("T407", "agent", "c1")]
    finally:
        first.start_agent()
        shared.sync()
    assert local() == []


def test_bad_input_is_one_line_and_says_what_to_do(shared: Site) -> None:
    assert "there is no code 'T20'; did you mean T" in refusal(check(shared, "--only", "T20"), 2)
    assert "no port is called 'nope'; see `trunkline port list`" in refusal(
        check(shared, "--port", "nope"), 1
    )
    assert "no network is called 'nope'" in refusal(check(shared, "--network", "nope"), 1)
    assert "no chassis is called 'nope'" in refusal(check(shared, "--chassis", "nope"), 1)
    assert "only one of" in refusal(check(shared, "--port", "a", "--chassis", "c1"), 2)
    assert "unix:/nowhere" in refusal(trunkline("check", nb="unix:/nowhere"), 1)


def test_a_member_that_is_away_is_a_finding(shared: Site) -> None:
    done = trunkline("check", "-o", "json", nb=f"{shared.served.remote},unix:/nowhere")
    (each,) = json.loads(done.out)
    assert (done.code, each["code"], each["subject"]) == (4, "T105", "northbound unix:/nowhere")
