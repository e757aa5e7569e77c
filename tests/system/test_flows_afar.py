"""`trunkline flows` and `trunkline explain` of another chassis, which answers through the northbound."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until
from program import refusal, trunkline

from trunkline.core.cookie import Subject, cookie
from trunkline.core.pipeline import Owner
from trunkline.insight.flow import MOST_FOREIGN
from trunkline.northbound.operation import insert, select

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

A = mac_of("a")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One site for all, of one chassis: a is secured, b is not."""
    with opened() as started:
        chassis = started.chassis()
        started.network("net1", 101)
        started.port("a", port_security=True, addresses=("192.0.2.1",))
        started.port("b")
        for port in "ab":
            chassis.plug(port)
        started.await_up("a", "b")
        started.sync()
        yield started


@pytest.fixture
def chassis(site: Site, monkeypatch: pytest.MonkeyPatch) -> DummyChassis:
    """The chassis. Only what is asked here, and not from afar, finds its switch."""
    monkeypatch.setenv("OVS_RUNDIR", "/nowhere")
    return site.all[0]


def afar(site: Site, *words: str) -> Any:
    """Return the answer as JSON, which nobody complains about."""
    done = trunkline(*words, "--chassis", "c1", "-o", "json", nb=site.served.remote)
    assert (done.code, done.err) == (0, ""), done
    return json.loads(done.out)


def here(site: Site, *words: str) -> Any:
    """Return what the chassis itself says."""
    environment = {"OVS_RUNDIR": str(site.all[0].switch.rundir)}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        done = trunkline(*words, "-o", "json", nb=site.served.remote)
    assert (done.code, done.err) == (0, ""), done
    return json.loads(done.out)


def still(shown: Any) -> Any:
    """Return *shown* without what grows by itself."""
    for flow in shown.get("flows", []):
        flow.pop("age_s")
    for each in shown.get("explanations", []):
        each["says"] = [line.rpartition(", in the ")[0] or line for line in each["says"]]
    return shown


@pytest.mark.parametrize(
    "words",
    [
        ("flows",),
        ("flows", "--port", "a"),
        ("flows", "--network", "net1"),
        ("flows", "--app", "l2", "--table", "l2_lookup"),
        ("flows", "--drops"),
        ("flows", "--sort", "packets", "--port", "b"),
    ],
)
def test_from_afar_the_same_is_shown_as_on_the_chassis(
    site: Site, chassis: DummyChassis, words: tuple[str, ...]
) -> None:
    chassis.receive_once("a", *[ethernet(BROADCAST, A, 101)] * 3)
    chassis.vswitchd.await_revalidated()
    found = afar(site, *words)
    assert still(found) == still(here(site, *words))
    assert found.get("flows", found.get("bands"))


def test_a_cookie_that_is_shown_from_afar_is_explained_from_afar(site: Site, chassis: DummyChassis) -> None:
    key = site.nb.port("a")["unique_key"]
    words = ("explain", f"{cookie(Owner.PORT_SECURITY, Subject.PORT, key):#x},table=10")
    assert still(afar(site, *words)) == still(here(site, *words))
    line = refusal(trunkline("explain", "0xbad", "--chassis", "c1", nb=site.served.remote), 1)
    assert "br-int has no flow 0xbad" in line


