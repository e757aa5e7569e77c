"""A server that is no ovsdb-server, or not as it should be, ends no agent: it is left, and is a fault."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import ovs.poller
import pytest

from trunkline.ovsdb.nb_replica import NorthboundReplica

pytestmark = pytest.mark.system

TURNS = 12


class Nonsense:
    """A JSON-RPC server at a Unix socket that gives each method the same answer, at each connection."""

    def __init__(self, folder: Path, answer_by_method: dict[str, Any]) -> None:
        self.remote = f"unix:{folder}/nonsense.sock"
        self.connections = 0
        self._answer_by_method = answer_by_method
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/nonsense.sock")
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            # The client may leave in the middle of an answer.
            with peer, suppress(ConnectionError):
                self._answer(peer)

    def _answer(self, peer: socket.socket) -> None:
        text = ""
        while data := peer.recv(1 << 16):
            text += data.decode()
            while text:
                try:
                    request, end = json.JSONDecoder().raw_decode(text)
                except ValueError:
                    break
                text = text[end:].lstrip()
                if "method" in request and request.get("id") is not None:
                    result = self._answer_by_method.get(request["method"], {})
                    peer.sendall(json.dumps({"id": request["id"], "result": result, "error": None}).encode())


SERVER = {"name": "_Server", "version": "1.0.0"}
COLUMNS = {"name": {"type": "string"}, "schema": {"type": {"key": "string", "min": 0, "max": 1}}}
DATABASE = {"Database": {"columns": COLUMNS}}


@pytest.mark.parametrize(
    "answers",
    [
        {"get_schema": SERVER | {"tables": {}}},
        {"get_schema": SERVER | {"tables": DATABASE}, "monitor_cond": []},
        {"get_schema": SERVER | {"tables": DATABASE}, "monitor_cond": {"Database": 5}},
    ],
    ids=["no table", "no rows", "rows of no kind"],
)
def test_a_server_whose_answers_make_no_sense_is_left_and_said_so(
    tmp_path: Path, answers: dict[str, Any]
) -> None:
    server = Nonsense(tmp_path, answers)
    replica = NorthboundReplica(server.remote, "c1")
    for _ in range(TURNS):
        replica.changes(replica.run())
        if server.connections > 1:
            break
        poller = ovs.poller.Poller()
        replica.wait(poller)
        poller.timer_wait(500)
        poller.block()
    assert server.connections > 1
    assert not replica.is_synced
    # What the IDL itself understands as an error is in its log alone.
    assert replica.misfit is None or "answers are invalid" in replica.misfit
    replica.close()
    server.close()
