"""Whatever a server answers, a command ends with one line and an exit code of its own."""

from __future__ import annotations

import io
import json
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.cli.main import main
from trunkline.northbound.schema import DATABASE, SCHEMA_PATH

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 1 << 40) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rows", "name", "version", "error", "details", "_uuid", "nb_cfg", "faults", "a"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
VALUE = JSON | st.sampled_from([["set", []], ["map", []], ["uuid", "x"], ["set"], ["map", [["a"]]], "web", 7])
SERVES = {"name": DATABASE, "model": "standalone", "leader": True, "connected": True}
COMMANDS = (
    "network list",
    "network show web",
    "port list -o json",
    "chassis list",
    "status",
    "nb status",
    "sync --wait --timeout 0.05",
    "network create web --type flat --physical-network p",
    "port create web1 --network web --mac 02:00:00:00:00:01",
    "port delete web1",
)


class Liar:
    """A server that says what database it serves, and from then on what it is told to."""

    def __init__(self, path: str) -> None:
        self.remote = f"unix:{path}"
        self.answers: Iterator[Any] = iter(())
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            stream, _ = self._listener.accept()
            with stream:
                while data := stream.recv(1 << 16):
                    stream.sendall(self._answer(json.loads(data)))

    def _answer(self, request: dict[str, Any]) -> bytes:
        first = request["params"][0] if request.get("params") else None
        if first == "_Server":
            rows = [SERVES | {"schema": SCHEMA_PATH.read_text()}]
            result: Any = [{"rows": rows}]
        else:
            result = next(self.answers, None)
            if result == "rows":
                result = [self._rows(operation) for operation in request["params"][1:]]
        return json.dumps({"id": request["id"], "error": None, "result": result}).encode()

    def _rows(self, operation: dict[str, Any]) -> Any:
        """Answer with rows that have all the columns asked for, and nonsense in them."""
        if operation["op"] != "select":
            return next(self.answers, {})
        return {"rows": [{name: next(self.answers, 0) for name in operation["columns"]}]}


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        yield Liar(f"{folder}/nb.sock")


def ended(*arguments: str) -> tuple[Any, str]:
    said = io.StringIO()
    before, sys.argv = sys.argv, ["trunkline", *arguments]
    try:
        with warnings.catch_warnings(), redirect_stderr(said), redirect_stdout(io.StringIO()):
            main()
    except SystemExit as end:
        return end.code, said.getvalue()
    finally:
        sys.argv = before


@settings(max_examples=150)
@given(st.sampled_from(COMMANDS), st.lists(st.just("rows") | VALUE, max_size=60), st.booleans())
def test_a_command_ends_with_one_line(liar: Liar, command: str, answers: list[Any], has_rows: bool) -> None:
    liar.answers = iter(["rows", *answers] if has_rows else answers)
    code, said = ended("--nb", liar.remote, *command.split())
    assert code in (0, 1, 2, 3, 4)
    assert "Traceback" not in said
    if code:
        assert said.endswith("\n")
        assert all(line.isprintable() for line in said.splitlines())
