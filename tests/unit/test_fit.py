"""Which databases a client can read: those that have what it needs, of the same kinds."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from trunkline.northbound.fit import fit
from trunkline.northbound.schema import schema

OPTIONAL = {"min": 0, "max": 1}
SET = {"min": 0, "max": "unlimited"}
MAP = {"key": "string", "value": "string", **SET}
NEEDED = {table: list(spec["columns"]) for table, spec in schema()["tables"].items()}


def altered(table: str, column: str, type_: Any) -> dict[str, Any]:
    other = copy.deepcopy(schema())
    other["tables"][table]["columns"][column] = {"type": type_}
    return other


@pytest.mark.parametrize(
    ("table", "column", "type_", "there"),
    [
        ("NB_Global", "nb_cfg", "string", "a string"),
        ("NB_Global", "nb_cfg", {"key": "integer", **SET}, "a set of integers"),
        ("NB_Global", "identity", MAP, "a map from string to string"),
        ("Network", "name", {"key": "string", **OPTIONAL}, "an optional string"),
        ("Network", "segmentation_id", "integer", "an integer"),
        ("Port", "mac", "integer", "an integer"),
        ("Port", "network", "string", "a string"),
        ("Chassis", "faults", {"key": "string", "value": "integer", **SET}, "a map from string to integer"),
    ],
)
def test_a_column_of_another_kind_does_not_fit(table: str, column: str, type_: Any, there: str) -> None:
    reason = fit(schema(), altered(table, column, type_), NEEDED).reason
    assert reason is not None
    assert reason.startswith(f"column {column} of table {table} holds {there} there, and ")


@pytest.mark.parametrize(
    ("table", "column", "type_"),
    [
        ("Network", "network_type", "string"),
        ("Network", "unique_key", {"key": {"type": "integer", "maxInteger": 7}}),
        ("Port", "addresses", {"key": "string", "min": 0, "max": 3}),
        ("Port", "network", {"key": {"type": "uuid", "refTable": "Network", "refType": "weak"}}),
    ],
)
def test_other_ranges_of_the_same_kind_fit(table: str, column: str, type_: Any) -> None:
    assert fit(schema(), altered(table, column, type_), NEEDED).reason is None


def test_what_is_lacking_and_needed_does_not_fit_and_what_is_there_besides_does() -> None:
    other = copy.deepcopy(schema())
    other["tables"]["Extra"] = {"columns": {}}
    other["tables"]["Port"]["columns"]["extra"] = {"type": "string"}
    assert fit(schema(), other, NEEDED).reason is None
    del other["tables"]["Port"]["columns"]["mac"]
    assert fit(schema(), other, NEEDED).reason == "there is no column mac in table Port"
    assert fit(schema(), other, NEEDED, {("Port", "mac")}) == (None, {"Port": ["mac"]})
    del other["tables"]["Port"]
    assert fit(schema(), other, NEEDED, {("Port", "mac")}).reason == "there is no table Port"
