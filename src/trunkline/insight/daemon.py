"""A daemon of Open vSwitch or ours, asked by its control socket what `ovs-appctl` asks it (ovs-appctl(8)).

The client of the `ovs` package waits without a limit, and takes 0.2 s to import. The protocol is one JSON
object each way.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trunkline.host.remote import Remote, parse_switch
from trunkline.host.unix_path import short
from trunkline.insight.connection import SwitchError, permission_remedy
from trunkline.insight.waiting import Wait, Work

PATIENCE_S = 5.0
"""How long an answer is waited for. A daemon at work answers within milliseconds."""

_CHUNK_BYTES = 1 << 18
_MOST_BYTES = 1 << 26
"""How large an answer may be: all flows of a large bridge are some 10 MB."""


def answer(program: str, path: Path, *words: str, timeout_s: float = PATIENCE_S) -> Work[str]:
    """Return what *program*, whose control socket is *path*, answers to the command *words*.

    Yields what is waited for.

    Raises:
        SwitchError: it does not run, may not be asked by this user, does not answer in time, or refuses.
    """
    reply = yield from replied(program, f"unix:{path}", words[0], words[1:], timeout_s)
    return _result(program, reply, path, words[0])


def replied(
    program: str,
    remote: str,
    method: str,
    params: Sequence[Any],
    timeout_s: float = PATIENCE_S,
    remedy: str = "",
) -> Work[Any]:
    """Return what *program* at *remote*, a path or an address, replies to *method* with *params*: any JSON.

    A reply is one object with `result` and `error` (JSON-RPC 1.0). *remedy* is what to do if nobody listens
    there. Yields and raises as `answer` does.
    """
    end_s = time.monotonic() + timeout_s
    place, where = parse_switch(remote), remote.removeprefix("unix:")
    with socket.socket(_family(place)) as stream:
        stream.setblocking(False)
        try:
            yield from _connected(stream, place, end_s)
            yield from _send(stream, _request(method, params), end_s)
            found = yield from _received(program, stream, where, end_s)
        except OSError as error:
            text = f"cannot ask {program} at {where}: {_words(program, error, remedy)}"
            raise SwitchError(text, error.errno) from error
    return json.loads(found)


def _family(remote: Remote) -> socket.AddressFamily:
    if remote.kind == "unix":
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in remote.place else socket.AF_INET


def _connected(stream: socket.socket, remote: Remote, end_s: float) -> Work[None]:
    if remote.kind == "unix":
        with short(Path(remote.place)) as place:
            stream.connect(place)
        return
    number = stream.connect_ex((remote.place, remote.port))
    if number == errno.EINPROGRESS:
        yield from _until(stream, select.POLLOUT, end_s)
        number = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))


def _request(method: str, params: Sequence[Any]) -> bytes:
    return json.dumps({"id": 0, "method": method, "params": list(params)}).encode()


def _send(stream: socket.socket, data: bytes, end_s: float) -> Work[None]:
    while data:
        try:
            data = data[stream.send(data) :]
        except BlockingIOError:
            yield from _until(stream, select.POLLOUT, end_s)


def _received(program: str, stream: socket.socket, where: str, end_s: float) -> Work[str]:
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
    raise SwitchError(f"{where}: {program} closed the connection, or does not end its answer; see its log")


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


def _result(program: str, reply: Any, path: Path, command: str) -> str:
    if not isinstance(reply, dict) or not isinstance(reply.get("result") or reply.get("error"), str | None):
        raise SwitchError(f"{path}: the answer cannot be read; is this {program}?")
    error = reply.get("error")
    if error is not None:
        raise SwitchError(f"{program} refused {command}: {' '.join(error.split())}")
    return str(reply.get("result") or "")


def _words(program: str, error: OSError, remedy: str) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"permission denied; {permission_remedy()}"
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return f"nobody listens there; {remedy or f'is {program} running?'}"
    if error.errno in (errno.EAGAIN, errno.ETIMEDOUT):
        return f"no answer in time; is {program} stopped or very busy?"
    return os.strerror(error.errno) if error.errno else str(error)
