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


LONG = [["vm1", "one two " * 5, "端 " * 20, "yes"], ["vm2", "short", "", "no"]]
HEADERS = ["NAME", "NETWORK", "OWNER", "UP"]


@pytest.mark.parametrize("width", [28, 40, 80])
def test_no_line_of_a_table_is_longer_than_the_terminal_is_wide(width: int) -> None:
    lines = table(LONG, HEADERS, width).splitlines()
    assert max(map(wcswidth, lines)) <= width
    assert len(lines) == 4
    assert lines[2].startswith("vm1   one")
    assert width == 80 or "…" in lines[2]


PORT = ["2f1c9a3e-77aa-4c3b-9d51-0a4b6c8d0e1f", "02:00:00:00:00:01", "192.0.2.11, 192.0.2.12, 192.0.2.13"]


def test_of_a_table_that_is_too_wide_lists_are_cut_and_names_and_addresses_are_not() -> None:
    titles = ["NAME", "MAC", "ADDRESSES"]
    for width in (20, 80):
        row = table([PORT], titles, width).splitlines()[2]
        assert row.split()[:2] == PORT[:2]
        assert row[57:].startswith("192.0.2.11,")
        assert row.endswith("…")


def test_a_word_that_is_longer_than_any_name_or_flow_is_cut() -> None:
    assert table([["x" * 200, "yes"]], ["NAME", "UP"], 20).splitlines()[2] == "x" * 47 + "…  yes"


def test_text_of_a_table_that_folds_is_whole_and_its_columns_stay_in_place() -> None:
    flow = ["10 PORT_SECURITY", "from vm1, MAC 02:00:00:00:00:01, 端 and more of it", "DROP rule 13", "7"]
    lines = table([flow], ["TABLE", "MATCH", "DOES", "PACKETS"], 60, folds=True).splitlines()
    assert max(map(wcswidth, lines)) <= 60
    assert lines[2].endswith("DROP rule 13  7")
    begin, end = lines[0].index("MATCH"), lines[0].index("DOES")
    assert " ".join(line[begin:end].strip() for line in lines[2:-1]) in flow[1]
    assert "02:00:00:00:00:01," in "".join(lines)
    assert "of it" in lines[-1]
    assert not [line for line in lines if "…" in line]


def test_no_column_is_wider_than_what_is_in_it() -> None:
    assert table([["vm1", "yes"]], ["NAME", "UP"]).splitlines() == ["NAME  UP", "----  ---", "vm1   yes"]


def test_a_table_that_fits_is_the_same_in_a_terminal() -> None:
    assert table(LONG, HEADERS, 200) == table(LONG, HEADERS)


def test_prose_at_the_end_of_a_table_is_never_cut() -> None:
    shown = table(
        [["c1", "x " * 60, "the reason, " * 20]], ["CHASSIS", "FAULT", "REASON"], 60, ends_in_prose=True
    )
    assert ("the reason, " * 20).rstrip() in shown
    assert "x " * 60 not in shown


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
    assert "one two " * 5 in piped


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
