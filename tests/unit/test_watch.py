"""A watch and servers that real ones are seldom: behind their cluster, or making no sense.

A server here answers each request from a script, one for each connection.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from trunkline.northbound import watch
from trunkline.northbound.operation import select
from trunkline.northbound.rpc import Rpc, UnreachableError
from trunkline.northbound.watch import Watch

SCHEMA = json.dumps(
    {"tables": {"T": {"columns": {"n": {"type": "integer"}, "s": {"type": {"key": "string", "max": 9}}}}}}
)
ROW = {"name": "D", "schema": SCHEMA, "connected": True, "cid": ["uuid", "c"], "index": 5}
ZERO = "00000000-0000-0000-0000-000000000000"

Script = dict[str, Any]


def server(**columns: Any) -> dict[str, Any]:
    return {"Database": {"d": {"initial": ROW | columns}}}


def whole(rows: dict[str, Any], transaction: str = ZERO) -> list[Any]:
    return [False, transaction, {"T": {id_: {"initial": row} for id_, row in rows.items()}}]


def good(**rows: Any) -> Script:
    return {"monitor_cond": server(), "monitor_cond_since": whole(rows)}


class Servers:
    """Gives each connection the next of *scripts*: results by method; `then METHOD` is sent after that."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.asked: list[list[Any]] = []

    def connect(self, timeout_s: float) -> Rpc:
        ours, theirs = socket.socketpair()
        script = self._scripts.pop(0)
        threading.Thread(target=self._serve, args=(theirs, script), daemon=True).start()
        return Rpc("unix:peer", ours)

    def _serve(self, peer: socket.socket, script: Script) -> None:
        with peer, peer.makefile("rb", buffering=0) as stream:
            while data := stream.read(1 << 16):
                request = json.loads(data)
                method, params = request["method"], request["params"]
                if method == "monitor_cond_since":
                    self.asked.append(params)
                answers = [{"id": request["id"], "result": script[method], "error": None}]
                answers += script.get(f"then {method}", [])
                peer.sendall("".join(map(json.dumps, answers)).encode())


def update3(tables: Any, transaction: str = "t") -> dict[str, Any]:
    return {"method": "update3", "id": None, "params": ["rows", transaction, tables]}


def watched(*scripts: Script) -> tuple[Watch, Servers]:
    servers = Servers(*scripts)
    return Watch(servers.connect, "D", [select("T", only=("n", "s"))]), servers


def numbers(each: Watch) -> dict[str, int]:
    return {str(id_): row["n"] for id_, row in each.rows["T"].items()}


@pytest.mark.parametrize(
    "script",
    [
        {"monitor_cond": []},
        {"monitor_cond": {"Database": 5}},
        {"monitor_cond": {}},
        {"monitor_cond": server(index="x", cid=["uuid", "c"])},
        {"monitor_cond": server(schema="[[[")},
        {"monitor_cond": server(schema="{}")},
        {"monitor_cond": server(connected=False)},
        {"monitor_cond": server(), "monitor_cond_since": {}},
        {"monitor_cond": server(), "monitor_cond_since": [False, ZERO, {"T": {"r": 5}}]},
        {"monitor_cond": server(), "monitor_cond_since": [False, ZERO, {"T": {"r": {"initial": {"n": []}}}}]},
        {"monitor_cond": server(), "monitor_cond_since": [True, ZERO, {"T": {"x": {"modify": {"n": 1}}}}]},
        good() | {"then monitor_cond_since": [{"method": "update3", "id": None, "params": {}}]},
        good() | {"then monitor_cond_since": [{"method": "locked", "id": None, "params": ["x"]}]},
        good() | {"then monitor_cond_since": [update3({"T": {"x": {"modify": {"n": 1}}}})]},
        good() | {"then monitor_cond_since": [update3({"T": {"x": {"grown": {"n": 1}}}})]},
        good() | {"then monitor_cond_since": [update3({"T": [[]]})]},
    ],
)
def test_a_server_that_makes_no_sense_is_left_for_the_next(script: Script) -> None:
    each, _ = watched(script, good(r={"n": 3}))
    assert each.wait_until(lambda rows: "r" in rows["T"], 20)
    assert numbers(each) == {"r": 3}


def test_of_an_update_that_makes_no_sense_nothing_is_taken_and_all_rows_come_anew() -> None:
    bad = update3({"T": {"r": {"modify": {"n": 9}}, "x": {"modify": {"n": 1}}}})
    first = {"monitor_cond": server(), "monitor_cond_since": whole({"r": {"n": 3}}, "t1")}
    each, servers = watched(first | {"then monitor_cond_since": [bad]}, good(r={"n": 4}))
    assert [change.new for change in each.changes(20)] == [{"n": 3, "s": []}]
    (change,) = each.changes(20)
    assert (change.old, change.new) == ({"n": 3, "s": []}, {"n": 4, "s": []})
    assert [params[3] for params in servers.asked] == [ZERO, ZERO]


def test_a_lost_connection_goes_on_from_the_last_transaction_that_was_taken() -> None:
    first = good(r={"n": 3}) | {
        "then monitor_cond_since": [update3({"T": {"r": {"modify": {"n": 4}}}}, "t7")]
    }
    second = {"monitor_cond": server(), "monitor_cond_since": [True, "t9", {"T": {"r": {"delete": None}}}]}
    each, servers = watched(first, second)
    assert [change.new and change.new["n"] for _ in range(2) for change in each.changes(20)] == [3, 4]
    each.close()
    (change,) = each.changes(20)
    assert (change.old, change.new) == ({"n": 4, "s": []}, None)
    assert [params[3] for params in servers.asked] == [ZERO, "t7"]


def test_a_member_that_is_behind_what_another_has_shown_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = {"Database": {"d": {"modify": {"index": 9}}}}
    ahead = {"method": "update2", "id": None, "params": ["server", seen]}
    late = good(r={"n": 2}) | {"monitor_cond": server(index=7), "then monitor_cond": [ahead]}
    behind = good(r={"n": 1}) | {"monitor_cond": server(index=8)}
    first = good(r={"n": 1}) | {
        "then monitor_cond_since": [ahead, update3({"T": {"r": {"modify": {"n": 2}}}})]
    }
    each, servers = watched(first, late, behind)
    assert each.wait_until(lambda _: numbers(each) == {"r": 2}, 20)
    each.close()
    assert each.changes(0.2) == []
    assert numbers(each) == {"r": 2}
    each.close()
    monkeypatch.setattr(watch, "CONNECT_TIMEOUT_S", 1.0)
    with pytest.raises(UnreachableError, match="is behind the rest of its cluster"):
        each.changes(0)
    assert len(servers.asked) == 2
    assert numbers(each) == {"r": 2}


def test_another_cluster_is_not_held_to_what_the_first_has_shown() -> None:
    other = {
        "monitor_cond": server(cid=["uuid", "other"], index=1),
        "monitor_cond_since": whole({"q": {"n": 1}}),
    }
    each, _ = watched(good(r={"n": 3}), other)
    each.changes(20)
    each.close()
    assert {(str(change.id), change.new is None) for change in each.changes(20)} == {
        ("r", True),
        ("q", False),
    }
