"""Who may ask and answer, tried by clients with certificates on a real server (docs/access.md)."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from dummy_chassis import until
from nb_cluster import Cluster, opened
from program import refusal, trunkline
from role_site import Site, forbidden

from model.certificate import Authority, openssl
from model.tcp_port import free_port
from trunkline.northbound import question
from trunkline.northbound.access import VIEWER_ROLE
from trunkline.northbound.certificate import common_name
from trunkline.northbound.client import Northbound, RefusedError
from trunkline.northbound.operation import Uuid, delete, insert, select, update
from trunkline.northbound.watch import Watch

pytestmark = pytest.mark.system


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with opened() as started:
        yield started


@pytest.fixture
def site(cluster: Cluster) -> Iterator[Site]:
    started = Site(cluster, "trunkline-chassis")
    with ExitStack() as stack:
        stack.callback(started.operator.close)
        yield started


@pytest.fixture
def viewers(site: Site) -> str:
    """Where the northbound listens for those who only look."""
    port = free_port()
    target = f"pssl:{port}:127.0.0.1"
    assert trunkline("nb", "listen", target, "--role", VIEWER_ROLE, nb=site.server.remote) == (0, "", "")
    return f"ssl:127.0.0.1:{port}"


ROW = {"kind": "state", "chassis": ["c1"], "slot": 0, "ttl_s": 60}


def left(nb: Northbound) -> tuple[int, int]:
    requests, answers = nb.read(select("Request", only=("_uuid",)), select("Answer", only=("_uuid",)))
    return len(requests), len(answers)


def test_a_viewer_asks_an_agent_that_has_its_role_and_nothing_is_left(site: Site, viewers: str) -> None:
    site.chassis("c1")
    viewer = site.client("eve", viewers)
    for _ in range(3):
        answers = question.ask(viewer, "state", timeout_s=20)
        assert answers.by_chassis["c1"].body["chassis"] == "c1"
        # A viewer may delete no answer: the chassis does, as soon as its question is gone.
        until(lambda: left(site.operator) == (0, 0), "nothing left")
    files = site.authority.issue("eve")
    done = trunkline(*files.options, "chassis", "state", "-o", "json", nb=viewers)
    assert (done.code, [row["chassis"] for row in json.loads(done.out)]) == (0, ["c1"])
    done = trunkline(*files.options, "status", "--check", nb=viewers)
    assert done == (0, "1 chassis: 1 live; 0 faults\n", "")
    until(lambda: left(site.operator) == (0, 0), "nothing left")


def test_a_viewer_sees_that_an_agent_is_dead_and_that_one_which_refuses_questions_lives(
    site: Site, viewers: str
) -> None:
    dead, refusing = site.chassis("c1"), site.chassis("c2")
    refusing.switch.vsctl("set", "Open_vSwitch", ".", "external_ids:trunkline-answers=false")
    assert trunkline("sync", "--wait", nb=site.server.remote).code == 0
    dead.agent.end(signal.SIGKILL)
    files = site.authority.issue("eve")
    done = trunkline(*files.options, "status", "--check", nb=viewers)
    assert done == (4, "2 chassis: 1 live, 1 silent (c1); 0 faults\n", "")
    done = trunkline(*files.options, "check", "-o", "json", nb=viewers)
    found = json.loads(done.out)
    assert [(each["code"], each["chassis"]) for each in found] == [("T501", "c1")]
    assert (done.code, done.err) == (4, "")
    # It may be at work on a question of somebody else.
    with question._open(site.operator, ROW | {"chassis": ["c1"]}):
        done = trunkline(*files.options, "status", "--check", nb=viewers)
        assert done == (3, "2 chassis: 1 live, 1 unknown (c1); 0 faults\n", "")


def test_a_viewer_deletes_what_it_left_behind_itself_and_somebody_without_a_role_the_rest(
    site: Site, viewers: str
) -> None:
    site.chassis("c1")
    old = {"kind": "state", "chassis": ["c9"], "slot": 0, "ttl_s": 1}  # of no date
    site.operator.transact([insert("Request", old | {"by": name}) for name in ("eve", "bob")])
    viewer = site.client("eve", viewers)
    assert question.ask(viewer, "state", ["c1"], timeout_s=20).by_chassis["c1"].state == "done"
    assert site.operator.read(select("Request", only=("by",))) == [[{"by": "bob"}]]
    assert question.ask(site.operator, "state", ["c1"], timeout_s=20).by_chassis["c1"].state == "done"
    until(lambda: left(site.operator) == (0, 0), "nothing left")


def test_of_what_a_chassis_says_is_over_a_viewer_deletes_what_is_its_own(site: Site, viewers: str) -> None:
    site.chassis("c1")
    short = ROW | {"ttl_s": 1, "asked_ms": time.time_ns() // 1_000_000}
    site.operator.transact([insert("Request", short | {"by": name}) for name in ("eve", "bob")])
    viewer = site.client("eve", viewers)

    def who_is_left_by(asker: Northbound) -> set[str]:
        assert question.ask(asker, "state", ["c1"], timeout_s=20).by_chassis["c1"].state == "done"
        return {row["by"] for row in site.operator.read(select("Request", only=("by",)))[0]}

    until(lambda: who_is_left_by(viewer) == {"bob"}, "its own is over, and gone")
    until(lambda: who_is_left_by(site.operator) == set(), "so is the other one's")


def test_a_viewer_writes_questions_of_its_own_and_nothing_else(site: Site, viewers: str) -> None:
    viewer, other = site.client("eve", viewers), site.client("bob", viewers)
    honest = site.client("c1")
    honest.transact([insert("Chassis", {"name": "c1"})])
    (asked,) = viewer.transact([insert("Request", ROW | {"by": "eve"})])
    forbidden(viewer, insert("Request", ROW | {"by": "bob"}))
    forbidden(viewer, update("Request", ("by", "==", "eve"), row={"kind": "other"}))
    forbidden(other, delete("Request", ("by", "==", "eve")))
    reference = Uuid(asked["uuid"][1])
    row = {"request": reference, "chassis": "c1", "state": "done", "body": "{}"}
    forbidden(viewer, insert("Answer", row))
    honest.transact([insert("Answer", row)])
    forbidden(viewer, delete("Answer"))
    for operation in (
        update("NB_Global", row={"nb_cfg": 9}),
        update("Chassis", row={"nb_cfg": 9}),
        update("Network", row={"mtu": 1400}),
        insert("Chassis", {"name": "eve"}),
        delete("Network"),
        update("Connection", row={"role": ""}),
        update("RBAC_Permission", row={"authorization": [""]}),
    ):
        forbidden(viewer, operation)
    viewer.transact([delete("Request", ("by", "==", "eve"))])
    (answers,) = site.operator.read(select("Answer", only=("request",)))
    assert answers == [{"request": None}]


def test_a_chassis_answers_in_its_own_name_alone_and_asks_nothing(site: Site) -> None:
    (asked,) = site.operator.transact([insert("Request", ROW | {"by": "me"})])
    row = {"request": Uuid(asked["uuid"][1]), "chassis": "c1", "state": "done", "body": "{}"}
    evil, honest = site.client("evil"), site.client("c1")
    forbidden(evil, insert("Answer", row))
    honest.transact([insert("Answer", row)])
    forbidden(evil, delete("Answer", ("chassis", "==", "c1")))
    forbidden(evil, update("Answer", ("chassis", "==", "c1"), row={"body": "lies"}))
    for operation in (
        insert("Request", ROW | {"by": "evil", "slot": 1}),
        delete("Request"),
        update("Request", row={"kind": "other"}),
    ):
        forbidden(evil, operation)
    honest.transact([delete("Answer", ("chassis", "==", "c1"))])
    site.operator.transact([insert("Chassis", {"name": "c9"})])
    with pytest.raises(RefusedError, match="may not ask as 'evil'"):
        question.ask(evil, "state", timeout_s=1)


def _answer_as_evil(evil: Northbound, watch: Watch, body: str, over: Sequence[Uuid] = ()) -> None:
    watch.wait_until(lambda rows: bool(rows["Request"]), 20)
    (asked,) = watch.rows["Request"]
    row = {"request": Uuid(asked), "chassis": "evil", "state": "done", "body": body, "over": list(over)}
    evil.transact([insert("Answer", row), insert("Answer", row)])


def test_an_answer_of_a_hostile_chassis_is_but_an_answer(site: Site) -> None:
    """It may say anything, several times over, in its own name; whoever asked gets no traceback."""
    evil = site.client("evil")
    evil.transact([insert("Chassis", {"name": "evil"})])
    for body in ('"\x1b[2J"', "[]", "no json", "{}", '{"chassis": "c1", "flows": {"a": 1}}'):
        (before,) = site.operator.read(select("Request"))
        assert before == []
        with site.operator.watch(select("Request", only=("kind",))) as watch:
            answering = threading.Thread(target=_answer_as_evil, args=(evil, watch, body))
            answering.start()
            done = trunkline("chassis", "state", nb=site.server.remote)
            answering.join()
        assert done.code in (0, 3), done
        assert "Traceback" not in done.err
        assert "defect" not in done.err
        assert "\x1b" not in done.out + done.err
        # The operator deletes what is left, whoever wrote it.
        assert left(site.operator) == (0, 0)


def test_a_hostile_chassis_that_calls_questions_of_others_over_is_not_believed(site: Site) -> None:
    evil = site.client("evil")
    evil.transact([insert("Chassis", {"name": "evil"})])
    live = ROW | {"by": "bob", "ttl_s": 300, "asked_ms": time.time_ns() // 1_000_000}
    (made,) = site.operator.transact([insert("Request", live)])
    over = [Uuid(made["uuid"][1])]
    with site.operator.watch(select("Request", ("kind", "==", "other"), only=("kind",))) as watch:
        answering = threading.Thread(target=_answer_as_evil, args=(evil, watch, "{}", over))
        answering.start()
        found = question.ask(site.operator, "other", ["evil"], timeout_s=20)
        answering.join()
    assert found.over == frozenset(over)
    assert site.operator.read(select("Request", only=("by",))) == [[{"by": "bob"}]]


def test_the_cn_is_that_by_which_the_server_knows_a_client(cluster: Cluster) -> None:
    authority = Authority(cluster.folder)
    for name in ("eve", "a name with spaces", "x" * 64):
        files = authority.issue(name)
        assert common_name(str(files.certificate)) == name
    nobody = cluster.folder / "nobody.pem"
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", "/O=people/OU=cn", "-keyout", str(cluster.folder / "nobody.key"), "-out", str(nobody)),
    )
    assert common_name(str(nobody)) is None
    several = cluster.folder / "several.pem"
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/C=DE/O=people/CN=eve/OU=cn"),
        *("-keyout", str(cluster.folder / "several.key"), "-out", str(several)),
    )
    assert common_name(str(several)) == "eve"
    for text in ("", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        nobody.write_text(text)
        assert common_name(str(nobody)) is None
    assert common_name("/nonexistent") is None


@pytest.mark.parametrize(
    ("command", "table"),
    [
        (("sync",), "NB_Global"),
        (("network", "create", "red", "--type", "flat", "--physical-network", "p"), "NB_Global"),
    ],
)
def test_a_viewer_who_changes_something_is_told_of_the_role(
    site: Site, viewers: str, command: tuple[str, ...], table: str
) -> None:
    line = refusal(trunkline(*site.authority.issue("eve").options, *command, nb=viewers), 1)
    assert line == (
        f"trunkline: permission denied: the role {VIEWER_ROLE} may not change {table} this way; "
        "use a connection that may (--nb)"
    )


def test_a_viewer_who_applies_a_file_is_told_of_the_option_as_well(
    site: Site, viewers: str, tmp_path: Path
) -> None:
    file = tmp_path / "red.yaml"
    file.write_text("{kind: Network, name: red, network_type: flat, physical_network: physnet2}\n")
    files = site.authority.issue("eve")
    for last in ("--dry-run", "--yes"):
        done = trunkline(*files.options, "apply", "-f", str(file), last, nb=viewers)
        assert done.code == 1
        assert done.err.splitlines() == [
            f"trunkline: permission denied: the role {VIEWER_ROLE} may not change NB_Global this way; "
            "use a connection that may (--nb)",
            "nothing was applied",
        ]


def test_without_the_role_in_the_database_yet_asking_is_refused_in_one_line(site: Site, viewers: str) -> None:
    site.operator.transact(
        [delete("RBAC_Role", ("name", "==", VIEWER_ROLE)), insert("Chassis", {"name": "c1"})]
    )
    files = site.authority.issue("eve")
    line = refusal(trunkline(*files.options, "chassis", "state", nb=viewers), 1)
    assert "may not ask as 'eve'; it needs the role trunkline-viewer" in line