def test_too_many_flows_are_refused_with_what_to_ask_for_and_their_summary_fits(
    site: Site, chassis: DummyChassis
) -> None:
    switch = chassis.switch
    path = switch.rundir / "many"
    # As of a program that learns flows, and gives each of them a cookie of its own.
    path.write_text(
        "".join(
            f"cookie={0xBAD00000 + n:#x},table=200,priority={n % 1000},reg0={n:#x},"
            f"dl_src=02:{os.urandom(5).hex(':')},actions=resubmit(,{n % 100 + 100})\n"
            for n in range(20_000)
        )
    )
    switch.ofctl("--bundle", "add-flows", "br-int", str(path))
    try:
        line = refusal(trunkline("flows", "--raw", "--chassis", "c1", nb=site.served.remote), 1)
        assert "chassis 'c1' has no answer: these are too many flows" in line
        assert "ask for those of one port or network" in line
        found = afar(site, "flows")
        for shown in (found, here(site, "flows")):
            strange = [band for band in shown["bands"] if band["app"] is None]
            assert sum(band["flows"] for band in strange) == 20_000
            assert (strange[-1]["band"], strange[-1]["priority"]) == ("FOREIGN, others", None)
            assert len(strange) == MOST_FOREIGN + 1
        # And what is few is found among them.
        assert {flow["row"]["name"] for flow in afar(site, "flows", "--port", "a")["flows"]} == {"a"}
    finally:
        switch.ofctl("del-flows", "br-int", "table=200")


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("--chassis", "c9"), 1, "no chassis is called 'c9'"),
        (("--chassis", "c1", "--watch"), 2, "watch on the chassis itself"),
        (("--chassis", "c1", "--ovs", "unix:/x"), 2, "give one of them"),
        (("--chassis", "c1", "--port", "zz"), 1, "no port is called 'zz'"),
    ],
)
@pytest.mark.usefixtures("chassis")
def test_a_bad_question_from_afar_is_one_line(
    site: Site, words: tuple[str, ...], code: int, complaint: str
) -> None:
    assert complaint in refusal(trunkline("flows", *words, nb=site.served.remote), code)


def test_a_chassis_that_cannot_answer_says_why_and_one_that_does_not_is_named(
    site: Site, chassis: DummyChassis, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = chassis.switch.rundir / "br-int.away"
    socket = chassis.switch.rundir / "br-int.mgmt"
    socket.rename(away)
    try:
        line = refusal(trunkline("flows", "--chassis", "c1", nb=site.served.remote), 1)
        assert "chassis 'c1' has no answer: cannot open " in line
    finally:
        away.rename(socket)
    chassis.agent.process.send_signal(signal.SIGSTOP)
    try:
        line = refusal(trunkline("flows", "--chassis", "c1", nb=site.served.remote), 3)
        assert "chassis 'c1' has not answered within 10 s; is its agent running?" in line
    finally:
        chassis.agent.process.send_signal(signal.SIGCONT)


def test_a_switch_that_hangs_holds_up_no_agent_that_is_asked_for_its_flows(
    site: Site, chassis: DummyChassis
) -> None:
    with chassis.switch.stopped():
        asking = threading.Thread(
            target=trunkline, args=("flows", "--chassis", "c1"), kwargs={"nb": site.served.remote}
        )
        asking.start()
        until(lambda: site.nb.read(select("Request"))[0], "asked")
        assert chassis.agent.status()["chassis"] == "c1"
    asking.join()


FORGED = [
    ("[]", "it is no object"),
    ("{}", "cannot be read"),
    ('{"packed": 7}', "cannot be read"),
    ('{"packed": "!"}', "cannot be read"),
    ('{"packed": "eJwDAAAAAAE="}', "FLOWS"),
    ('{"packed": "eJwDAAAAAA=="}', "cannot be read"),
    ("not json", "cannot be read"),
    ("[" * 30_000, "cannot be read"),
    ('{"packed": 1e999}', "cannot be read"),
]


@pytest.mark.parametrize(("body", "said"), FORGED)
def test_an_answer_that_is_forged_is_one_line(site: Site, body: str, said: str) -> None:
    """A chassis in wrong hands: a row of its name, and answers that somebody writes in its place."""
    nb = site.nb
    if "evil" not in {row["name"] for row in nb.read(select("Chassis"))[0]}:
        nb.transact([insert("Chassis", {"name": "evil"})])
    found: list[Any] = []
    asking = threading.Thread(
        target=lambda: found.append(trunkline("flows", "--chassis", "evil", nb=site.served.remote))
    )
    asking.start()
    (row,) = until(lambda: nb.read(select("Request", ("chassis", "includes", "evil")))[0], "asked")
    nb.transact(
        [insert("Answer", {"request": row["_uuid"], "chassis": "evil", "state": "done", "body": body})]
    )
    asking.join()
    (done,) = found
    assert said in done.out + done.err
    assert done.err.count("\n") <= 1
    assert "defect" not in done.err
