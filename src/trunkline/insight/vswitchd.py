"""ovs-vswitchd, asked by its control socket what `ovs-appctl` asks it (ovs-vswitchd(8)).

The client of the `ovs` package waits without a limit, and takes 0.2 s to import. The protocol is one JSON
object each way.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import select
import socket
import time
from pathlib import Path
from typing import Any

from trunkline.host.unix_path import short
from trunkline.insight.connection import SwitchError, permission_remedy
from trunkline.insight.waiting import Wait, Work, finished

PATIENCE_S = 5.0
"""How long an answer is waited for. A switch at work answers within milliseconds."""

_CHUNK_BYTES = 1 << 18
_MOST_BYTES = 1 << 26
"""How large an answer may be: all flows of a large bridge are some 10 MB."""


def ask(rundir: str, *words: str, timeout_s: float = PATIENCE_S) -> str:
    """Return what ovs-vswitchd, whose files are in *rundir*, answers to the command *words*.

    Raises:
        SwitchError: it does not run, may not be asked by this user, does not answer in time, or refuses.
    """
    return finished(answer(rundir, *words, timeout_s=timeout_s))


def answer(rundir: str, *words: str, timeout_s: float = PATIENCE_S) -> Work[str]:
    """Do what `ask` does, and yield what is waited for instead of waiting."""
    return (yield from answer_at(_path(rundir), *words, timeout_s=timeout_s))


def answer_at(path: Path, *words: str, timeout_s: float = PATIENCE_S) -> Work[str]:
    """Do what `answer` does, of the daemon with the control socket *path*: our agent speaks the same."""
    end_s = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX) as stream:
        stream.setblocking(False)
        try:
            with short(path) as place:
                stream.connect(place)
            yield from _send(stream, _request(*words), end_s)
            text = yield from _received(stream, path, end_s)
        except OSError as error:
            raise SwitchError(f"cannot ask ovs-vswitchd at {path}: {_words(error)}") from error
    return _result(text, path, words[0])


def _path(rundir: str) -> Path:
    """Return the control socket of the ovs-vswitchd of *rundir*: its pid file says which."""
    folder = Path(rundir)
    try:
        pid = (folder / "ovs-vswitchd.pid").read_text().strip()
        if pid.isdecimal():
            return folder / f"ovs-vswitchd.{pid}.ctl"
    except (OSError, ValueError):
        pass  # no pid file that can be read: perhaps there is just one socket
    found = glob.glob(os.path.join(glob.escape(rundir), "ovs-vswitchd.*.ctl"))
    if len(found) != 1:
        raise SwitchError(
            f"{rundir} does not say which ovs-vswitchd runs there; start Open vSwitch, "
            "or say where it is with $OVS_RUNDIR"
        )
    return Path(found[0])


def _request(*words: str) -> bytes:
    return json.dumps({"id": 0, "method": words[0], "params": list(words[1:])}).encode()


def _send(stream: socket.socket, data: bytes, end_s: float) -> Work[None]:
    while data:
        try:
            data = data[stream.send(data) :]
        except BlockingIOError:
            yield from _until(stream, select.POLLOUT, end_s)


def _received(stream: socket.socket, path: Path, end_s: float) -> Work[str]:
    """Return the object that comes, which ends in a brace."""
    found = bytearray()
    while len(found) < _MOST_BYTES:
        try:
            data = stream.recv(_CHUNK_BYTES)
        except BlockingIOError:
            yield from _until(stream, select.POLLIN, end_s)
            continue
        if not data:
            break
        found += data
        if found.rstrip().endswith(b"}") and _is_whole(found):
            return found.decode(errors="replace")
    raise SwitchError(f"{path}: ovs-vswitchd closed the connection, or does not end its answer; see its log")


def _is_whole(found: bytearray) -> bool:
    try:
        json.loads(found)
    except (ValueError, RecursionError):
        return False
    return True


def _until(stream: socket.socket, events: int, end_s: float) -> Work[None]:
    if time.monotonic() >= end_s:
        raise TimeoutError(errno.ETIMEDOUT, "")
    yield Wait(stream.fileno(), events, end_s)


def _result(text: str, path: Path, command: str) -> str:
    reply: Any = json.loads(text)
    if not isinstance(reply, dict) or not isinstance(reply.get("result") or reply.get("error"), str | None):
        raise SwitchError(f"{path}: the answer cannot be read; is this ovs-vswitchd?")
    error = reply.get("error")
    if error is not None:
        raise SwitchError(f"ovs-vswitchd refused {command}: {' '.join(error.split())}")
    return str(reply.get("result") or "")


def _words(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"permission denied; {permission_remedy()}"
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return "nobody listens there; is ovs-vswitchd running?"
    if error.errno in (errno.EAGAIN, errno.ETIMEDOUT):
        return "no answer in time; is ovs-vswitchd stopped or very busy?"
    return os.strerror(error.errno) if error.errno else str(error)
