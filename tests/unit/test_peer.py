"""Whose database an error speaks of, if nobody listens where it should be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from model.tcp_port import free_port
from trunkline.core.error import TrunklineError
from trunkline.health import own_agent
from trunkline.insight import chassis
from trunkline.insight.controller import controllers
from trunkline.insight.interception import interceptions
from trunkline.insight.waiting import finished
from trunkline.northbound.client import Northbound
from trunkline.ovsdb.acceptance import forget_northbound
from trunkline.ovsdb.restore_wait import take_away

ASKING_A_SWITCH: dict[str, Callable[[str], Any]] = {
    "chassis": chassis.read,
    "agent": own_agent.runs,
    "controllers": lambda remote: controllers(remote, {"some"}),
    "interceptions": lambda remote: finished(interceptions(remote)),
    "northbound": forget_northbound,
    "wait": lambda remote: take_away(remote, 5),
}


@pytest.mark.parametrize("asking", ASKING_A_SWITCH)
def test_who_asks_a_switch_that_is_not_there_hears_of_the_switch(asking: str) -> None:
    with pytest.raises(TrunklineError) as raised:
        ASKING_A_SWITCH[asking](f"tcp:127.0.0.1:{free_port()}")
    assert str(raised.value).endswith(
        "nobody listens there; start Open vSwitch there, or say where its database is (`ovs_remote`)"
    )


def test_who_asks_a_northbound_that_is_not_there_hears_of_the_northbound() -> None:
    with pytest.raises(TrunklineError, match=r"is the northbound running .*, or is it elsewhere"):
        Northbound.connect(f"tcp:127.0.0.1:{free_port()}")


@pytest.mark.parametrize("words", ["prove", "flows", "plan", "check --local", "chassis accept-nb"])
def test_a_command_names_its_option_for_the_switch(words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trunkline", *words.split(), "--ovs", f"tcp:127.0.0.1:{free_port()}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "start Open vSwitch there, or say where its database is (--ovs)" in done.stdout + done.stderr
