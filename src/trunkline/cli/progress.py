"""Progress: one line on a terminal that says what a command is at, once that has taken a second.

A timer draws it (setitimer(2)), so that it stays true while the command waits for a server or another
program, and no thread is needed: Python continues what the signal has interrupted (PEP 475). Nothing is shown
if standard error is no terminal (docs/adr/0053-progress-is-a-line-of-our-own.md).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trunkline.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

FIRST_S = 1.0
"""How long a command has been at work before it says so."""

_EVERY_S = 0.25
_SOON_S = 0.01
_BAR = 20
_USUAL_COLUMNS = 80
"""Of a terminal that does not say how wide it is."""

_ERASE = "\r\x1b[K"


class Progress:
    """The progress of one command, in phases one after the other; what is between them is not shown."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._worked_s = 0.0
        self._began_s = 0.0
        self._text = ""
        self._is_hidden = False
        self._is_drawn = False

    @contextmanager
    def phase(self, text: str) -> Iterator[None]:
        """Show *text* during the block, or what `say` says in it; no line is left of it at the end."""
        self.say(text)
        if not self._is_shown:
            yield
            return
        self._began_s = time.monotonic()
        before = signal.signal(signal.SIGALRM, self._draw)
        timer = (0.0, 0.0)
        try:
            timer = signal.setitimer(signal.ITIMER_REAL, max(FIRST_S - self._worked_s, _SOON_S), _EVERY_S)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            # A part of a command may have its own progress inside a phase, which goes on then.
            signal.setitimer(signal.ITIMER_REAL, *timer)
            self._worked_s += time.monotonic() - self._began_s
            self._erase()

    def say(self, text: str, done: int | None = None, total: int = 0) -> None:
        """Show *text* from now on, with a bar in front if it is known how many are *done* of *total*."""
        if done is not None:
            filled = _BAR * done // max(total, 1)
            text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {done:,} of {total:,} {text}"
        self._text = printable(text)

    def counting(self, text: str) -> Callable[[int, int], None]:
        """Return a function that takes how many are done, of how many, and says that with *text*."""
        return lambda done, total: self.say(text, done, total)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the line away for the block, which prints something."""
        self._is_hidden = True
        self._erase()
        try:
            yield
        finally:
            self._is_hidden = False

    def _draw(self, number: int, frame: FrameType | None) -> None:
        if self._is_hidden or _is_in_background():
            return
        line = f"{self._text}, {self._worked_s + time.monotonic() - self._began_s:.0f} s"
        self._is_drawn = True
        self._write(f"{_ERASE}{line[: _columns() - 1]}")

    def _erase(self) -> None:
        if self._is_drawn:
            self._write(_ERASE)
            self._is_drawn = False

    def _write(self, text: str) -> None:
        # Not through sys.stderr: the timer may come while that is in use, and it must not be entered twice.
        try:
            os.write(sys.stderr.fileno(), text.encode(sys.stderr.encoding, "replace"))
        except OSError:
            # The terminal is gone, and with it whoever would look at the line; the command goes on.
            self._is_shown = self._is_drawn = False
            signal.setitimer(signal.ITIMER_REAL, 0)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
    except OSError:
        return _USUAL_COLUMNS


def _is_in_background() -> bool:
    """Return whether a shell has the terminal, and a line would be drawn over its prompt."""
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) != os.getpgrp()
    except OSError:  # It is not the terminal that controls this program.
        return False
