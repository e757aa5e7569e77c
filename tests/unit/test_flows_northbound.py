"""Which northbound `trunkline flows` takes names from, and what it makes of one that cannot be."""

from __future__ import annotations

import click
import pytest

from trunkline.cli.flows import inquiry, names_northbound
from trunkline.cli.main import trunkline
from trunkline.cli.option import Connection
from trunkline.core.error import InvalidValueError
from trunkline.insight.chassis import Chassis
from trunkline.northbound.rpc import UnreachableError


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
