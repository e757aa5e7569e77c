"""A watch tells every net change of the rows asked for, whatever becomes of servers and connections."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from nb_cluster import opened

from trunkline.core.error import InvalidValueError
from trunkline.northbound import member, rpc, watch
from trunkline.northbound.client import (
    NetworkSpec,
    Northbound,
    PortSpec,
    RowChange,
    UnreachableError,
    Watch,
)
from trunkline.northbound.operation import delete, insert, select, update
from trunkline.northbound.rpc import RequestError, Rpc
from trunkline.northbound.schema import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.northbound import Northbound as Served
    from trunkline.northbound.monitor import Rows
    from trunkline.northbound.operation import Operation

pytestmark = pytest.mark.system

TIMEOUT_S = 30.0
COLUMNS = ("name", "nb_cfg", "silent_at", "denied", "bridge_mappings")
CHASSIS = select("Chassis", only=COLUMNS)
SIGN = select("NB_Global", only=("nb_cfg",))


class Heard(Rpc):
    """A connection that notes whether the server knew the transaction from which a watch goes on."""

    found: list[bool]

    def request(self, method: str, params: list[Any], timeout_s: float) -> Any:
        result = super().request(method, params, timeout_s)
        if method == "monitor_cond_since":
            self.found.append(result[0])
        return result


class Older(Rpc):
    """A connection on which the server does not know what was new in Open vSwitch 2.12."""

    def request(self, method: str, params: list[Any], timeout_s: float) -> Any:
        return super().request("unheard_of" if method == "monitor_cond_since" else method, params, timeout_s)


@pytest.fixture
def northbound(nb: Served) -> Iterator[Northbound]:
    with Northbound.connect(nb.remote) as connected:
        yield connected


def chassis(name: str, **columns: Any) -> Operation:
    return insert("Chassis", {"name": name} | columns)


def change(name: str, **columns: Any) -> Operation:
    return update("Chassis", ("name", "==", name), row=columns)


def sign(northbound: Northbound, nb_cfg: int) -> None:
    northbound.transact([update("NB_Global", row={"nb_cfg": nb_cfg})])


def told(watched: Watch, nb_cfg: int) -> list[RowChange]:
    """Return the changes of chassis that come before the sign *nb_cfg*, or with it."""
    found: list[RowChange] = []
    while True:
        batch = watched.changes(TIMEOUT_S)
        assert batch, "the sign does not come"
        found += [each for each in batch if each.table == "Chassis"]
        if any(each.new and each.new.get("nb_cfg") == nb_cfg for each in batch if each.table == "NB_Global"):
            return found


def by_name(changes: list[RowChange]) -> dict[str, tuple[Any, Any]]:
    """Return the old and the new `nb_cfg` of each chassis, which has changed once."""
    rows = {(each.new or each.old or {})["name"]: each for each in changes}
    assert len(rows) == len(changes)
    return {name: (_cfg(each.old), _cfg(each.new)) for name, each in rows.items()}


def _cfg(row: dict[str, Any] | None) -> int | None:
    return None if row is None else row["nb_cfg"]


@pytest.mark.parametrize("kind", [Rpc, Older])
@pytest.mark.parametrize("seed", range(2))
def test_rows_are_as_a_reader_finds_them_and_the_changes_lead_there(
    nb: Served, northbound: Northbound, kind: type[Rpc], seed: int
) -> None:
    random = Random(seed)
    mirror: Rows = {"Chassis": {}, "NB_Global": {}}

    def some(what: str, most: int) -> list[str]:
        return random.sample([f"{what}{number}" for number in range(4)], random.randint(0, most))

    with Watch(partial(kind.connect, nb.remote), DATABASE, [CHASSIS, SIGN]) as watched:
        for turn in range(1, 31):
            name = f"c{random.randrange(4)}"
            columns = {
                "nb_cfg": random.randrange(3),
                "silent_at": random.choice([None, 0, 1]),
                "denied": some("port", 3),
                "bridge_mappings": dict.fromkeys(some("physnet", 3), f"br{random.randrange(2)}"),
            }
            kept = {column: columns[column] for column in random.sample(list(columns), 2)}
            is_there = any(row["name"] == name for row in northbound.read(CHASSIS)[0])
            edits = [delete("Chassis", ("name", "==", name))] if is_there and random.random() < 0.3 else []
            if not edits:
                edits = [change(name, **kept) if is_there else chassis(name, **kept)]
            northbound.transact(edits)
            if random.random() < 0.2:
                watched.close()
            if random.random() < 0.5:
                continue
            sign(northbound, turn)
            is_signed = False
            while not is_signed:
                for table, id_, old, new in watched.changes(TIMEOUT_S):
                    assert mirror[table].pop(id_, None) == old
                    assert old != new
                    if new is not None:
                        mirror[table][id_] = new
                    is_signed |= table == "NB_Global" and new is not None and new["nb_cfg"] == turn
            assert mirror == watched.rows
            (rows,) = northbound.read(select("Chassis", only=("_uuid", *COLUMNS)))
            assert watched.rows["Chassis"] == {row.pop("_uuid"): row for row in rows}


def test_of_what_happened_while_the_server_was_away_the_net_change_is_told(
    nb: Served, northbound: Northbound
) -> None:
    northbound.transact([chassis("kept"), chassis("changed"), chassis("gone")])
    sign(northbound, 1)
    with northbound.watch(CHASSIS, SIGN) as watched:
        assert by_name(told(watched, 1)) == {"kept": (None, 0), "changed": (None, 0), "gone": (None, 0)}
        nb.stop()
        with pytest.raises(UnreachableError, match="is the northbound running"):
            watched.changes(0.3)
        assert len(watched.rows["Chassis"]) == 3
        nb.start()
        for number in (1, 2):
            northbound.transact([change("changed", nb_cfg=number)])
        northbound.transact([chassis("new", nb_cfg=5), delete("Chassis", ("name", "==", "gone"))])
        northbound.transact([chassis("brief")])
        northbound.transact([delete("Chassis", ("name", "==", "brief"))])
        sign(northbound, 2)
        assert by_name(told(watched, 2)) == {"changed": (0, 2), "gone": (0, None), "new": (None, 5)}


def test_a_watch_waits_until_something_is_so_and_says_if_it_never_was(
    nb: Served, northbound: Northbound
) -> None:
    def is_there(rows: Rows) -> bool:
        return any(row["name"] == "c1" for row in rows["Chassis"].values())

    with northbound.watch(CHASSIS) as watched:
        assert not watched.wait_until(is_there, 0.2)
        northbound.transact([chassis("c1")])
        assert watched.wait_until(is_there, TIMEOUT_S)
        assert watched.changes(0) == [], "what was seen is not told again"
        assert watched.wait_until(is_there, 0)
        nb.stop()
        with pytest.raises(UnreachableError):
            watched.wait_until(lambda rows: not is_there(rows), 0.2)


def test_a_select_with_a_condition_is_of_the_rows_that_meet_it_now(northbound: Northbound) -> None:
    northbound.create(
        [NetworkSpec(name="web", network_type="flat", physical_network="p")],
        [PortSpec(name=f"p{n}", network="web", mac=f"02:00:00:00:00:0{n}") for n in range(4)],
    )

    def move(port: str, to: str | None) -> None:
        northbound.transact([update("Port", ("name", "==", port), row={"chassis": to})])

    def names(wanted: set[str]) -> bool:
        return watched.wait_until(
            lambda rows: {row["name"] for row in rows["Port"].values()} == wanted, TIMEOUT_S
        )

    only = ("name", "chassis")
    on_c1, on_c2 = (select("Port", ("chassis", "==", [name]), only=only) for name in ("c1", "c2"))
    move("p0", "c1")
    with northbound.watch(on_c1, on_c2) as watched:
        assert names({"p0"})
        move("p1", "c2")
        assert names({"p0", "p1"})
        move("p2", "c3")
        move("p0", "c2")
        (moved,) = watched.changes(TIMEOUT_S)
        assert (moved.old, moved.new) == ({"name": "p0", "chassis": "c1"}, {"name": "p0", "chassis": "c2"})
        move("p1", None)
        (left,) = watched.changes(TIMEOUT_S)
        assert (left.old, left.new) == ({"name": "p1", "chassis": "c2"}, None)


def test_a_watch_that_cannot_be_is_refused_at_once(northbound: Northbound) -> None:
    one, other = ("chassis", "==", ["c1"]), ("up", "==", [True])
    for selects in (
        (select("Port", one, other, only=("name",)),),
        (select("Port", one, only=("name",)), select("Port", other, only=("up",))),
    ):
        with pytest.raises(InvalidValueError):
            northbound.watch(*selects)
    for wanted in (select("Port", only=("nmae",)), select("Prot", only=("name",))):
        with (
            northbound.watch(wanted) as watched,
            pytest.raises(InvalidValueError, match="there is no column"),
        ):
            watched.changes(TIMEOUT_S)
    with (
        northbound.watch(select("Port", ("up", "==", "yes"), only=("name",))) as watched,
        pytest.raises(RequestError),
    ):
        watched.changes(TIMEOUT_S)


def follow(watched: Watch) -> None:
    """Take in changes until something is wrong."""
    while True:
        watched.changes(5)


@contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_no_longer_answers_is_noticed_and_followed_again_when_it_does(
    nb: Served, northbound: Northbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "PROBE_S", 0.2)
    monkeypatch.setattr(watch, "CONNECT_TIMEOUT_S", 0.5)
    assert nb.pid is not None
    sign(northbound, 1)
    with northbound.watch(CHASSIS, SIGN) as watched:
        told(watched, 1)
        assert watched.changes(1.0) == [], "it answers what it is asked"
        with paused(nb.pid), pytest.raises(UnreachableError, match="no answer within"):
            watched.changes(1.0)
        monkeypatch.undo()
        northbound.transact([chassis("c1")])
        sign(northbound, 2)
        assert by_name(told(watched, 2)) == {"c1": (None, 0)}


def test_a_watch_continues_at_another_member_and_leaves_one_that_is_cut_off() -> None:
    with opened() as cluster:
        cluster.form()
        first, second, third = cluster.members
        Heard.found = []

        def connect(timeout_s: float) -> Rpc:
            chosen = member.connect(cluster.remotes, timeout_s)
            chosen.close()
            return Heard.connect(chosen.remote, timeout_s)

        with (
            Northbound.connect(f"{second.remote},{third.remote}") as northbound,
            Watch(connect, DATABASE, [CHASSIS, SIGN]) as watched,
        ):
            northbound.transact([chassis(f"c{number}") for number in range(3)])
            sign(northbound, 1)
            assert len(told(watched, 1)) == 3
            first.kill()
            northbound.transact([change("c1", nb_cfg=7)])
            sign(northbound, 2)
            assert by_name(told(watched, 2)) == {"c1": (0, 7)}
            assert Heard.found == [False, True]
            # The second member is alone now, and says so; the rows that it still has may be old.
            third.kill()
            with pytest.raises(UnreachableError, match="is cut off from it"):
                follow(watched)
            third.start()
            northbound.close()
            northbound.transact([delete("Chassis", ("name", "==", "c2"))])
            sign(northbound, 3)
            assert by_name(told(watched, 3)) == {"c2": (0, None)}
            assert Heard.found[-1]
