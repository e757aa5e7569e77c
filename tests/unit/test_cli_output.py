"""What is printed, for a person and for a program."""

from __future__ import annotations

import json

import pytest
import yaml

from trunkline.cli.option import changes
from trunkline.cli.output import print_list, print_one, printable

ROWS: list[dict[str, object]] = [
    {"name": "a\x1b[2J\nb\u202e", "mtu": None, "up": True, "addresses": ["192.0.2.1"], "options": {}}
]


def test_nothing_in_a_table_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    print_list(ROWS, {"name": "NAME", "up": "UP"}, "table")
    print_one(ROWS[0], "table")
    assert printable(capsys.readouterr().out.replace("\n", "")).count("\\u202e") == 2


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_a_list_is_an_array_of_whole_objects_with_the_schemas_keys(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_list(ROWS, {"name": "NAME"}, output)
    text = capsys.readouterr().out
    assert text.isascii()
    assert (json.loads(text) if output == "json" else yaml.safe_load(text)) == ROWS


def test_an_empty_list_is_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([], {"name": "NAME"}, "json")
    assert json.loads(capsys.readouterr().out) == []


def test_an_empty_value_clears_what_may_be_empty_and_nothing_else() -> None:
    assert changes(requested_chassis="", addresses=("",)) == {"requested_chassis": None, "addresses": []}
    assert changes(mac="", network="") == {"mac": "", "network": ""}
    assert changes(mtu=None, addresses=(), enabled=False) == {"enabled": False}
