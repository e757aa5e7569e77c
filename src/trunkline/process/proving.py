"""Proving: what the agent answers to somebody elsewhere who asks whether frames cross networks here.

A proof may take seconds, so a child process makes it (`trunkline.process.prover`), and the agent goes on.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from trunkline.agent.agent import Agent
from trunkline.core.error import InvalidValueError, TrunklineError
from trunkline.insight.waiting import Wait, Work
from trunkline.path.isolation_question import FAILED, MOST_S

_MOST_BYTES = 65536
"""How much of what the child prints is taken: more fits into no answer."""

_PROVER = (sys.executable, "-m", "trunkline.process.prover")


def prove(agent: Agent, parameters: Mapping[str, str]) -> Work[Any]:
    """Return what a proof of *agent*'s chassis has found, of the network that *parameters* name or of all.

    Raises:
        InvalidValueError: *parameters* have something else.
        TrunklineError: nothing was proved, and why.
    """
    unknown = sorted(parameters.keys() - {"network"})
    if unknown:
        raise InvalidValueError(
            f"a proof has no parameter {unknown[0]!r}; have agents and programs be of one version"
        )
    asked = json.dumps({"ovs": agent.switch.remotes, **parameters}) + "\n"
    environment = {**os.environ, "OVS_RUNDIR": agent.rundir, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        _PROVER, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        try:
            text = yield from _printed(child, asked.encode())
        finally:
            # Whoever asked may have gone: nobody needs the rest.
            child.kill()
    found: Any = json.loads(text) if text else {FAILED: "the process that proves ended early; run it there"}
    if FAILED in found:
        raise TrunklineError(found[FAILED])
    return found


def _printed(child: subprocess.Popen[bytes], asked: bytes) -> Work[bytes]:
    """Return what *child* prints when it is *asked*."""
    assert child.stdin is not None
    assert child.stdout is not None
    # It is shorter than a pipe is long. The pipe stays open while the answer is waited for.
    child.stdin.write(asked)
    child.stdin.flush()
    fd, found, end_s = child.stdout.fileno(), bytearray(), time.monotonic() + MOST_S
    os.set_blocking(fd, False)
    while len(found) <= _MOST_BYTES:
        try:
            part = os.read(fd, _MOST_BYTES)
        except BlockingIOError:
            yield Wait(fd, select.POLLIN, end_s)
            if time.monotonic() >= end_s:
                raise TrunklineError(f"the proof took longer than {MOST_S:g} s; run it there") from None
            continue
        if not part:
            return bytes(found)
        found += part
    raise TrunklineError(f"the answer has more than {_MOST_BYTES:,} bytes; run it there")
