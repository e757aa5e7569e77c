"""Documents: what a YAML text says, as plain values, and where each of them stands.

The text is read event by event: nothing is composed, so neither depth nor aliases cost anything. A plain
scalar is what the core schema of YAML 1.2 has it be, but no float: no column holds one
(docs/adr/0041-documents-in-yaml-checked-by-a-published-schema.md).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from trunkline.manifest.complaint import MOST, Complaint, Mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trunkline.manifest.source import Source

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_DIGITS = 20
"""More of them than any column takes; those beyond are left out, since Python itself refuses thousands."""

_TAGS = frozenset({"!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))})
_DEEPEST = 40
"""A text that nests deeper is not read on."""


class Document(NamedTuple):
    """One document: an object, by its keys; *start* and *end* are where in its source it stands.

    The keys *wrong* have no value here: something is wrong with what they are given.
    """

    source: Source
    start: int
    line: int
    end: int
    value: dict[str, Any]
    wrong: frozenset[str] = frozenset()

    @property
    def marks(self) -> Marks:
        """Where the document's keys and values stand; it is read once more for that."""
        begin = self.source.text.rfind("\n", 0, self.start) + 1
        marks = Marks(Mark(self.source.name, self.line, self.start - begin + 1), {}, {}, {})
        _Reader(self.source, begin, self.end, self.line - 1, [], marks).one()
        return marks


class Marks(NamedTuple):
    """Where a document begins, and where its keys and its values stand, by key.

    *items* are those of lists, and the keys in maps, by the key of the list or map and their text.
    """

    start: Mark
    keys: dict[str, Mark]
    values: dict[str, Mark]
    items: dict[tuple[str, str], Mark]

    def of(self, column: str | None, item: str | None = None) -> Mark:
        """Return where *item* of *column* stands, or else its value, or the document if it has none."""
        value = self.values.get(column or "", self.start)
        return value if item is None else self.items.get((column or "", item), value)


def documents(source: Source, complaints: list[Complaint]) -> Iterator[Document]:
    """Yield the documents of *source* that are objects; what is wrong is added to *complaints*.

    After an error of YAML itself nothing of the source is read any more. An empty document is passed over.
    """
    yield from _Reader(source, 0, len(source.text), 0, complaints, None).all()


