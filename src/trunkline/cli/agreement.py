"""An agreement: a person at the terminal is asked whether to go on."""

from __future__ import annotations

import sys

import click


def agreed(question: str) -> bool:
    """Return the answer of a person to *question*.

    What was typed before the question was shown is no answer to it, and is thrown away.

    Raises:
        click.Abort: there was none: an interrupt, or the end of the input.
    """
    import termios

    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    try:
        return click.confirm(question, prompt_suffix=" ")
    except click.Abort:
        click.echo()  # The cursor is still behind the question.
        raise
