"""Detachment: a daemon goes to the background, and its caller learns whether it has started.

The `ovs` package does this too, but lets the caller end with exit code 0 if the daemon is killed before it is
ready.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from trunkline.core.error import TrunklineError


class DetachmentError(TrunklineError):
    """The daemon ended before it was ready."""


def detach() -> Callable[[], None]:
    """Go on in a child process, in a session of its own; return a function for it to call when it is ready.

    Until then, standard output and error are those of the caller, so that it sees what keeps the daemon from
    starting. The calling process ends: with 0 once the child is ready, else with the child's exit code.

    Raises:
        DetachmentError: in the calling process, if the child was killed, or told to end, before it was ready.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        is_ready = os.read(reader, 1) != b""
        if is_ready:
            # Exit handlers of the caller are left to the child.
            _leave(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code > 0:
            _leave(code)
        how = f"killed by {signal.Signals(-code).name}" if code else "told to end"
        raise DetachmentError(f"the agent was {how} before it was ready")
    os.close(reader)
    os.setsid()

    def ready() -> None:
        os.write(writer, b"0")
        os.close(writer)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.close(nothing)

    return ready


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
