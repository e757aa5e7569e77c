"""A JSON parser for `ovs.jsonrpc` that uses the scanner of the standard library, which is written in C.

The `ovs` package from PyPI comes without its C extension and parses JSON in Python, character by character:
2 MB/s, which was 40 % of the time that an agent took to start with 10,000 ports. This parser has the same
interface as `ovs.json.Parser`, and 60 times its speed.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, NoReturn

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_MARK = re.compile(r'["{}\[\]]')
_BETWEEN = re.compile(r"[}\]]\s*[{\[]")
_SPACE = " \t\n\r"

HUGE = 1 << 23
"""From this many characters on, a value is huge: its memory is worth giving back to the system."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse)


class Parser:
    """Takes the text of one JSON object or array, in pieces cut anywhere, and returns its value.

    The messages of RFC 7047 have no length before them and nothing between them. So the end of one is found
    by counting brackets outside of strings: `feed` takes no more than belongs to the value. Unlike
    `ovs.json.Parser`, it finds an error inside a value only when the value ends.
    """

    has_met_huge: ClassVar[bool] = False
    """Whether a value was huge; whoever gives its memory back sets it to False."""

    def __init__(self, check_trailer: bool = False) -> None:
        self._has_no_trailer = check_trailer
        self._pieces: list[str] = []
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self._is_done = False
        self._error: str | None = None

    def feed(self, text: str) -> int:
        """Take *text*; return how many of its characters were taken: all, unless the value ends before."""
        start = 0
        if not self._depth:
            if self._is_done:
                return 0
            start = len(text) - len(text.lstrip(_SPACE))
            if start == len(text):
                return start
            if text[start] not in "{[":
                self._fail("syntax error at beginning of input")
                return start
        end = self._end(text, start)
        taken = len(text) if end is None else end
        self._pieces.append(text[start:taken])
        if end is not None:
            self._is_done = not self._has_no_trailer
            if self._has_no_trailer and text[end:].strip(_SPACE):
                self._fail("trailing garbage at end of input")
        return taken

    def is_done(self) -> bool:
        """Return whether the value, or an error, is complete."""
        return self._is_done

    def finish(self) -> Any:
        """Return the value or, if there is none, a text that says what is wrong."""
        if self._error is None and self._depth:
            self._error = "unexpected end of input"
        if self._error is None and not self._pieces:
            self._error = "empty input stream"
        if self._error is not None:
            return self._error
        text = "".join(self._pieces)
        if len(text) >= HUGE:
            Parser.has_met_huge = True
        try:
            return _decoder.decode(text)
        except (ValueError, RecursionError) as error:
            return str(error)

    def _fail(self, why: str) -> None:
        self._error = why
        self._is_done = True

    def _end(self, text: str, start: int) -> int | None:
        """Return where in *text* the value ends, from *start* on; None if it does not end there."""
        plain = text
        if self._is_escaped:
            plain = "_" + plain[1:]
        if "\\" in plain:
            plain = _ESCAPE.sub("__", plain)
        self._is_escaped = plain.endswith("\\")
        # Every other piece between quotes is a string; what is left are brackets, commas, numbers and words.
        pieces = plain.split('"')
        outside = "".join(pieces[self._is_in_string :: 2])
        opened = outside.count("{") + outside.count("[")
        depth = self._depth + opened - outside.count("}") - outside.count("]")
        if depth > 0 and not _BETWEEN.search(outside):
            self._depth = depth
            self._is_in_string ^= len(pieces) % 2 == 0
            return None
        return self._walk(plain, start)

    def _walk(self, plain: str, start: int) -> int | None:
        for mark in _MARK.finditer(plain, start):
            character = mark[0]
            if character == '"':
                self._is_in_string = not self._is_in_string
            elif not self._is_in_string:
                self._depth += 1 if character in "{[" else -1
                if not self._depth:
                    self._is_escaped = False
                    return mark.end()
        return None
