"""The form of a document, as a JSON Schema made of the northbound's; and what a document has against it.

`docs/manifest.schema.json` is this schema, published. It says what can be said of one column at a time.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from trunkline.core.name import LONGEST
from trunkline.core.spelling import meant
from trunkline.manifest.complaint import MOST, Complaint
from trunkline.manifest.document import shortened
from trunkline.northbound import schema as northbound
from trunkline.northbound.port_option import VALUES, WRITTEN
from trunkline.northbound.schema import Shape
from trunkline.northbound.spec import NetworkSpec, PortSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fastjsonschema import JsonSchemaValueException

    from trunkline.manifest.document import Document

KIND = "kind"
Kind: TypeAlias = Literal["Network", "Port"]
SPECS: Mapping[Kind, type[NetworkSpec | PortSpec]] = {"Network": NetworkSpec, "Port": PortSpec}
"""What a row is made of, by kind, which is the name of its table."""

REQUIRED: Mapping[Kind, tuple[str, ...]] = {
    "Network": ("network_type", "physical_network"),
    "Port": ("network", "mac"),
}
"""The columns that a row has for as long as it is, besides its name, by kind."""

_KINDS: Mapping[str, Kind] = {kind: kind for kind in SPECS}

_WORDS = {"integer": "a whole number", "string": "a text", "boolean": "true or false"}


@cache
def columns(kind: Kind) -> tuple[str, ...]:
    """Return the columns that a document of *kind* may have, in the schema's order: those that people write.

    >>> "mac" in columns("Port"), "unique_key" in columns("Port")
    (True, False)
    """
    written = {field.name for field in fields(SPECS[kind])}
    return tuple(name for name in northbound.columns(kind) if name in written)


@cache
def form(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema of a document of *kind*."""
    types = northbound.schema()["tables"][kind]["columns"]
    always = ("name", *REQUIRED[kind])
    return {
        "title": kind,
        "type": "object",
        "required": [KIND, "name"],
        "additionalProperties": False,
        "properties": {KIND: {"const": kind}}
        | {name: _property(name, types[name]["type"], name in always) for name in columns(kind)},
    }


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a document of any kind."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A document of trunkline apply",
        "oneOf": [form(kind) for kind in SPECS],
    }


def _property(name: str, type_: Any, is_always: bool) -> dict[str, Any]:
    """Return the schema of the column *name*; null, which clears it, is a value unless *is_always*."""
    match northbound.shape(type_):
        case Shape.MAP if name == "options":
            known = {key: _option(values) for key, values in VALUES.items() if key not in WRITTEN}
            value: dict[str, Any] = {"type": "object", "properties": known, "additionalProperties": False}
        case Shape.MAP:
            value = {"type": "object", "additionalProperties": _atom(type_["value"])}
        case Shape.SET:
            value = {"type": "array", "items": _atom(type_["key"])}
        case _:
            value = _atom(type_["key"] if isinstance(type_, dict) else type_)
    if is_always:
        return value
    if "enum" in value:
        value["enum"] = [*value["enum"], None]
    return value | {"type": [value["type"], "null"]}


def _option(values: Any) -> dict[str, Any]:
    return {"type": "string"} | ({} if values is None else {"enum": list(values)})


def _atom(base: Any) -> dict[str, Any]:
    """Return the schema of a single value of the base type *base* (RFC 7047 section 3.2)."""
    if isinstance(base, str):
        base = {"type": base}
    if base["type"] == "uuid":
        return {"type": "string", "minLength": 1, "maxLength": LONGEST}
    if "enum" in base:
        return {"type": base["type"], "enum": base["enum"][1]}
    renamed = {
        "minInteger": "minimum",
        "maxInteger": "maximum",
        "minLength": "minLength",
        "maxLength": "maxLength",
    }
    limits = {ours: base[theirs] for theirs, ours in renamed.items() if theirs in base}
    if "maxLength" in limits:
        # That is an address, which has a parser of its own.
        limits = {"minLength": 1}
    if base["type"] == "string":
        # The database refuses what C ends a text with.
        limits["pattern"] = "^[^\\u0000]*$"
    return {"type": base["type"], **limits}


@cache
def _compiled(kind: Kind, column: str | None) -> Callable[[Any], JsonSchemaValueException | None]:
    """Return what tells why a value is not what *column* may be, or no document of *kind*; None if it is."""
    import fastjsonschema

    wanted = form(kind) if column is None else form(kind)["properties"][column]
    check = fastjsonschema.compile(wanted, use_default=False)

    def error(value: Any) -> JsonSchemaValueException | None:
        try:
            check(value)
        except fastjsonschema.JsonSchemaValueException as error:
            return error
        return None

    return error


class Formed(NamedTuple):
    """What a document says by its kind: *columns* by name, as far as they are right, and the *wrong* ones."""

    kind: Kind
    columns: dict[str, Any]
    wrong: frozenset[str]


