"""The files of packaging/ hold together with the program that they start."""

from __future__ import annotations

import shlex
import tomllib
from configparser import ConfigParser
from pathlib import Path

import click
import pytest

from trunkline.cli.main import trunkline
from trunkline.server.process import DEFAULT_DB, Server

PACKAGING = Path(__file__).parents[2] / "packaging"
AGENT, NB = UNITS = sorted((PACKAGING / "systemd").glob("*.service"))


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
    rotation = (PACKAGING / "logrotate" / "trunkline").read_text()
    (agent,) = commands(AGENT)
    assert agent[agent.index("--unixctl") + 1] in rotation
    assert str(Server.of(DEFAULT_DB).control) in rotation


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
