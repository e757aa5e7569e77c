"""`trunkline check --port` on chassis that no wire connects: what the physical network loses between them."""

from __future__ import annotations

import json
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import BROADCAST, Site, ethernet, mac_of, until
from program import Done, trunkline

from trunkline.cli.trace import asker
from trunkline.health import recovery
from trunkline.health.check import findings
from trunkline.health.fleet import read
from trunkline.northbound import question
from trunkline.northbound.operation import Uuid, insert, select
from trunkline.path.evidence import LAG_S
from trunkline.path.outcome import Silence
from trunkline.probe import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trunkline.path.hop import Entry

pytestmark = pytest.mark.system

LAST_ANNOUNCEMENT_S = 31 + 4
"""When the agent has announced a port for the last time, and every counter shows it."""


def check(site: Site, *options: str) -> Done:
    return trunkline("check", *options, nb=site.served.remote)


def codes(site: Site, port: str) -> set[str]:
    return {each["code"] for each in json.loads(check(site, "--port", port, "-o", "json").out)}


def failed(site: Site, port: str) -> Done | None:
    """Return what is said of *port* if it does not work.

    The later a busy chassis answers, the longer a frame is not missed yet.
    """
    done = check(site, "--port", port)
    return done if done.code == 4 else None


def plug(site: Site, **options: str) -> None:
    """Have port a on c1 and port b on c2, with *options*."""
    site.network(mtu=1500)
    for port, name in (("a", "c1"), ("b", "c2")):
        site.port(port, options=options)
        site.chassis(name).plug(port)
    site.await_up("a", "b")
    site.sync()


def counting_s(site: Site) -> float:
    """Return for how long c2 has counted what it receives for b."""
    done = trunkline("trace", "--from", "a", "--to", "b", "-o", "json", nb=site.served.remote)
    return float(json.loads(done.out)["hops"][1]["counters"]["received"]["age_s"])


def hear(site: Site) -> None:
    """Have both chassis receive a frame of somebody on VLAN 101."""
    for each in site.all:
        each.receive_once("nic-br-phys1", ethernet(BROADCAST, mac_of("z"), 101))


def test_what_the_physical_network_loses_is_found_by_the_ports_at_both_ends(site: Site) -> None:
    plug(site, announce="false")
    # A frame counts as lost if it was sent some seconds after the other end could receive one.
    until(lambda: counting_s(site) > 3 * LAG_S, "the other end has counted for long enough")

    def lost() -> Done | None:
        site.all[0].receive_once("a", ethernet(mac_of("b"), mac_of("a")))
        return failed(site, "b") if codes(site, "a") == {"T214"} else None

    done = until(lost, "the loss is found at both ends")
    assert done.out.startswith("b does not work, for 1 reason:\n ✗ T214 network net1 on c2: from c1: ")
    assert "allow VLAN 101 on the switch ports of c2 and c1" in done.out
    # What b's chassis hears on that VLAN, from wherever, shows that it is carried.
    site.all[1].receive_once("nic-br-phys1", ethernet(BROADCAST, mac_of("z"), 101))
    until(lambda: check(site, "--port", "b").code == 0, "nothing is lost any longer")


def test_a_loss_between_ports_that_send_nothing_is_found_as_they_are_announced_again(site: Site) -> None:
    plug(site)

    def trace() -> dict[str, Any]:
        done = trunkline("trace", "--from", "a", "--to", "b", "-o", "json", nb=site.served.remote)
        found: dict[str, Any] = json.loads(done.out)
        return found

    def is_announced() -> bool:
        ages_s = [hop["counters"].get("sender", {}).get("age_s", 0) for hop in trace()["hops"]]
        return bool(ages_s[0] > LAST_ANNOUNCEMENT_S)

    until(is_announced, "the ports are no longer announced", 120)
    hear(site)
    # Nothing was sent since. So nothing is lost, as far as anybody knows who does not have something sent.
    assert trace()["verdict"] == "DELIVERED"
    until(lambda: codes(site, "a") == {"T214"}, "the loss is found")
    assert trace()["verdict"] == "NOT DELIVERED"

    def both_ways() -> Done | None:
        """What one end finds lost, the other may find a moment later."""
        done = failed(site, "b")
        return done if done is not None and "T214 network net1 on c2: to and from c1: " in done.out else None

    done = until(both_ways, "the loss is found at the other end, in both directions")
    assert done.out.startswith("b does not work, for 1 reason:\n")
    assert "not the announcement of the sender" in done.out

    # A port that shall not be announced is not.
    for name in ("a", "b"):
        site.nb.set_port(name, {"options": {"announce": "false"}})
    site.sync()
    hear(site)
    asked = {"ports": json.dumps(["a", "b"])}
    answers = question.ask(site.nb, "announce", ["c1", "c2"], asked, timeout_s=10)
    assert [each.body for each in answers.by_chassis.values()] == [{"announced": []}] * 2
    assert codes(site, "a") == set()


