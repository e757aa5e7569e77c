"""The northbound schema: its file, its name, and the shape of its columns.

The schema itself is `trunkline-nb.ovsschema`, beside this module and in the wheel; its format is RFC 7047
section 3.2.
"""

from __future__ import annotations

import json
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

DATABASE = "Trunkline_Northbound"
"""The database's name, as `ovsdb-server` lists it."""

IDENTITY = "identity"
"""The column of `NB_Global` that identifies a database; a backup keeps it.

Before version 1.1.0 of the schema it was a key of `external_ids`.
"""

FIRST_CHASSIS = "first-chassis"
"""The key of a port's `options` with the first of several requested chassis, which roles compare."""

ANNOUNCE = "announce"
"""The key of a port's `options` that, if it is `false`, keeps the port from being announced."""

CONTROL_FRAMES = "control-frames"
"""The key of a port's `options` that, if it is `true`, lets control frames pass to and from the port."""

ALLOW_DUPLICATE_IP = "allow-duplicate-ip"
"""The key of a port's `options` that, if it is `true`, lets it have addresses that another port has."""

SET = "trunkline-set"
"""The key of a row's `external_ids` that says of which set it is: that of the `apply` that made it."""

SCHEMA_PATH = Path(__file__).with_name("trunkline-nb.ovsschema")
"""The schema file of this version of Trunkline."""


class Shape(Enum):
    """How many values a column holds, which decides its Python type."""

    ONE = "one"  # str, int, bool or UUID text
    OPTIONAL = "optional"  # the same, or None
    SET = "set"  # a sorted list
    MAP = "map"  # a dict


class Column(NamedTuple):
    """One column: its shape, and the table that it refers to, None if it refers to none."""

    shape: Shape
    refers_to: str | None


def shape(type_: Any) -> Shape:
    """Return the shape of the column type *type_* (RFC 7047 section 3.2, `<type>`)."""
    if not isinstance(type_, dict):
        return Shape.ONE
    if "value" in type_:
        return Shape.MAP
    if type_.get("max", 1) != 1:
        return Shape.SET
    return Shape.OPTIONAL if type_.get("min", 1) == 0 else Shape.ONE


def _column(type_: Any) -> Column:
    key = type_.get("key") if isinstance(type_, dict) else None
    return Column(shape(type_), key.get("refTable") if isinstance(key, dict) else None)


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA_PATH.read_text())
    return schema


def schema() -> dict[str, Any]:
    """Return the schema as JSON (RFC 7047 section 3.2, `<database-schema>`)."""
    return _schema()


def version() -> str:
    """Return the schema's version, `major.minor.patch`.

    >>> version().count(".")
    2
    """
    return str(_schema()["version"])


@cache
def columns(table: str) -> dict[str, Column]:
    """Return the columns of *table* by name, in the schema's order.

    >>> columns("Port")["network"]
    Column(shape=<Shape.ONE: 'one'>, refers_to='Network')
    """
    return {name: _column(spec["type"]) for name, spec in _schema()["tables"][table]["columns"].items()}
