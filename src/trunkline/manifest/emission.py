"""Emission: data as YAML, by PyYAML's emitter in C.

PyYAML decides anew, in Python, for each value how it is written. Here that is decided once for each different
value, by the same code of PyYAML, and its emitter is given events: a list of 10,000 ports takes a fifth of
the time (docs/adr/0051-what-lists-print-with.md).
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable


class _Judge(yaml.SafeDumper):
    """Says how a value is written. What is a text to YAML 1.1, and not to YAML 1.2, is put in quotes."""


_Judge.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:0o[0-7]+|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?)"),
    list("-+.0123456789"),
)

_LIST, _END_OF_LIST = yaml.SequenceStartEvent(None, None, True, flow_style=False), yaml.SequenceEndEvent()
_MAP, _END_OF_MAP = yaml.MappingStartEvent(None, None, True, flow_style=False), yaml.MappingEndEvent()
_EMPTY_LIST = yaml.SequenceStartEvent(None, None, True, flow_style=True)
_EMPTY_MAP = yaml.MappingStartEvent(None, None, True, flow_style=True)


class Emission:
    """Writes data as JSON has it: maps with texts as keys, lists, texts, numbers, booleans and None."""

    def __init__(self, *, allow_unicode: bool = False, is_marked: bool = False) -> None:
        """Escape what is not ASCII, unless *allow_unicode*; begin with `---` if *is_marked*."""
        self._allow_unicode = allow_unicode
        self._is_marked = is_marked
        self._judge = _Judge(io.StringIO())
        self._events: dict[tuple[type, Any], yaml.ScalarEvent] = {}

    def text(self, data: Any) -> str:
        """Return the document of *data*; no part of it is an alias of another.

        >>> Emission().text([{"a": "1", "b": 1}, None, []])
        "- a: '1'\\n  b: 1\\n- null\\n- []\\n"
        """
        stream = io.StringIO()
        emitter = yaml.CSafeDumper(stream, allow_unicode=self._allow_unicode)
        try:
            emitter.emit(yaml.StreamStartEvent())
            emitter.emit(yaml.DocumentStartEvent(explicit=self._is_marked))
            self._value(data, emitter.emit)
            emitter.emit(yaml.DocumentEndEvent(explicit=False))
            emitter.emit(yaml.StreamEndEvent())
        finally:
            emitter.dispose()
        return stream.getvalue()

    def _value(self, value: Any, emit: Callable[[yaml.Event], None]) -> None:
        """Have *emit* write *value*. It is called for each event: a generator in each level takes longer."""
        if isinstance(value, dict):
            emit(_MAP if value else _EMPTY_MAP)
            for key, item in value.items():
                emit(self._scalar(key))
                if isinstance(item, dict | list):
                    self._value(item, emit)
                else:
                    emit(self._scalar(item))
            emit(_END_OF_MAP)
        elif isinstance(value, list):
            emit(_LIST if value else _EMPTY_LIST)
            for item in value:
                self._value(item, emit)
            emit(_END_OF_LIST)
        else:
            emit(self._scalar(value))

    def _scalar(self, value: Any) -> yaml.ScalarEvent:
        known = value.__class__, value
        event = self._events.get(known)
        if event is None:
            judge: Any = self._judge
            node = judge.represent_data(value)
            plain, quoted = (
                judge.resolve(yaml.ScalarNode, node.value, kind) == node.tag
                for kind in ((True, False), (False, True))
            )
            event = yaml.ScalarEvent(None, node.tag, (plain, quoted), node.value, style=node.style)
            self._events[known] = event
        return event