def test_a_vlan_that_is_never_answered_is_found_if_no_other_chassis_has_ports_of_it(site: Site) -> None:
    site.network(mtu=1500)
    site.port("a", options={"announce": "false"})
    first = site.chassis("c1")
    first.plug("a")
    site.await_up("a")
    site.sync()
    assert check(site, "--deep").code == 0

    def says() -> set[str]:
        first.receive_once("a", ethernet(BROADCAST, mac_of("a")))
        return {each["code"] for each in json.loads(check(site, "--deep", "-o", "json").out)}

    until(lambda: says() == {"T215"}, "the silence is found", 120)
    done = check(site, "--port", "a")
    assert done.code == 4
    assert done.out.startswith("a works, with 1 warning:\n ! T215 network net1 on c1: ")
    assert "allow VLAN 101 on the switch port" in done.out
    # Somebody out there speaks.
    first.receive_once("nic-br-phys1", ethernet(BROADCAST, mac_of("z"), 101))
    until(lambda: check(site, "--port", "a").code == 0, "something has come from there")


def severity(site: Site, *options: str) -> tuple[str, str]:
    """Return how bad the one finding of a probe is, and what to do."""
    (found,) = [
        each for each in json.loads(check(site, *options, "-o", "json").out) if each["code"] == "T216"
    ]
    return found["severity"], found["remedy"]


def learn(site: Site) -> None:
    """Have the provider bridges learn MACs."""
    for each in site.all:
        each.switch.ofctl("add-flow", "br-phys1", "priority=99,actions=NORMAL")


def lose(site: Site, *wrong: dict[str, Any], ago_ms: int = 600_000) -> None:
    """Have a probe of *ago_ms* ago say that c1 and c2 lose each other's frames: that is *wrong*."""
    (rows,) = site.nb.read(select("Network", only=("_uuid",)))
    lost = [["c1", "c2"], ["c2", "c1"]]
    found = {"islands": [["c1"], ["c2"]], "lost": lost, "sizes": [], "wrong": wrong}
    probed_ms = time.time_ns() // 1_000_000 - ago_ms
    row = {"network": Uuid(rows[0]["_uuid"]), "probed_ms": probed_ms, "body": json.dumps(found)}
    site.nb.transact([insert("Probe", row)])


def test_what_a_probe_found_lost_is_a_warning_once_the_two_have_heard_each_other_since(site: Site) -> None:
    plug(site, announce="false")
    learn(site)
    wrong = {"fault": "lost", "chassis": ["c1", "c2"], "text": "c1 and c2 are apart", "remedy": "join them"}
    lose(site, wrong)
    # That a stranger is heard, as a router may have been all the time, proves nothing.
    hear(site)
    for options in ((), ("--port", "a"), ("--deep",)):
        assert severity(site, *options) == ("error", "join them; then probe again: trunkline probe")
    done = check(site, "--port", "a")
    words = "a does not work, for 1 reason:\n ✗ T216 network net1: a probe, \\d+ min ago, found: c1"
    assert re.match(words, done.out)
    # One direction is not both.
    first, second = site.all
    second.receive_once("nic-br-phys1", ethernet(BROADCAST, mac_of("a"), 101))
    assert severity(site)[0] == "error"
    first.receive_once("nic-br-phys1", ethernet(BROADCAST, mac_of("b"), 101))
    for options in ((), ("--port", "a"), ("--port", "b"), ("--network", "net1"), ("--chassis", "c1")):
        assert severity(site, *options) == ("warning", "probe again: trunkline probe"), options
    done = check(site, "--port", "b")
    words = "b works, with 1 warning:\n ! T216 network net1: a probe, \\d+ min ago, found: c1"
    assert re.match(words, done.out)
    assert "c1 and c2 are apart; what was lost has come since, " in done.out
    assert " ✓ physical network: frames came to c1 " in done.out
    traced = trunkline("trace", "--from", "a", "--to", "b", nb=site.served.remote)
    assert traced.code == 0
    assert "of that VLAN, from this sender " in traced.out
    assert "; what c1 sends has come since, " in traced.out
    assert traced.out.endswith("    → probe again: trunkline probe\n")


