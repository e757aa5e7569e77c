"""The log: constant text, then `key=value`, through the `ovs` package's vlog, so that `vlog/set` works."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import TypeVar

import ovs.vlog

MANY = 50
"""If more things than this change at once, the log only gives their number, unless its level is `dbg`."""

T = TypeVar("T")


class Log:
    """The log of one module; *name* is in every line."""

    def __init__(self, name: str) -> None:
        self._vlog = ovs.vlog.Vlog(name)

    @property
    def is_detailed(self) -> bool:
        """Whether the level is `dbg`, so that `debug` logs."""
        return bool(self._vlog.dbg_is_enabled())

    def debug(self, text: str, **values: object) -> None:
        """Log something that only a developer needs."""
        if self.is_detailed:
            self._vlog.dbg(line(text, values))

    def info(self, text: str, **values: object) -> None:
        """Log a change."""
        self._vlog.info(line(text, values))

    def each(self, text: str, things: Collection[T], values: Callable[[T], dict[str, object]]) -> None:
        """Log a change of each of *things*, with its *values*; if there are many, only their number."""
        is_many = len(things) > MANY
        if is_many:
            self.info(text, count=len(things))
        if not is_many or self.is_detailed:
            say = self.debug if is_many else self.info
            for thing in things:
                say(text, **values(thing))

    def warning(self, text: str, **values: object) -> None:
        """Log something that an operator should look at."""
        self._vlog.warn(line(text, values))

    def error(self, text: str, **values: object) -> None:
        """Log a failure."""
        self._vlog.err(line(text, values))


def line(text: str, values: dict[str, object]) -> str:
    r"""Return *text* followed by *values*; a value that could be misread is quoted as JSON.

    >>> line("port is up", {"port": "web 1\n", "ofport": 7})
    'port is up port="web 1\\n" ofport=7'
    """
    return " ".join([text, *(f"{key}={_value(value)}" for key, value in values.items())])


def _value(value: object) -> str:
    text = str(value)
    is_plain = text != "" and text.isascii() and text.isprintable() and not set(text) & set(' "=')
    return text if is_plain else json.dumps(text)
