"""A shell completes commands, options, choices and names; the shells here are real ones."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prompt import ALL, Prompt

from trunkline.northbound.client import NetworkSpec, Northbound, PortSpec
from trunkline.northbound.operation import insert

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system

PORTS = ("vm1", "vm2", "vx", "web:1", "$(touch ran)", "a;b", "-n", "two words")
"""What the ports are called. The last four cannot stand on a command line as they are."""

LINES = {
    "trunkline net": "trunkline network ",
    "trunkline port sh": "trunkline port show ",
    "trunkline port create x --no-port": "trunkline port create x --no-port-security ",
    "trunkline network set blue --unknown-unicast f": "trunkline network set blue --unknown-unicast forward ",
    "trunkline network show b": "trunkline network show blue ",
    "trunkline port list --network b": "trunkline port list --network blue ",
    "trunkline port list --network=b": "trunkline port list --network=blue ",
    "trunkline network create x --physical-network p": "trunkline network create x --physical-network phys ",
    "trunkline port list --columns name,addr": "trunkline port list --columns name,addresses ",
    "trunkline port list -o c": "trunkline port list -o csv ",
    "trunkline port show vx": "trunkline port show vx ",
    "trunkline trace --from vx --to we": "trunkline trace --from vx --to web:1 ",
    "trunkline port show we": "trunkline port show web:1 ",
    "trunkline port show web:": "trunkline port show web:1 ",
    "trunkline port delete vm1 v": "trunkline port delete vm1 v",
    "trunkline port delete vm1 vm": "trunkline port delete vm1 vm2 ",
    "trunkline port set vm1 --requested-chassis c": "trunkline port set vm1 --requested-chassis c1 ",
    "trunkline port set vm1 --requested-chassis c1,d": "trunkline port set vm1 --requested-chassis c1,d2 ",
    "trunkline port create x --mac 02:00:00:00:00:09 --parent vm1 --network b": (
        "trunkline port create x --mac 02:00:00:00:00:09 --parent vm1 --network blue "
    ),
    "trunkline chassis delete d": "trunkline chassis delete d2 ",
    "trunkline flows --table l2": "trunkline flows --table l2_lookup ",
    "trunkline apply -f bl": "trunkline apply -f blue.yaml ",
    "trunkline export --set s": "trunkline export --set site ",
    "trunkline port show nothing": "trunkline port show nothing",
    "trunkline port bogus --wrong ": "trunkline port bogus --wrong ",
    "trunkline network show '": "trunkline network show 'blue' ",
}
"""What is on the line after a tab, by what was before it."""


@pytest.fixture
def remote(nb: Served) -> Iterator[str]:
    with Northbound.connect(nb.remote) as northbound:
        ports = [
            PortSpec(
                name=name,
                network="blue",
                mac=f"02:00:00:00:00:0{number}",
                external_ids={"trunkline-set": "site"} if number else {},
            )
            for number, name in enumerate(PORTS)
        ]
        northbound.create([NetworkSpec(name="blue", network_type="flat", physical_network="phys")], ports)
        northbound.transact([insert("Chassis", {"name": name}) for name in ("c1", "d2")])
        yield nb.remote


def tried(wanted: str | list[str], once: Callable[[], str | list[str]]) -> str | list[str]:
    """Return what *once* returns, tried again if it is not *wanted*.

    On a busy machine the northbound may take longer than a person at a prompt is made to wait.
    """
    for _ in range(4):
        if (found := once()) == wanted:
            return found
    return once()


def need(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_tab_completes_the_line(remote: str, tmp_path: Path, shell: str) -> None:
    need(shell)
    (tmp_path / "blue.yaml").touch()
    with Prompt(shell, tmp_path, {"TRUNKLINE_NB": remote}) as prompt:
        found = {before: tried(after, partial(prompt.line, f"{before}\t")) for before, after in LINES.items()}
    assert found == LINES
    assert not (tmp_path / "ran").exists()


def offered(remote: str, home: Path, line: str) -> list[str]:
    """Return the words that fish offers at the end of *line*."""
    done = subprocess.run(
        ["fish", "--no-config", "-c", f'trunkline completion fish | source; complete -C "{line}"'],
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "TRUNKLINE_NB": remote,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return [each.split("\t")[0] for each in done.stdout.splitlines()]


def test_fish_is_offered_what_completes_the_line(remote: str, tmp_path: Path) -> None:
    need("fish")
    for before, after in LINES.items():
        if "apply" in before or "'" in before or before.endswith(" "):
            continue  # it is offered files, or several words
        words = [] if after == before else [after.split()[-1]]
        if before.endswith(" v"):
            words = ["vm2", "vx"]
        assert tried(words, partial(offered, remote, tmp_path, before)) == words, before


def test_only_names_that_a_shell_takes_as_they_are_are_completed(remote: str, tmp_path: Path) -> None:
    lines = {
        "trunkline port show ": "trunkline port show vm1 vm2 vx web:1 ",
        "trunkline port delete vx ": "trunkline port delete vx vm1 vm2 web:1 ",
    }
    with Prompt("bash", tmp_path, {"TRUNKLINE_NB": remote}) as prompt:
        for before, after in lines.items():
            assert tried(after, partial(prompt.line, f"{before}{ALL}")) == after


@pytest.mark.parametrize("option", ["trunkline --nb {} port show vx", "trunkline port show --nb {} vx"])
def test_names_are_those_of_the_northbound_on_the_line(remote: str, tmp_path: Path, option: str) -> None:
    line = option.format(remote)
    with Prompt("bash", tmp_path, {"TRUNKLINE_NB": "unix:/nonexistent"}) as prompt:
        assert tried(f"{line} ", partial(prompt.line, f"{line}\t")) == f"{line} "


def completed(remote: str, words: str) -> tuple[str, str]:
    """Return what the program prints for bash, on standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "trunkline"],
        env={**os.environ, "_TRUNKLINE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_BREAKS": ":="}
        | {"TRUNKLINE_NB": remote},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip(), done.stderr


def test_a_northbound_that_is_away_or_does_not_answer_is_not_spoken_of(remote: str, tmp_path: Path) -> None:
    assert tried("plain,vx", lambda: completed(remote, "trunkline port show vx")[0]) == "plain,vx"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen()
        for away in (f"unix:{tmp_path}/deaf", "unix:/nonexistent", "ssl:192.0.2.1:6641", "nonsense"):
            assert completed(away, "trunkline port show v") == ("", "")


def test_completing_a_name_imports_what_it_needs_alone() -> None:
    code = (
        "import os, sys; sys.argv[0] = 'trunkline'\n"
        "from trunkline.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*{'ovs', 'yaml', 'tabulate', 'trunkline.ovsdb', 'trunkline.cli.apply'} & set(sys.modules))"
    )
    for words in ("trunkline a", "trunkline port show v"):
        environment = {"_TRUNKLINE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_BREAKS": ":="}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "TRUNKLINE_NB": "unix:/nonexistent", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "", words
