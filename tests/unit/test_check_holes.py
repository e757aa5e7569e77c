"""A finding reads as a sentence, whatever is empty in the rows that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from test_check_rows import SCENES, chassis, fleet

from trunkline.cli.finding import Seen, show
from trunkline.health import check
from trunkline.health.fleet import Fleet
from trunkline.northbound.schema import schema

HOLE = re.compile(r"  |[,(:] ?[,;:).]|\s[,;:.)]|[,;:(=\s]$|^[\s,;:.]|^$")
"""Two blanks, a comma after nothing, a colon before nothing: where a value was empty."""

TABLES = {"Chassis": "chassis", "Network": "networks", "Port": "ports"}


def emptiest(table: str, column: str, value: Any) -> Iterator[Any]:
    """Yield the emptiest values that the northbound takes in place of *value*."""
    type_ = schema()["tables"][table]["columns"].get(column, {}).get("type")
    if type_ is None:
        return
    kind = type_["key"] if isinstance(type_, dict) else type_
    kind = kind if isinstance(kind, dict) else {"type": kind}
    many = isinstance(type_, dict) and type_.get("max") == "unlimited"
    if many and "value" in type_:
        yield from ({}, {"": ""}, dict.fromkeys(value, ""))
    elif many:
        yield from ([], [""])
    elif kind["type"] == "string" and not kind.get("minLength") and "enum" not in kind:
        yield ""
    elif kind["type"] == "integer" and not kind.get("minInteger"):
        yield 0


def emptied(seen: Fleet) -> Iterator[tuple[str, Fleet]]:
    """Yield *seen* with one value after the other empty, and what that is."""
    for table, attribute in TABLES.items():
        rows = getattr(seen, attribute)
        for number, row in enumerate(rows):
            for column, value in row.items():
                for empty in emptiest(table, column, value):
                    changed: Any = {attribute: [*rows[:number], row | {column: empty}, *rows[number + 1 :]]}
                    yield f"{table}.{column} = {empty!r}", replace(seen, **changed)


@pytest.mark.parametrize("name", SCENES)
def test_no_text_has_a_hole_if_a_value_is_empty(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for what, seen in [("as it is", SCENES[name][0]), *emptied(SCENES[name][0])]:
        for found in check.findings(seen):
            show(Seen("check", [found], 1), shows_all=True)
            _, line, remedy = capsys.readouterr().out.splitlines()
            for text in (line.strip(), remedy.strip()):
                assert not HOLE.search(text), f"{what}: {text}"


def test_a_chassis_that_has_never_told_its_version_runs_no_other_one() -> None:
    hosts = [chassis("c1", version="0.10.0"), chassis("c2", version="0.9.0"), chassis("c3", version="")]
    (found,) = check.findings(fleet(hosts=[*hosts, chassis("c4", version="0.10.0")]))
    assert (found.code, found.subject) == ("T504", "chassis c2")
    assert found.remedy == "upgrade the older ones, 0.9.0, soon"
