"""What is printed, for a person and for a program."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
import yaml
from wcwidth import wcswidth

from trunkline.cli.option import changes
from trunkline.cli.output import print_list, print_one, printable, table

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


WIDE = [["端口一", "up"], ["vm\u0301", "up"], ["plain", "down"]]


def test_columns_stand_below_one_another_whatever_the_width_of_characters() -> None:
    lines = table(WIDE, ["NAME", "STATE"]).splitlines()
    state = [wcswidth(line[: line.rindex("  ") + 2]) for line in lines]
    assert state == [8] * len(lines), lines


LONG = [["vm1", "x" * 40, "端" * 30, "yes"], ["vm2", "short", "", "no"]]
HEADERS = ["NAME", "NETWORK", "OWNER", "UP"]


@pytest.mark.parametrize("width", [24, 40, 80])
def test_no_line_of_a_table_is_longer_than_the_terminal_is_wide(width: int) -> None:
    lines = table(LONG, HEADERS, width).splitlines()
    assert max(map(wcswidth, lines)) <= width
    assert len(lines) == 4
    assert "…" in lines[2]
    assert lines[2].startswith("vm1")


def test_only_the_widest_columns_are_cut_and_the_first_one_last() -> None:
    name = "a-name-of-24-characters-"
    row = table([[name, "y" * 30, "z" * 9, "yes"]], HEADERS, 60).splitlines()[2]
    assert row.split() == [name, "y" * 16 + "…", "z" * 9, "yes"]
    assert name not in table([[name, "y" * 30, "z" * 9, "yes"]], HEADERS, 40)


def test_a_table_that_fits_is_the_same_in_a_terminal() -> None:
    assert table(LONG, HEADERS, 200) == table(LONG, HEADERS)


def test_prose_at_the_end_of_a_table_is_never_cut() -> None:
    shown = table(
        [["c1", "x" * 60, "the reason, " * 20]], ["CHASSIS", "FAULT", "REASON"], 60, ends_in_prose=True
    )
    assert ("the reason, " * 20).rstrip() in shown
    assert "x" * 60 not in shown


PRINT = f"from trunkline.cli.output import print_table; print_table({LONG!r}, {HEADERS!r})"


def printed_in_a_terminal(width: int) -> list[str]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-c", PRINT], stdin=slave, stdout=slave, env=environment
    ) as process:
        os.close(slave)
        read = b""
        while not read.endswith(b"no\r\n"):
            read += os.read(master, 4096)
        assert process.wait(60) == 0
    os.close(master)
    return read.decode().splitlines()


def test_a_table_heeds_the_terminal_and_is_whole_in_a_pipe() -> None:
    assert max(map(wcswidth, printed_in_a_terminal(50))) <= 50
    piped = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, text=True, check=True).stdout
    assert "x" * 40 in piped


def test_csv_has_one_line_for_a_row_and_nothing_that_a_spreadsheet_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        {"name": "=cmd|' /C calc'!A0", "note": "a\nb", "key": -1, "up": None},
        {"name": "-x", "note": ["@a", "b"], "key": 2, "up": True},
    ]
    print_list(rows, {"name": "NAME", "note": "NOTE", "key": "KEY", "up": "UP"}, "csv")
    assert capsys.readouterr().out.splitlines() == [
        "name,note,key,up",
        "'=cmd|' /C calc'!A0,a\\nb,-1,",
        "'-x,\"'@a, b\",2,true",
    ]


def test_names_are_one_on_a_line_and_nothing_is_printed_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([{"name": "a\nb", "up": 1}, {"name": "c", "up": 2}], {"name": "NAME", "up": "UP"}, "name")
    assert capsys.readouterr().out == "a\\nb\nc\n"
    print_list([], {"name": "NAME"}, "name")
    assert capsys.readouterr().out == ""
