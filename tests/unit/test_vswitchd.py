"""What comes of a question to ovs-vswitchd if the peer is not one that can answer."""

from __future__ import annotations

import json
import select
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.peer import Peer, says, served
from trunkline.insight.connection import SwitchError
from trunkline.insight.vswitchd import answer, ask


def _asked(peer: Peer, timeout_s: float = 20.0) -> str:
    with served(peer, "ovs-vswitchd.7.ctl") as path:
        return ask(str(path.parent), "version", timeout_s=timeout_s)


def test_the_answer_comes_in_parts() -> None:
    text = "a }\n" * 100_000
    reply = json.dumps({"id": 0, "result": text, "error": None}).encode()

    def speak(connection: socket.socket) -> None:
        assert json.loads(connection.recv(1 << 16)) == {"id": 0, "method": "version", "params": []}
        connection.sendall(reply[:7])
        connection.sendall(reply[7:])

    assert _asked(speak) == text


@pytest.mark.parametrize(
    ("peer", "complaint"),
    [
        (lambda connection: connection.recv(1 << 16) and None, "closed the connection"),
        (says(b'{"result": '), "no answer in time"),
        (says(b"{}"), ""),
        (says(b'{"result": 7, "error": null, "id": 0}'), "cannot be read"),
        (says(b'{"result": null, "error": "no\\nsuch bridge", "id": 0}'), "refused version: no such bridge"),
        (says(b"\x04\x00\x00\x08"), "no answer in time"),
        (says(b"{{}}"), "no answer in time"),
    ],
)
def test_a_peer_that_is_not_ovs_vswitchd_is_one_line(peer: Peer, complaint: str) -> None:
    if not complaint:
        assert _asked(peer) == ""
        return
    with pytest.raises(SwitchError) as refused:
        _asked(peer, 0.2)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=60))
def test_garbage_is_one_line(garbage: bytes) -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(garbage)

    with suppress(SwitchError):
        assert isinstance(_asked(speak), str)


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SwitchError, match="does not say which ovs-vswitchd runs there"):
        ask(str(tmp_path), "version")
    (tmp_path / "ovs-vswitchd.pid").write_text("4711\n")
    with pytest.raises(SwitchError, match="nobody listens there"):
        ask(str(tmp_path), "version")


def test_who_must_not_block_is_told_what_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "ovs-vswitchd.pid").write_text("4711\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "ovs-vswitchd.4711.ctl"))
        listener.listen()
        work = answer(str(tmp_path), "version")
        wait = next(work)
        assert wait is not None
        assert wait.events == select.POLLIN
        # Whoever goes on too early is told the same again.
        assert next(work) == wait
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b'{"id": 0, "result": "3.1.0", "error": null}')
        with pytest.raises(StopIteration) as done:
            next(work)
        assert done.value.value == "3.1.0"
