"""Which chassis a command asks, and which northbound it takes names from, if that is one."""

from __future__ import annotations

import click
import pytest
from test_cli_empty import paths

from trunkline.cli.main import trunkline
from trunkline.cli.option import Connection
from trunkline.cli.place import inquiry, names_northbound
from trunkline.core.error import InvalidValueError
from trunkline.insight.chassis import Chassis, read
from trunkline.northbound.rpc import UnreachableError
from trunkline.process.daemon import require_socket

PLACED = [
    pytest.param(command, id=" ".join(words))
    for words, command in paths(trunkline)
    if any("--ovs" in parameter.opts for parameter in command.params)
]
"""The commands with `--ovs`."""


def context(nb: str | None) -> click.Context:
    return click.Context(trunkline, obj=Connection(nb))


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUNKLINE_NB", raising=False)


def test_a_setting_of_the_chassis_that_is_no_remote_leaves_names_to_the_vifs() -> None:
    with pytest.raises(UnreachableError, match="nonsense"):
        names_northbound(context(None), Chassis("unix:/db.sock", nb_remotes="nonsense"))


def test_a_remote_that_was_given_and_is_none_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="wrong"):
        names_northbound(context("wrong"), Chassis("unix:/db.sock", nb_remotes="unix:/nowhere"))


def test_the_northbound_of_the_chassis_is_asked_unless_another_one_is_given() -> None:
    for nb, asked in ((None, "/chassis"), ("unix:/given", "/given")):
        with pytest.raises(UnreachableError, match=asked):
            names_northbound(context(nb), Chassis("unix:/db.sock", nb_remotes="unix:/chassis"))


def test_no_question_is_put_to_a_database_that_is_not_there() -> None:
    with pytest.raises(InvalidValueError, match="write unix:PATH"):
        inquiry(context(None), "nowhere", None)


@pytest.mark.parametrize("command", PLACED)
@pytest.mark.parametrize(
    ("remote", "why"),
    [
        ("nonsense", "'nonsense' is not a remote; write unix:PATH or tcp:HOST:PORT"),
        ("tcp:192.0.2.1", "'tcp:192.0.2.1' is not a remote; write unix:PATH or tcp:HOST:PORT"),
        ("ssl:192.0.2.1:6640", "the chassis' own database names the files for ssl:"),
        ("unix:", "'unix:' is not a remote"),
    ],
)
def test_what_is_no_remote_of_a_chassis_is_refused_by_each_command(
    command: click.Command, remote: str, why: str
) -> None:
    [option] = [each for each in command.params if "--ovs" in each.opts]
    with pytest.raises(click.BadParameter) as refused:
        option.type.convert(remote, option, click.Context(command))
    assert refused.value.message.startswith(why)


@pytest.mark.parametrize("remote", ["nonsense", "ssl:192.0.2.1:6640"])
def test_what_is_no_remote_of_a_chassis_is_refused_to_programs_too(remote: str) -> None:
    with pytest.raises(InvalidValueError, match="write unix:PATH or tcp:HOST:PORT"):
        read(remote)
    with pytest.raises(InvalidValueError, match="write unix:PATH or tcp:HOST:PORT"):
        require_socket(remote)