def formed(document: Document, complaints: list[Complaint]) -> Formed | None:
    """Return what *document* says, None if it has no kind; what is wrong with it is added to *complaints*.

    Of a list or a map, the items that are right are kept.
    """
    value = document.value
    kind: Kind | None = _KINDS.get(str(value.get(KIND)))
    if kind is None:
        if KIND not in document.wrong:
            complaints.append(_kindless(document))
        return None
    error = _compiled(kind, None)(value)
    if error is None and not document.wrong:
        return Formed(kind, value, document.wrong)
    if error is not None:
        value = {}
        complaints.extend(islice(_faults(kind, document, value), MOST))
    known = form(kind)["properties"]
    wrong = (document.wrong | document.value.keys()) - value.keys()
    return Formed(kind, value, frozenset(column for column in wrong if column in known))


def _kindless(document: Document) -> Complaint:
    kinds, marks = " or ".join(SPECS), document.marks
    if KIND not in document.value:
        return Complaint(marks.start, f"a document needs a `kind`: {kinds}")
    if document.value[KIND] is None:
        return Complaint(marks.of(KIND), f"`{KIND}` is empty; give it a value: {kinds}")
    kind = shortened(document.value[KIND])
    return Complaint(marks.of(KIND), f'"{kind}" is not a kind; {meant(kind.title(), SPECS)}')


def _faults(kind: Kind, document: Document, right: dict[str, Any]) -> Iterator[Complaint]:
    """Yield each fault of the form of *document*, and put what is right of it into *right*."""
    marks, known = document.marks, form(kind)["properties"]
    name = document.value.get("name")
    subject = f"{kind.lower()} {'(without a name)' if name in (None, '') else shortened(name)}"
    if "name" not in document.value and "name" not in document.wrong:
        yield Complaint(marks.start, f"a {kind.lower()} has a name; add `name`")
    for column, value in document.value.items():
        if column not in known:
            yield Complaint(marks.keys[column], f"{subject}: {_unknown(kind, column)}")
            continue
        parts = _parts(value, known[column])
        for part in [value] if parts is None else parts:
            error = _compiled(kind, column)(part)
            if error is not None:
                item = None if parts is None else str(next(iter(part)))
                text = f"{subject}: {_fault(column, part, known[column], error)}"
                yield Complaint(marks.of(column, item), text)
                continue
            if isinstance(part, dict):
                right.setdefault(column, {}).update(part)
            elif isinstance(part, list):
                right.setdefault(column, []).extend(part)
            else:
                right[column] = part


def _parts(value: Any, wanted: Mapping[str, Any]) -> list[Any] | None:
    """Return the items of *value*, each as if it was alone; None if *value* is no list or map of *wanted*."""
    if isinstance(value, dict) and value and "object" in wanted["type"]:
        return [{key: item} for key, item in value.items()]
    if isinstance(value, list) and value and "array" in wanted["type"]:
        return [[item] for item in value]
    return None


def _unknown(kind: Kind, column: str) -> str:
    shown = f'"{shortened(column)}"'
    if column in northbound.columns(kind):
        return f"{shown} is written by Trunkline itself; leave it out"
    return f"{shown} is not a column; {meant(column, form(kind)['properties'])}"


def _fault(column: str, value: Any, wanted: Mapping[str, Any], error: Any) -> str:
    """Return what is wrong with *value*, which *column*, by its schema *wanted*, cannot have."""
    shape = wanted["type"] if isinstance(wanted["type"], str) else wanted["type"][0]
    if value is None:
        return f"`{column}` is empty; give it a value"
    if shape == "array" and not isinstance(value, list):
        return f"`{column}` is a list; write [{shortened(value)}]"
    if shape == "object" and not isinstance(value, dict):
        return f"`{column}` has to be a map, such as {{key: value}}, and not {_shown(value)}"
    if shape == "array":
        return f"`{column}` has {_wrong(error.value, wanted['items'])}"
    if shape == "object" and error.rule == "additionalProperties":
        unknown = next(key for key in value if key not in wanted["properties"])
        return f'there is no option "{shortened(unknown)}"; {meant(unknown, wanted["properties"])}'
    if shape == "object":
        key = next((key for key, item in value.items() if item == error.value), "")
        inner = wanted.get("properties", {}).get(key, wanted["additionalProperties"])
        return f"`{column}:{shortened(key)}` is {_wrong(error.value, inner)}"
    return f"`{column}` is {_wrong(value, wanted)}"


def _wrong(value: Any, wanted: Mapping[str, Any]) -> str:
    """Return *value* and why it is not the single value that *wanted* has it be."""
    shape = wanted["type"] if isinstance(wanted["type"], str) else wanted["type"][0]
    shown = _shown(value)
    if "enum" in wanted and isinstance(value, str):
        words = [word for word in wanted["enum"] if word is not None]
        return f"{shown}, which is not {' or '.join(words)}"
    if shape == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return f"{shown}, which is not within {wanted['minimum']}–{wanted['maximum']}"
    if shape == "string" and not isinstance(value, str):
        return f"{shown}, which is not a text; put it in quotes"
    if shape == "string" and value == "":
        return "empty; give it a value"
    if shape == "string" and len(value) > wanted.get("maxLength", len(value)):
        return f"{shown}, which is longer than {wanted['maxLength']} characters"
    if shape == "string":
        return f"{shown}, which has a character that cannot be stored"
    return f"{shown}, which is not {_WORDS[shape]}"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{shortened(value)}"'
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return shortened(value)
