"""The one log: constant text, then `key=value`, over the `ovs` package's vlog; `vlog/set` reaches it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import TypeVar

import ovs.vlog

MANY = 50
"""Of more than these at once the log says only how many, unless it is set to `dbg`."""

T = TypeVar("T")


class Log:
    """The log of one module, named *name* in every line."""

    def __init__(self, name: str) -> None:
        self._vlog = ovs.vlog.Vlog(name)

    @property
    def is_detailed(self) -> bool:
        """Whether somebody reads what `debug` says."""
        return bool(self._vlog.dbg_is_enabled())

    def debug(self, text: str, **values: object) -> None:
        """Say what only a developer wants to know."""
        if self.is_detailed:
            self._vlog.dbg(line(text, values))

    def info(self, text: str, **values: object) -> None:
        """Say what changed."""
        self._vlog.info(line(text, values))

    def each(self, text: str, things: Collection[T], values: Callable[[T], dict[str, object]]) -> None:
        """Say what changed of each of *things*, with its *values*; of many at once, how many there are."""
        is_many = len(things) > MANY
        if is_many:
            self.info(text, count=len(things))
        if not is_many or self.is_detailed:
            say = self.debug if is_many else self.info
            for thing in things:
                say(text, **values(thing))

    def warning(self, text: str, **values: object) -> None:
        """Say what an operator should look at."""
        self._vlog.warn(line(text, values))

    def error(self, text: str, **values: object) -> None:
        """Say what failed."""
        self._vlog.err(line(text, values))


def line(text: str, values: dict[str, object]) -> str:
    r"""Return *text* followed by *values*; one that could be misread is quoted as JSON.

    >>> line("port is up", {"port": "web 1\n", "ofport": 7})
    'port is up port="web 1\\n" ofport=7'
    """
    return " ".join([text, *(f"{key}={_value(value)}" for key, value in values.items())])


def _value(value: object) -> str:
    text = str(value)
    is_plain = text != "" and text.isascii() and text.isprintable() and not set(text) & set(' "=')
    return text if is_plain else json.dumps(text)
