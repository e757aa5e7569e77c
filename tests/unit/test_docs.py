"""The pages say what the code says, point to what exists, and show commands that the program has."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from model.page import ELSEWHERE, PAGES, ROOT, commands, commands_in_text
from trunkline.cli.main import trunkline
from trunkline.cli.neutron import trunkline_neutron
from trunkline.northbound.default import DEFAULTS
from trunkline.ovsdb import settings

ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return importlib.import_module("generate")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_generated_pages_are_current(generate: ModuleType) -> None:
    assert generate.stale() == [], "run scripts/docs"


def test_check_fails_with_one_line_that_names_a_stale_page(
    generate: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in generate.PAGES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(generate.page(name))
    (tmp_path / "docs/pipeline.md").write_text("something else\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == "scripts/docs: docs/pipeline.md not current; run scripts/docs\n"
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_a_column_without_a_sentence_is_an_error(
    generate: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = {column: text for column, text in generate.COLUMNS["Network"].items() if column != "mtu"}
    monkeypatch.setitem(generate.COLUMNS, "Network", sentences)
    with pytest.raises(KeyError, match="columns of Network mtu"):
        generate.page("docs/northbound.md")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_architecture_names_modules_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    packages = "core|apps|runtime|openflow|host|northbound|manifest|server|ovsdb"
    packages += "|bridge|insight|agent|process|neutron|cli|lab"
    named = re.findall(rf"`((?:{packages})/[\w-]+\.\w+)`", text)
    assert named
    assert [path for path in named if not (ROOT / "src" / "trunkline" / path).exists()] == []


@pytest.mark.parametrize("page", ADRS, ids=_name)
def test_a_decision_has_its_number_its_three_parts_and_one_page(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= 60


def test_the_operators_page_has_every_chassis_setting() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    keys = {
        value
        for name, value in vars(settings).items()
        if name.isupper()
        and isinstance(value, str)
        and (value == "system-id" or value.startswith("trunkline-"))
    }
    assert set(re.findall(r"^\| `(system-id|trunkline-[\w-]+)` \|", text, re.MULTILINE)) == keys


PROGRAMS: dict[str, click.Command] = {"trunkline": trunkline, "trunkline-neutron": trunkline_neutron}


def _commands(page: Path) -> Iterator[list[str]]:
    """Yield the commands of *page* that are of `PROGRAMS`, in its blocks and in its text, as words."""
    text = page.read_text()
    scripts = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    scripts += [command.text for command in commands(text)]
    scripts += [
        found for found in commands_in_text(text) if found.partition(" ")[0] in PROGRAMS and " " in found
    ]
    for line in "\n".join(scripts).splitlines():
        for command in re.split(r"&&|;|\|", line):
            words = shlex.split(command, comments=True)
            if words and words[0] in PROGRAMS:
                is_cut_short = words[-1].startswith("--")  # as in "see `trunkline nb listen --role`"
                yield words + ["…"] * is_cut_short


@pytest.mark.parametrize("page", [page for page in PAGES if list(_commands(page))], ids=_name)
def test_every_command_shown_is_one_that_the_program_has(page: Path) -> None:
    for words in _commands(page):
        _parse(words)


def _parse(words: list[str]) -> None:
    """Raise what click raises if the program has no such command, or the command no such option."""
    command, words = PROGRAMS[words[0]], words[1:]
    context = click.Context(command)
    while True:
        _, words, _ = command.make_parser(context).parse_args(list(words))
        if not isinstance(command, click.Group) or not words or words[0] == "…":
            return
        inner = command.get_command(context, words[0])
        assert inner is not None, words
        command, words = inner, words[1:]
        context = click.Context(command, context)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_command_that_is_shown_elsewhere_is_on_its_page(name: str) -> None:
    shown = [command.text for command in commands((ROOT / name).read_text())]
    assert [start for start in ELSEWHERE[name] if not any(text.startswith(start) for text in shown)] == []


def test_the_quickstart_is_the_only_page_whose_blocks_are_run_as_a_script() -> None:
    assert [page.name for page in PAGES if "```sh\n" in page.read_text()] == ["quickstart.md"]


def test_scripts_docs_is_a_shell_script_without_errors() -> None:
    subprocess.run(["bash", "-n", str(ROOT / "scripts" / "docs")], check=True)


STANDS_FOR = {"Empty: yes.": True, "Empty: `forward`.": "forward", "Empty: `explicit`.": "explicit"}


def test_the_defaults_of_empty_columns_are_those_that_the_page_names(generate: ModuleType) -> None:
    named = {
        (table, name, value)
        for table, sentences in generate.COLUMNS.items()
        for name, sentence in sentences.items()
        for words, value in STANDS_FOR.items()
        if words in sentence
    }
    # Of `up`, nobody has to know that an empty value is one.
    known = {
        (table, name, value) for table, each in DEFAULTS.items() for name, value in each.items() if value
    }
    assert named == known
