"""What something costs, in a number that the machine's load does not change."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any


def lines_run(event: Callable[[], object]) -> int:
    """Return how many lines of Python *event* runs: a loop, and a generator within, counts its rounds.

    Garbage is not collected meanwhile: what listens to that, such as hypothesis, runs lines of its own.
    """
    lines = 0

    def trace(_frame: object, what: str, _argument: object) -> Any:
        nonlocal lines
        lines += what == "line"
        return trace

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(trace)
    try:
        event()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return lines
