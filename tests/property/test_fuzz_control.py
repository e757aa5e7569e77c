"""Whatever comes in on the control socket, the next request is answered."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ovs.unixctl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.core.error import InvalidValueError
from trunkline.process.control_socket import ControlSocket

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
REQUEST = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["set-options", "version", "help", "fail", "refuse"]) | JSON,
        "params": st.lists(st.sampled_from(["--format", "json", "--bogus", "--help", "-h"]), max_size=3)
        | JSON,
        "id": st.integers(0, 3) | JSON,
    }
)
NONSENSE = st.one_of(
    REQUEST.map(lambda request: json.dumps(request).encode()),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
    st.sampled_from(
        [b"[" * 20_000, b'{"a":' * 20_000, b'{"method":"version","params":[],"id":' + b"9" * 5000 + b"}"]
    ),
)


@pytest.fixture(scope="module")
def server() -> Iterator[ControlSocket]:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    def refuse(*_: Any) -> None:
        raise InvalidValueError("that is no question")

    ovs.unixctl.command_register("fail", "", 0, 9, fail, None)
    ovs.unixctl.command_register("refuse", "", 0, 9, refuse, None)
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        made = ControlSocket.at(f"{folder}/agent.ctl")
        made.path = Path(folder, "agent.ctl")
        yield made
        made.close()


def answered(server: ControlSocket, *messages: bytes) -> list[bytes]:
    """Return what comes back on a connection for each of *messages*; b'' if nothing does."""
    answers = []
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.path))
        client.setblocking(False)
        for message in messages:
            with suppress(OSError):
                client.sendall(message)
            # It reads 4 kB in a turn.
            for _ in range(len(message) // 4096 + 3):
                server.run()
            try:
                answers.append(client.recv(1 << 16))
            except OSError:
                answers.append(b"")
    server.run()
    assert server.connections == []
    return answers


def question(method: str, *params: str) -> bytes:
    return json.dumps({"method": method, "params": params, "id": 1}).encode()


@settings(max_examples=150)
@given(st.lists(NONSENSE, min_size=1, max_size=3))
def test_the_next_request_is_answered(server: ControlSocket, messages: list[bytes]) -> None:
    answered(server, *messages)
    (answer,) = answered(server, question("version"))
    assert json.loads(answer)["result"].endswith("\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("set-options", "--bogus"), "error: unrecognized arguments: --bogus\n"),
        (("set-options", "--format", "xml"), "(choose from 'text', 'json')\n"),
        (("refuse",), "that is no question\n"),
        (("fail",), "cannot be answered: ZeroDivisionError(); the agent goes on, and its log says more\n"),
    ],
)
def test_what_cannot_be_answered_is_an_error_and_the_same_connection_goes_on(
    server: ControlSocket, words: tuple[str, ...], error: str
) -> None:
    first, second = answered(server, question(*words), question("version"))
    assert json.loads(first)["error"].endswith(error)
    assert json.loads(second)["error"] is None
