"""Filters: which rows of a table somebody wants to see, by the values of their columns.

A filter is looked up in the database as far as the database can do that; the rest is done here. So a list of
one port of 100,000 reads one row.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from trunkline.core.error import InvalidValueError
from trunkline.core.spelling import meant
from trunkline.northbound.schema import Shape, columns, schema
from trunkline.northbound.spec import canonical_port

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from trunkline.northbound.operation import Condition, Row

_FORM = re.compile(r"(?P<column>[^=~!:]*)(?::(?P<key>[^=~]*?))?(?P<operator>!=|=|~)(?P<value>.*)", re.DOTALL)
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class Item(NamedTuple):
    """What a list shows or sorts by: a *column*, or the item *key* of its map; as text, COLUMN:KEY."""

    column: str
    key: str | None = None

    def of(self, row: Row) -> Any:
        """Return its value in *row*; None if the map has no such item."""
        value = row[self.column]
        return value if self.key is None else value.get(self.key)

    def __str__(self) -> str:
        return self.column if self.key is None else f"{self.column}:{self.key}"


class Filter(NamedTuple):
    """What a row's *column*, or the item *key* of its map, has to be.

    `=` wants *value* to be the column's, or one of its set; "" is that of an empty column. `!=` wants the
    contrary. `~` wants *value*, a regular expression, to match somewhere in one of the column's texts. The
    text of an item of a map is `KEY:VALUE`.
    """

    column: str
    operator: Literal["=", "!=", "~"]
    value: Any
    key: str | None = None

    def accepts(self, row: Row) -> bool:
        """Return whether *row* is wanted."""
        texts = _texts(row[self.column], self.key)
        if self.operator == "~":
            return any(re.search(self.value, text) for text in texts)
        wanted = _text(self.value)
        is_there = wanted in texts if wanted else not any(texts)
        return is_there is (self.operator == "=")

    def condition(self, table: str, defaults: Mapping[str, Any]) -> Condition | None:
        """Return a condition of the database that every wanted row of *table* meets; None if there is none.

        *defaults* are what empty columns stand for. A column that refers to another table has none.
        """
        column = columns(table).get(self.column)
        if column is None or column.refers_to or self.operator == "~" or self.value == "":
            return None
        is_wanted, value = self.operator == "=", self.value
        if column.shape is Shape.MAP and self.key is None:
            return None
        if column.shape in (Shape.MAP, Shape.SET):
            items = [value] if self.key is None else {self.key: value}
            return self.column, "includes" if is_wanted else "excludes", items
        if value == defaults.get(self.column):
            if not isinstance(value, bool):
                return None
            is_wanted, value = not is_wanted, not value
        return self.column, "==" if is_wanted else "!=", value


def parse(table: str, text: str, derived: Collection[str] = ()) -> Filter:
    """Return the filter that *text* says, `COLUMN=VALUE`, `COLUMN!=VALUE` or `COLUMN~REGEX`, for *table*.

    For an item of a map, it is `COLUMN:KEY=VALUE`. Rows have *derived* columns besides those of the table.

    Raises:
        InvalidValueError: it says none, or no value that the column can have.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise InvalidValueError(f"{text!r} is not COLUMN=VALUE, COLUMN!=VALUE or COLUMN~REGEX")
    operator: Any
    name, key, operator, value = form.group("column", "key", "operator", "value")
    _check(table, Item(name, key), derived)
    column = columns(table).get(name)
    if operator == "~":
        try:
            re.compile(value)
        except re.error as error:
            raise InvalidValueError(f"{value!r} is not a regular expression: {error}") from error
    elif column is not None and column.shape is not Shape.MAP and value:
        value = _typed(table, name, value)
    return Filter(name, operator, value, key)


def item(table: str, text: str, derived: Collection[str] = ()) -> Item:
    """Return what *text* says, COLUMN or COLUMN:KEY of *table*; rows have *derived* columns besides.

    Raises:
        InvalidValueError: there is no such column, or it is no map.
    """
    name, colon, key = text.partition(":")
    found = Item(name, key if colon else None)
    _check(table, found, derived)
    return found


def _check(table: str, wanted: Item, derived: Collection[str]) -> None:
    """Raise InvalidValueError unless *table*, or *derived*, has *wanted*."""
    known = [*columns(table), *derived]
    if wanted.column not in known:
        raise InvalidValueError(
            f"a {table.lower()} has no column {wanted.column!r}; {meant(wanted.column, known)}"
        )
    column = columns(table).get(wanted.column)
    if wanted.key is not None and (column is None or column.shape is not Shape.MAP):
        raise InvalidValueError(
            f"{wanted.column} is no map, and has no item {wanted.key!r}; leave out the colon"
        )


def _typed(table: str, name: str, text: str) -> Any:
    """Return *text* as a value of the column *name* of *table*, in the spelling of the database."""
    type_ = schema()["tables"][table]["columns"][name]["type"]
    kind = type_["key"] if isinstance(type_, dict) else type_
    kind = kind if isinstance(kind, dict) else {"type": kind}
    if kind["type"] == "boolean":
        if text.lower() not in _BOOLEANS:
            raise InvalidValueError(f"{name} is true or false, and not {text!r}")
        return _BOOLEANS[text.lower()]
    if kind["type"] == "integer":
        return _number(name, text, kind)
    if "enum" in kind and text not in kind["enum"][1]:
        raise InvalidValueError(f"{name} is never {text!r}; {meant(text, kind['enum'][1])}")
    if table == "Port" and name in ("mac", "addresses"):
        canonical = canonical_port("", {name: [text] if name == "addresses" else text})[name]
        return canonical[0] if name == "addresses" else canonical
    return text


def _number(name: str, text: str, kind: Mapping[str, Any]) -> int:
    try:
        number = int(text)
    except ValueError:
        raise InvalidValueError(f"{name} is a number, and not {text!r}") from None
    least, most = kind.get("minInteger", -(1 << 63)), kind.get("maxInteger", (1 << 63) - 1)
    if not least <= number <= most:
        raise InvalidValueError(f"{name} is never {number}; it is within {least}–{most}")
    return number


def _texts(value: Any, key: str | None) -> list[str]:
    """Return the texts of *value*, a column, or of its item *key*."""
    match value:
        case None:
            return []
        case list():
            return [_text(each) for each in value]
        case dict() if key is not None:
            return [_text(value[key])] if key in value else []
        case dict():
            return [f"{name}:{item}" for name, item in value.items()]
        case _:
            return [_text(value)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
