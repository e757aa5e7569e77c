"""Documents: what YAML texts say, where it stands, and what is wrong with them, whatever they hold."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from trunkline.manifest.complaint import Complaint
from trunkline.manifest.document import Document, documents
from trunkline.manifest.source import Source, sources


def read(text: str) -> tuple[list[Document], list[str]]:
    complaints: list[Complaint] = []
    found = list(documents(Source("a.yaml", text), complaints))
    return found, [str(each) for each in complaints]


def values(text: str) -> list[dict[str, Any]]:
    found, complaints = read(text)
    assert complaints == []
    return [document.value for document in found]


def complaints(text: str) -> list[str]:
    return read(text)[1]


def test_a_text_has_many_documents_and_empty_ones_do_not_count() -> None:
    assert values("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n---\n") == [{"a": 1}, {"b": 2}]
    assert values("") == values("# a comment\n") == values("null\n") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10:20:30:40:50:10", "10:20:30:40:50:10"),
        ("no", "no"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        ("1.5", "1.5"),
        ("2001-01-01", "2001-01-01"),
        ("=", "="),
        ("<<", "<<"),
        ("101", 101),
        ("+7", 7),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("true", True),
        ("~", None),
        ("", None),
        ("'101'", "101"),
        ('"true"', "true"),
        ("!!str 101", "101"),
        ("! 101", "101"),
        ("|\n  two\n  lines", "two\nlines\n"),
        ("[1, a, '2']", [1, "a", "2"]),
        ("{a: 1, b: x}", {"a": 1, "b": "x"}),
        ('"\\u00e4"', "ä"),
    ],
)
def test_a_scalar_is_what_yaml_1_2_has_it_be(text: str, value: object) -> None:
    (found,) = values(f"key: {text}\n")
    assert found["key"] == value
    assert type(found["key"]) is type(value)


def test_a_number_of_a_million_digits_is_a_number_that_no_column_takes() -> None:
    (found,) = values(f"a: {'9' * 1_000_000}\nb: -{'9' * 1_000_000}\nc: 0x{'f' * 1_000_000}\n")
    assert found["a"] > 2**60
    assert found["b"] < -(2**55)
    assert found["c"] > 2**60


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b: c\n", "a.yaml:1:5: this is not YAML: mapping values are not allowed in this context"),
        ("a: 1\n\tb: 2\n", "a.yaml:2:1: this is not YAML: a tab cannot indent a line; use blanks"),
        ("a: [1,\n", "a.yaml:2:1: this is not YAML: did not find expected node content"),
        ("a: 'x\n", "a.yaml:2:1: this is not YAML: found unexpected end of stream"),
        ("ä: 1\nb: \x07\n", "a.yaml:2:4: control characters are not allowed"),
        ("- a\n- b\n", "a.yaml:1:1: a document has to be a map, such as `kind: Network` with more lines"),
        ("text\n", "a.yaml:1:1: a document has to be a map"),
        ("a: 1\na: 2\n", 'a.yaml:2:1: "a" is given twice'),
        ("a: {b: 1, b: 2}\n", 'a.yaml:1:11: "b" is given twice'),
        ("a: [[1]]\n", "a.yaml:1:5: this is nested too deep"),
        ("a: {b: [1]}\n", "a.yaml:1:8: this is nested too deep"),
        ("? [a]\n: 1\n", "a.yaml:1:3: a key has to be a text"),
        ("a: !!int 5\n", "a.yaml:1:4: the tag !!int is not supported; leave it out"),
        ("a: !!python/object/apply:os.system [x]\n", "a.yaml:1:4: the tag !!python/object/apply:os.system"),
        ("a: !x {b: 1}\n", "a.yaml:1:4: the tag !x is not supported"),
        ("!x\na: 1\n", "a.yaml:1:1: the tag !x is not supported"),
        ("a: &x 1\nb: *x\n", "a.yaml:2:4: aliases are not supported; write the value out"),
        ("a: &x [*x]\n", "a.yaml:1:8: aliases are not supported"),
        ("a: 1\n---\n*x\n", "a.yaml:3:1: a document has to be a map"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    assert complaints(text)[0].startswith(said)


def test_after_a_wrong_document_the_others_are_read() -> None:
    found, said = read("a: [[1]]\n---\nb: 1\n---\n- c\n---\nd: 1\nd: 2\n---\ne: 1\n")
    assert [document.value for document in found] == [{}, {"b": 1}, {}, {"e": 1}]
    assert [set(document.wrong) for document in found] == [{"a"}, set(), {"d"}, set()]
    assert [line.split(":")[1] for line in said] == ["1", "5", "8"]


LAUGHS = "a: &a [lol]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "[" * 1_000_000,
        "a: " + "[" * 1_000_000,
        "{a: " * 300_000,
        "- " * 1_000_000,
        "a: " + "{? " * 300_000,
        "a: &a [*a, *a]\nb: {<<: [*a, *a]}\n",
    ],
    ids=["laughs", "brackets", "value", "braces", "dashes", "keys", "itself"],
)
def test_a_bomb_costs_no_more_than_its_beginning(text: str) -> None:
    started_s = time.process_time()
    found, said = read(text)
    assert all(document.value.keys() <= {"a"} for document in found)
    assert said
    assert time.process_time() - started_s < 10, "it would take hours, or crash"


def test_a_document_knows_where_its_keys_and_values_stand() -> None:
    text = "# ä\n\nfirst: 1\n---\n# second\nname: ü\naddresses:\n- a\n- b\n--- {x:   5}\n"
    found, _ = read(text)
    assert [document.line for document in found] == [3, 6, 10]
    marks = found[1].marks
    assert str(marks.start) == "a.yaml:6:1"
    assert {key: str(mark) for key, mark in marks.keys.items()} == {
        "name": "a.yaml:6:1",
        "addresses": "a.yaml:7:1",
    }
    assert [str(marks.of(key)) for key in ("name", "addresses", "mac", None)] == [
        "a.yaml:6:7",
        "a.yaml:8:1",
        "a.yaml:6:1",
        "a.yaml:6:1",
    ]
    assert str(found[2].marks.of("x")) == "a.yaml:10:11"


def taken(*names: str) -> tuple[list[Source], list[str]]:
    said: list[Complaint] = []
    return list(sources(names, said)), [str(each) for each in said]


def test_a_pipe_in_a_directory_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    said = f"{tmp_path}/a.yaml: this is neither a file nor a directory; remove it from here"
    assert taken(str(tmp_path)) == ([], [said])


def test_a_directory_stands_for_its_yaml_files_in_their_order(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c.json", "d.txt", ".e.yaml"):
        (tmp_path / name).write_text(name)
    (tmp_path / "f.yaml").mkdir()
    found, said = taken(str(tmp_path), str(tmp_path / "a.yaml"))
    assert [source.text for source in found] == ["a.yaml", "b.yml", "c.json"]
    assert said == []


def test_what_cannot_be_read_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe4\n")
    (tmp_path / "good.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    (tmp_path / "empty").mkdir()
    names = [str(tmp_path / name) for name in ("latin.yaml", "none.yaml", "empty", "good.yaml")]
    found, said = taken(*names)
    assert [source.text for source in found] == ["a: 1\r\n"]
    assert said == [
        f"{names[0]}:2: this is not UTF-8 text",
        f"{names[1]}: No such file or directory",
        f"{names[2]}: there is no file *.yaml, *.yml or *.json in this directory",
    ]


def test_a_file_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.manifest.source.MOST_BYTES", 1 << 20)
    found, said = taken("/dev/zero")
    assert found == []
    assert said == ["/dev/zero: the files have more than 1 MB; apply fewer at a time"]
