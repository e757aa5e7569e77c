"""Columns as they came from the server, against what the IDL of `ovs` makes of the same JSON."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import ovs.db.data
import ovs.db.idl
import pytest

from trunkline.ovsdb.columns import Columns, defaults

NETWORK_ID = UUID("12345678-1234-1234-1234-123456789abc")
OTHER_ID = UUID("12345678-1234-1234-1234-123456789abd")


def _optional(key: Any) -> dict[str, Any]:
    return {"type": {"key": key, "min": 0, "max": 1}}


SCHEMA = {
    "name": "Sample",
    "version": "1.0.0",
    "tables": {
        "Row": {
            "columns": {
                "name": {"type": "string"},
                "key": {"type": "integer"},
                "flag": {"type": "boolean"},
                "network": {"type": {"key": "uuid"}},
                "chassis": _optional("string"),
                "up": _optional("boolean"),
                "tag": _optional({"type": "integer", "minInteger": 1, "maxInteger": 4094}),
                "addresses": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
                "members": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
                "options": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
            }
        }
    },
}
MAPS, SETS = {"options"}, {"addresses", "members"}

FULL = {
    "name": "a",
    "key": 7,
    "flag": True,
    "network": ["uuid", str(NETWORK_ID)],
    "chassis": "c1",
    "up": ["set", [False]],
    "tag": 5,
    "addresses": ["set", ["10.0.0.1", "10.0.0.2"]],
    "members": ["set", [["uuid", str(NETWORK_ID)], ["uuid", str(OTHER_ID)]]],
    "options": ["map", [["a", "b"], ["c", "d"]]],
}
SINGLES = {"addresses": "10.0.0.1", "members": ["uuid", str(OTHER_ID)]}
EMPTIES = {"chassis": ["set", []], "addresses": ["set", []], "options": ["map", []], "up": ["set", []]}


def columns(json_by_column: dict[str, Any]) -> Columns:
    helper = ovs.db.idl.SchemaHelper(schema_json=dict(SCHEMA))
    helper.register_all()
    table = helper.get_idl_schema().tables["Row"]
    fresh = Columns(table, defaults(table))
    fresh.receive(dict(json_by_column))
    return fresh


def read(row: Columns, column: str) -> Any:
    if column in MAPS:
        return row.pairs(column)
    return row.every(column) if column in SETS else row.one(column)


def plain(datum: Any, column: str) -> Any:
    if column in MAPS:
        return {key.value: value.value for key, value in datum.values.items()}
    values = [atom.value for atom in datum.values]
    return frozenset(values) if column in SETS else next(iter(values), None)


@pytest.mark.parametrize(
    "json_by_column", [FULL, SINGLES, EMPTIES, {}], ids=["full", "single", "empty", "left out"]
)
@pytest.mark.parametrize("column", SCHEMA["tables"]["Row"]["columns"])  # type: ignore[index]
def test_a_column_reads_the_same_as_it_came_and_as_the_idl_has_it(
    json_by_column: dict[str, Any], column: str
) -> None:
    row = columns(json_by_column)
    as_it_came = read(row, column)
    datum = row[column]
    assert isinstance(datum, ovs.db.data.Datum)
    row[column] = datum
    assert read(row, column) == as_it_came
    assert as_it_came == plain(datum, column)


@pytest.mark.parametrize(
    "json_by_column", [FULL, SINGLES, EMPTIES, {}], ids=["full", "single", "empty", "left out"]
)
def test_several_columns_read_as_each_does(json_by_column: dict[str, Any]) -> None:
    row = columns(json_by_column)
    names = [name for name in SCHEMA["tables"]["Row"]["columns"] if name not in MAPS and name not in SETS]  # type: ignore[index]
    assert len(names) > 4
    one_by_one = [row.one(name) for name in names]
    assert row.several(names) == one_by_one
    assert row[names[0]] is not None, "converted"
    assert row.several(names) == one_by_one


def test_a_column_that_nobody_asks_for_stays_as_it_came() -> None:
    """Converting the columns that nobody asks for would be half of the time that a port takes to load."""
    row = columns(FULL)
    assert [read(row, column) for column in FULL]
    assert row.received == FULL


def test_what_comes_later_replaces_what_was_there_converted_or_not() -> None:
    row = columns(FULL)
    assert plain(row["name"], "name") == "a"
    row.receive({"name": "b", "key": 8})
    assert (row.one("name"), plain(row["name"], "name"), row.one("key")) == ("b", "b", 8)


def test_a_column_that_breaks_its_schema_is_its_default_and_does_not_hold_up_the_row() -> None:
    row = columns(FULL | {"tag": 5000})
    assert plain(row["tag"], "tag") is None
    assert plain(row["name"], "name") == "a"
