"""A commit: the one moment of a command that an interrupt does not end."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

    from trunkline.cli.progress import Progress

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a command: its person, kill(1) or timeout(1), and the loss of its terminal."""


class Commit:
    """A command that commits something; a context manager, inside of which an interrupt ends it but once.

    While the transaction is under way, the first interrupt is kept until the database has answered; a second
    one ends the wait for that. Then it ends the command if that still *waits* for something; if it does not,
    it came too late, and all is done. Whichever ends the command, those that follow are ignored: nothing
    keeps it from saying what became of the commit. It ends by a KeyboardInterrupt, whichever signal it was.
    """

    def __init__(self, progress: Progress, *, waits: bool) -> None:
        self.progress = progress
        self.waits = waits
        self.is_under_way = False
        self.is_done = False
        self.interrupt = signal.SIGINT
        self._is_kept = False
        self._is_ended = False

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in _INTERRUPTS}
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._interrupted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_ended:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep an interrupt until the block is left without an error; if it *waits*, raise it then."""
        if self._is_kept:
            self._end()
        self.is_under_way = True
        try:
            yield
            self.is_done = True
            self.is_under_way = False
        except Exception:
            self.is_under_way = False
            raise
        if self._is_kept and self.waits:
            self._end()
        if self._is_kept:
            with self.progress.hidden():
                told("trunkline: it is committed: the interrupt came too late")

    def _interrupted(self, number: int, _: FrameType | None) -> None:
        self.interrupt = signal.Signals(number)
        if not self.is_under_way or self._is_kept:
            self._end()
        self._is_kept = True
        said = "trunkline: waiting for the database's answer; interrupt again to leave at once"
        with self.progress.hidden():
            told(said)

    def _end(self) -> None:
        for number in _INTERRUPTS:
            signal.signal(number, signal.SIG_IGN)
        self._is_ended = True
        signal.default_int_handler(signal.SIGINT, None)


def told(line: str) -> bool:
    """Print *line* on standard error, and return whether that could be written: a terminal may be gone."""
    try:
        click.echo(line, err=True)
    except OSError:
        return False
    return True