def test_what_there_was_no_time_to_ask_about_stays_as_the_probe_found_it(site: Site) -> None:
    plug(site, announce="false")
    learn(site)
    lost = {"fault": "lost", "text": "lost", "remedy": "join them"}
    lose(site, *(lost | {"chassis": [name]} for name in ("c1", "c2")))
    for each, port in zip(site.all, ("b", "a"), strict=True):
        each.receive_once("nic-br-phys1", ethernet(BROADCAST, mac_of(port), 101))
    entries: list[Entry] = []
    ask = asker(site.nb, None)

    def slow(names: Sequence[str], entry: Entry) -> Mapping[str, dict[str, Any] | Silence]:
        if not entries:
            time.sleep(recovery.PATIENCE_S)
        entries.append(entry)
        return ask(names, entry)

    seen = recovery.with_recoveries(site.nb, read(site.nb), slow)
    found = {each.chassis: each.severity for each in findings(seen) if each.code == "T216"}
    assert found == {"c1": "warning", "c2": "error"}
    # Both directions, at sender and receiver, for the loss at c1; for that at c2 nobody was asked.
    assert len(entries) == 4


def test_what_came_before_a_probe_is_not_taken_for_later_if_answers_take_long(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an hour passes after each answer, by the clock of the records alone."""
    plug(site, announce="false")
    learn(site)
    for each, port in zip(site.all, ("b", "a"), strict=True):
        each.receive_once("nic-br-phys1", ethernet(BROADCAST, mac_of(port), 101))
    lose(site, {"fault": "lost", "chassis": ["c1", "c2"], "text": "lost", "remedy": "join them"}, ago_ms=0)
    ask, passed_ms, asked = asker(site.nb, None), [0], []

    def slow(names: Sequence[str], entry: Entry) -> Mapping[str, dict[str, Any] | Silence]:
        passed_ms[0] = 0
        answers = ask(names, entry)
        asked.append(answers)
        passed_ms[0] = 1_800_000
        return answers

    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + passed_ms[0] * 1_000_000)
    monkeypatch.setattr(record, "time", clock)
    monkeypatch.setattr(recovery, "PATIENCE_S", 60.0)
    fleet = recovery.with_recoveries(site.nb, read(site.nb), slow)
    (found,) = (each for records in fleet.probes.values() for each in records)
    assert [each.passed_s for each in found.wrong] == [None]
    # All were asked, and all have heard the frames.
    heard = [hop["heard_s"] for each in asked for hop in each.values() if not isinstance(hop, Silence)]
    assert len([each for each in heard if each is not None]) == 2


@pytest.mark.parametrize(
    ("ports", "says"),
    [
        (None, "not a list of names"),
        ("a", "not a list of names"),
        ('{"a": 1}', "not a list of names"),
        ("[1]", "not a list of names"),
        ("[" * 200, "not a list of names"),
        (json.dumps([f"p{number}" for number in range(9)]), "may name 8 ports to announce, not 9"),
    ],
)
def test_a_question_for_announcements_names_few_ports(site: Site, ports: str | None, says: str) -> None:
    site.chassis("c1")
    site.sync()
    asked = {} if ports is None else {"ports": ports}
    answers = question.ask(site.nb, "announce", ["c1"], asked, timeout_s=10)
    assert answers.by_chassis["c1"].state == "failed"
    assert says in answers.by_chassis["c1"].reason