class _Reader:
    """Reads the documents of a part of a text; *marks*, if given, take where the first one's parts stand."""

    def __init__(
        self,
        source: Source,
        begin: int,
        end: int,
        lines: int,
        complaints: list[Complaint],
        marks: Marks | None,
    ) -> None:
        self._source = source
        self._begin = begin
        self._lines = lines
        self._complaints = complaints
        self._marks = marks
        is_whole = (begin, end) == (0, len(source.text))
        self._text = source.text if is_whole else source.text[begin:end]

    def all(self) -> Iterator[Document]:
        """Yield every document."""
        try:
            parser = yaml.CSafeLoader(self._text)
            self._next: Callable[[], Any] = parser.get_event
            while not isinstance(event := self._next(), StreamEndEvent):
                if len(self._complaints) >= MOST:
                    return
                if isinstance(event, DocumentStartEvent):
                    document = self._document()
                    if document is not None:
                        yield document
        except yaml.reader.ReaderError as error:
            # The position is one of bytes.
            before = self._text.encode()[: error.position].decode(errors="ignore")
            line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
            self._complain_at(line, column, error.reason, hides=True)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            words = ", ".join(part for part in (error.problem, error.context) if part)
            line, column = (mark.line, mark.column) if mark else (0, 0)
            if _is_indented_by_tab(self._text, line):
                words = "a tab cannot indent a line; use blanks"
            self._complain_at(line, column, f"this is not YAML: {words}", hides=True)

    def one(self) -> None:
        """Read the first document."""
        for _ in self.all():
            return

    def _complain(self, event: Any, text: str, *, hides: bool = False) -> None:
        self._complain_at(event.start_mark.line, event.start_mark.column, text, hides=hides)

    def _complain_at(self, line: int, column: int, text: str, *, hides: bool = False) -> None:
        self._complaints.append(Complaint(self._mark(line, column), text, hides=hides))

    def _mark(self, line: int, column: int) -> Mark:
        return Mark(self._source.name, self._lines + line + 1, column + 1)

    def _document(self) -> Document | None:
        first: Any = self._next()
        if isinstance(first, MappingStartEvent):
            mark: Any = first.start_mark
            self._refuse_tag(first)
            value, wrong = self._object()
            end = self._next().end_mark.index
            start, line = self._begin + mark.index, self._lines + mark.line + 1
            return Document(self._source, start, line, self._begin + end, value, frozenset(wrong))
        is_empty = isinstance(first, ScalarEvent) and first.implicit[0] and plain(first.value) is None
        if not is_empty:
            text = "a document has to be a map, such as `kind: Network` with more lines"
            if isinstance(first, SequenceStartEvent):
                text += "; write no list, but documents with a line `---` between them"
            self._complain(first, text, hides=True)
            self._skip(first)
        self._next()
        return None

    def _object(self) -> tuple[dict[str, Any], set[str]]:
        """Return the document whose keys and values come next, and those keys whose values are wrong."""
        value: dict[str, Any] = {}
        wrong: set[str] = set()
        read, complaints = self._next, self._complaints
        while (event := read()).__class__ is not MappingEndEvent:
            key = event.value if event.__class__ is ScalarEvent else self._key(event)
            following = read()
            if key is None or key in value or key in wrong:
                if key is not None:
                    self._complain(event, f'"{shortened(key)}" is given twice')
                    wrong.add(key)
                self._skip(following)
                continue
            if self._marks is not None:
                self._marks.keys[key] = self._mark(event.start_mark.line, event.start_mark.column)
                start = following.start_mark
                self._marks.values[key] = self._mark(start.line, start.column)
            count = len(complaints)
            is_scalar = following.__class__ is ScalarEvent
            item = self._scalar(following) if is_scalar else self._value(following, str(key))
            if len(complaints) > count:
                wrong.add(key)
            else:
                value[key] = item
        return {key: item for key, item in value.items() if key not in wrong} if wrong else value, wrong

    def _value(self, event: Any, column: str) -> Any:
        """Return the list or map that *event* begins."""
        if isinstance(event, SequenceStartEvent):
            self._refuse_tag(event)
            return self._list(column)
        if isinstance(event, MappingStartEvent):
            self._refuse_tag(event)
            return self._map(column)
        self._skip(event)
        return None

    def _key(self, event: Any) -> str | None:
        if isinstance(event, ScalarEvent):
            return str(event.value)
        self._complain(event, "a key has to be a text")
        self._skip(event)
        return None

    def _list(self, column: str) -> list[Any]:
        items: list[Any] = []
        while (event := self._next()).__class__ is not SequenceEndEvent:
            items.append(self._inner(event))
            self._mark_item(column, items[-1], event)
        return items

    def _mark_item(self, column: str, item: Any, event: Any) -> None:
        if self._marks is not None:
            mark = self._mark(event.start_mark.line, event.start_mark.column)
            self._marks.items.setdefault((column, str(item)), mark)

    def _map(self, column: str) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event)
            self._mark_item(column, key, event)
            item = self._inner(self._next())
            if key in items:
                self._complain(event, f'"{shortened(key)}" is given twice')
            elif key is not None:
                items[key] = item
        return items

    def _inner(self, event: Any) -> Any:
        """Return the scalar that *event* is: no column holds a list of lists, or the like."""
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if not isinstance(event, AliasEvent):
            self._complain(event, "this is nested too deep: a column is one value, a list or a map")
        self._skip(event)
        return None

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.tag is None:
            return plain(text) if event.implicit[0] else text
        self._refuse_tag(event)
        return text

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag not in _TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._complain(event, f"the tag {shortened(tag)} is not supported; leave it out")

    def _skip(self, event: Any) -> None:
        """Read on until what *event* begins has ended."""
        if isinstance(event, AliasEvent):
            self._complain(event, "aliases are not supported; write the value out")
            return
        depth = 0
        while True:
            if isinstance(event, (SequenceStartEvent, MappingStartEvent)):
                depth += 1
            elif isinstance(event, (SequenceEndEvent, MappingEndEvent)):
                depth -= 1
            if depth == 0:
                return
            if depth > _DEEPEST:
                problem = f"this nests more than {_DEEPEST} deep"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
            event = self._next()


def _is_indented_by_tab(text: str, number: int) -> bool:
    """Return whether the line *number*, from 0, of *text* begins with blanks of which one is a tab."""
    line = "".join(text.splitlines()[number : number + 1])
    return "\t" in line[: len(line) - len(line.lstrip())]


def plain(text: str) -> Any:
    """Return what the plain scalar *text* stands for: None, a bool, an int, or the text itself.

    >>> plain("101"), plain("~"), plain("true"), plain("no"), plain("10:20:30:40:50:10"), plain("0x10")
    (101, None, True, 'no', '10:20:30:40:50:10', 16)
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-0123456789" and _INTEGER.fullmatch(text):
        return int(text[:_DIGITS], {"o": 8, "x": 16}.get(text[1:2], 10) if text[0] == "0" else 10)
    return text


def shortened(value: object) -> str:
    """Return *value* as it may stand in a sentence.

    >>> shortened("a" * 50)
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'
    """
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
