"""The kinds of rows, against the schemas of their databases; at run time a column is its name."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.northbound.schema import schema
from trunkline.ovsdb import nb_row, switch_row
from trunkline.ovsdb.row import Row

ATOMS = {"str": "string", "int": "integer", "bool": "boolean", "UUID": "uuid"}

DATABASES = {"switch": (switch_row.ROWS, switch_row.SCHEMA), "northbound": (nb_row.ROWS, schema())}
TABLES = [(database, table) for database, (rows, _) in DATABASES.items() for table in rows]


def kind(spec: Any) -> str:
    """Return the annotation of a column of which the schema says *spec*."""
    spec = {"key": spec} if isinstance(spec, str) else spec
    key = spec["key"] if isinstance(spec["key"], dict) else {"type": spec["key"]}
    if "value" in spec:
        return "Pairs"
    if spec.get("max", 1) != 1:
        return f"References[{key['refTable']}Row]" if "refTable" in key else f"Many[{named(key['type'])}]"
    return f"{'One' if spec.get('min', 1) else 'Maybe'}[{named(key['type'])}]"


def named(atom: str) -> str:
    return next(name for name, each in ATOMS.items() if each == atom)


@pytest.mark.parametrize(("database", "table"), TABLES)
def test_a_row_has_the_columns_of_its_table_and_each_is_of_its_type(database: str, table: str) -> None:
    rows, found = DATABASES[database]
    column_specs = found["tables"][table]["columns"]
    annotations = dict(rows[table].__annotations__)
    assert annotations == {column: kind(column_specs[column]["type"]) for column in annotations}
    if database == "switch":
        assert annotations.keys() == column_specs.keys()


def test_a_column_is_a_plain_string_at_run_time() -> None:
    kinds: list[type[Row]] = [*switch_row.ROWS.values(), *nb_row.ROWS.values()]
    for each in kinds:
        for column in each.__annotations__:
            assert type(vars(each)[column]) is str
            assert vars(each)[column] == column
