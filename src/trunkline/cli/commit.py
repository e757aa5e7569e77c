"""A commit: the one moment of a command that an interrupt does not end."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from trunkline.cli.progress import Progress


class Commit:
    """The one moment at which an interrupt must not end the program: while the transaction is under way.

    The first interrupt is kept until the database has answered; a second one ends the wait for that.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.is_under_way = False
        self.is_done = False
        self._is_interrupted = False

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep an interrupt until the block is left without an error, and raise it then."""
        if self._is_interrupted:
            signal.default_int_handler(signal.SIGINT, None)
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._interrupted)
        self.is_under_way = True
        try:
            yield
            self.is_done = True
            self.is_under_way = False
        except Exception:
            self.is_under_way = False
            raise
        finally:
            signal.signal(signal.SIGINT, before)
        if self._is_interrupted:
            signal.default_int_handler(signal.SIGINT, None)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._is_interrupted:
            signal.default_int_handler(number, frame)
        self._is_interrupted = True
        said = "trunkline: waiting for the database's answer; interrupt again to leave at once"
        with self.progress.hidden():
            click.echo(said, err=True)
