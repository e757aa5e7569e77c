"""The files of packaging/ hold together with the program that they start."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from importlib.metadata import distribution
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from trunkline.cli.main import NOUNS, trunkline
from trunkline.server.process import DEFAULT_DB, Server

PACKAGING = Path(__file__).parents[2] / "packaging"
AGENT, METRICS, NB = UNITS = sorted((PACKAGING / "systemd").glob("*.service"))


def unit(path: Path) -> ConfigParser:
    """Return a unit, of whose repeated keys the last is kept."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


def commands(path: Path) -> list[list[str]]:
    service = unit(path)["Service"]
    return [shlex.split(service[key]) for key in ("ExecStart", "ExecStop") if key in service]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_what_a_unit_starts_is_a_command_with_these_options(path: Path) -> None:
    for _, *words in commands(path):
        command: click.Command = trunkline
        context = click.Context(trunkline)
        while isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_writes_only_to_directories_of_its_own(path: Path) -> None:
    service = unit(path)["Service"]
    given = {"/run": "RuntimeDirectory", "/var/lib": "StateDirectory", "/var/log": "LogsDirectory"}
    places = {f"{root}/{service[key]}" for root, key in given.items() if key in service}
    for _, *words in commands(path):
        for word in words:
            if word.startswith("/"):
                assert str(Path(word).parent) in places


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_finds_the_program_in_usr_local_as_in_usr(path: Path) -> None:
    assert {program for program, *_ in commands(path)} == {"trunkline"}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_that_fails_is_started_again_however_often(path: Path) -> None:
    parser = unit(path)
    assert parser["Service"]["Restart"] == "on-failure"
    assert parser["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_commands_that_an_operator_gives_find_the_server_of_the_unit() -> None:
    service = unit(NB)["Service"]
    server = Server.of(DEFAULT_DB)
    assert service["PIDFile"] == str(server.pidfile)
    for words in commands(NB):
        assert words[words.index("--db") + 1] == str(server.db)
        assert "--pidfile" not in words


def test_the_log_rotation_reaches_the_control_sockets_of_the_units() -> None:
    (agent,) = commands(AGENT)
    (nb, _) = commands(NB)
    for words, control in ((agent, agent[agent.index("--unixctl") + 1]), (nb, Server.of(DEFAULT_DB).control)):
        rotation = (PACKAGING / "logrotate" / f"trunkline-{words[1]}").read_text()
        assert rotation.startswith(words[words.index("--log-file") + 1])
        assert rotation.count(str(control)) == 2


def test_the_wheel_brings_the_completion_of_each_shell_to_where_the_shell_looks() -> None:
    """As bash-completion, zshmisc(1) and fish (`vendor_completions.d`) look below the `share` of a prefix."""
    project = tomllib.loads((PACKAGING.parent / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {str(PACKAGING.parent / source) for source in shared} == set(
        map(str, (PACKAGING / "completion").iterdir())
    )
    assert sorted(shared.values()) == [
        "share/bash-completion/completions/trunkline",
        "share/fish/vendor_completions.d/trunkline.fish",
        "share/zsh/site-functions/_trunkline",
    ]


def test_each_library_that_the_package_brings_has_its_licence_there() -> None:
    """All that the program needs, directly or not, is in the package, but for Debian's own PyYAML."""
    names, to_read = set(), ["trunkline"]
    while to_read:
        for text in distribution(to_read.pop()).requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names.add(canonicalize_name(requirement.name))
                to_read.append(requirement.name)
    licences = (PACKAGING / "debian" / "copyright").read_text()
    brought = {f"lib/{name.replace('-', '_')}/*" for name in names - {"pyyaml"}}
    assert {
        line.removeprefix("Files: ") for line in licences.splitlines() if line.startswith("Files: lib")
    } == (brought)
    assert "python3-yaml (>= 6.0)" in (PACKAGING / "debian" / "control").read_text()


def test_there_is_a_manual_page_for_each_command_and_it_has_each_option(tmp_path: Path) -> None:
    manual = [sys.executable, "-B", "docs/manual.py", str(tmp_path)]
    subprocess.run(manual, cwd=PACKAGING.parent, check=True)
    assert {page.name for page in tmp_path.iterdir()} == {
        *("trunkline.1", "trunkline-neutron.1"),
        *(f"trunkline-{noun}.1" for noun in NOUNS),
    }
    for noun in NOUNS:
        page = (tmp_path / f"trunkline-{noun}.1").read_text().replace("\\-", "-")
        command = trunkline.get_command(click.Context(trunkline), noun)
        assert command is not None
        verbs = command.commands.values() if isinstance(command, click.Group) else [command]
        for verb in verbs:
            for option in (
                each for each in verb.params if isinstance(each, click.Option) and not each.hidden
            ):
                assert option.opts[-1] in page, f"{noun} {verb.name} {option.opts[-1]}"


def test_the_container_has_the_package_of_the_program_and_starts_that() -> None:
    recipe = (PACKAGING / "container" / "Containerfile").read_text()
    (source,) = (line.split()[1] for line in recipe.splitlines() if line.startswith("COPY"))
    name = source.removeprefix("dist/").partition("_")[0]
    assert f"Package: {name}\n" in (PACKAGING / "debian" / "control").read_text()
    programs = {
        line.split()[1] for line in (PACKAGING / "debian" / f"{name}.install").read_text().splitlines()
    }
    assert 'ENTRYPOINT ["/usr/bin/trunkline"]' in recipe
    assert "usr/bin" in programs
