"""An interruption: a signal by which somebody ends this program."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PATIENCE_S = 5.0
"""How long an interruption is kept back: a server that takes longer may not answer at all."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def kept_back() -> Iterator[None]:
    """Keep the first interruption until the block is left, and then let it happen.

    For a block that makes something which only its caller can remove again, and then says what it made. A
    second interruption, or `PATIENCE_S` after the first, ends the block at once. Signals that end the program
    without a Python handler, or that it ignores, are left alone; so are all of them outside the main thread,
    where no handler runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: found for number in _SIGNALS if callable(found := signal.getsignal(number))}
    came: list[int] = []
    is_over = False
    again: threading.Timer | None = None

    def keep(number: int, frame: FrameType | None) -> None:
        nonlocal again
        came.append(number)
        if is_over or len(came) > 1:
            handlers[signal.Signals(number)](number, frame)
            return
        again = threading.Timer(PATIENCE_S, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    try:
        for number in handlers:
            signal.signal(number, keep)
        yield
    finally:
        is_over = True
        if again is not None:
            again.cancel()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if len(came) == 1:
            handlers[signal.Signals(came[0])](came[0], None)
