"""The exit codes that every command shares: 2 for what nobody can mean, 1 for what cannot be done here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from trunkline.cli.main import main, trunkline

NOWHERE = "unix:/dev/null/nb.sock"

TYPED = {
    "nb start": "--remote punix:/dev/null/nb.sock --db /dev/null/nb.db",
    "nb stop": "--pidfile /dev/null/nb.pid",
    "nb status": "--db /dev/null/nb.db",
    "nb backup": "/dev/null/copy.db",
    "nb listen": "ptcp:6641:127.0.0.1",
    "nb unlisten": "ptcp:6641:127.0.0.1",
    "agent": "--ovs unix:/dev/null/db.sock",
    "network create": "blue --type flat --physical-network p",
    "network list": "",
    "network show": "blue",
    "network set": "blue --mtu 1500",
    "network delete": "blue",
    "port create": "vm1 --network blue --mac 02:00:00:00:00:01",
    "port list": "",
    "port show": "vm1",
    "port set": "vm1 --enable",
    "port delete": "vm1",
    "chassis list": "",
    "chassis show": "c1",
    "chassis state": "",
    "chassis delete": "c1",
    "chassis accept-nb": "--ovs unix:/dev/null/db.sock",
    "apply": "-f MANIFEST --yes",
    "export": "",
    "sync": "--wait",
    "status": "",
    "check": "",
    "plan": "--ovs unix:/dev/null/db.sock",
    "prove": "--ovs unix:/dev/null/db.sock",
    "flows": "--ovs unix:/dev/null/db.sock",
    "explain": "0x747202020000002a --ovs unix:/dev/null/db.sock",
    "trace": "--from vm1 --to vm2",
    "probe": "",
    "lab down": "--name no-such",
    "lab restart": "c1 --name no-such",
    "lab impair": "c1 --mtu 1400 --name no-such",
    "lab join": "101 102 --name no-such",
    "lab mend": "--name no-such",
}
"""What to type after each command that needs something that is not there."""

ALWAYS = {"completion", "lab up", "lab run", "lab list", "metrics"}
"""The commands that need nothing, or make what they need."""


def commands(group: click.Group, *before: str) -> Iterator[str]:
    """Yield every command that does something, as it is typed."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from commands(command, *before, name)
            else:
                yield " ".join((*before, name))


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have no northbound, and no Open vSwitch, where the commands look for them."""
    monkeypatch.chdir(tmp_path)
    Path("MANIFEST").write_text("{kind: Network, name: blue, network_type: flat, physical_network: p}")
    for name in [each for each in os.environ if each.startswith("TRUNKLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRUNKLINE_NB", NOWHERE)
    monkeypatch.setenv("OVS_RUNDIR", "/dev/null")


def typed(text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit code of the program, and what it complains of; it prints nothing else."""
    monkeypatch.setattr(sys, "argv", ["trunkline", *text.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert out == ""
    return int(ended.value.code or 0), err


def test_every_command_is_tried() -> None:
    assert {*commands(trunkline)} == TYPED.keys() | ALWAYS


@pytest.mark.parametrize("command", sorted(TYPED.keys() | ALWAYS))
def test_an_option_that_does_not_exist_is_a_usage_error(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = typed(f"{command} --no-such-option", monkeypatch, capsys)
    assert code == 2
    assert err.count("\n") == 1
    assert "--no-such-option" in err


@pytest.mark.parametrize("command", TYPED)
def test_what_a_command_needs_and_is_not_there_is_one_line_and_exit_code_1(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = typed(f"{command} {TYPED[command]}", monkeypatch, capsys)
    assert code == 1, err
    assert err.count("\n") == 1
    assert err.strip().isprintable()
