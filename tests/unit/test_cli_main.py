"""The program itself: what it imports, and how errors leave it."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from trunkline.cli.agent import agent
from trunkline.cli.main import NOUNS, trunkline
from trunkline.cli.nb import listen
from trunkline.northbound.access import ROLES
from trunkline.ovsdb.settings import KEYS

NOWHERE = ("--nb", "unix:/nonexistent/nb.sock")


def run(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "trunkline", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_version_is_told_without_importing_what_it_does_not_need() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--version']\n"
        "from trunkline.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*{'ovs', 'yaml', 'tabulate', 'os_ken', 'ssl', 'trunkline.ovsdb'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    version, imported = done.stdout.split("\n")[:2]
    assert version.startswith("trunkline ")
    assert imported == ""


@pytest.mark.parametrize(
    ("module", "code"), [("click", -signal.SIGINT), ("trunkline.cli.network", 128 + signal.SIGINT)]
)
def test_an_interrupt_while_the_program_is_loaded_ends_it_without_a_traceback(module: str, code: int) -> None:
    """Be it before the command is known or after: the interrupt comes just as *module* is imported."""
    text = (
        "import os, signal, sys; sys.argv[1:] = ['network', 'list']\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        return os.kill(os.getpid(), signal.SIGINT) if name == {module!r} else None\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from trunkline.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        ["env", "--default-signal=INT", sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (code, "")


def test_a_misspelt_command_is_told_with_the_one_that_was_meant() -> None:
    code, _, said = run("statsu")
    assert (code, said) == (
        2,
        "trunkline: No such command 'statsu'; did you mean status? (see `trunkline --help`)\n",
    )
    code, _, said = run("port", "lits")
    assert (code, said) == (
        2,
        "trunkline port: No such command 'lits'; did you mean list? (see `trunkline port --help`)\n",
    )


def test_the_program_of_neutron_is_interrupted_without_a_traceback_too() -> None:
    text = (
        "import os, signal, sys; sys.argv[1:] = ['sync']\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        return os.kill(os.getpid(), signal.SIGINT) if name == 'click' else None\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from trunkline.__main__ import neutron\n"
        "neutron()\n"
    )
    command = ["env", "--default-signal=INT", sys.executable, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.strip()) == (-signal.SIGINT, "")


def test_help_lists_every_command_and_needs_none_of_them() -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"\n  {noun} " in out for noun in NOUNS)


def test_the_line_of_a_noun_names_all_its_verbs() -> None:
    for name, noun in NOUNS.items():
        command = trunkline.get_command(click.Context(trunkline), name)
        if isinstance(command, click.Group):
            _, colon, verbs = noun.help.rstrip(".").rpartition(": ")
            assert colon
            assert set(verbs.split(", ")) == set(command.commands), name


def leaves(
    command: click.Command = trunkline, words: tuple[str, ...] = ("trunkline",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield the commands that do something, with the words that call them."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, (*words, name))


LEAVES = dict(leaves())


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_the_help_of_each_command_ends_in_examples_that_it_understands(
    words: tuple[str, ...],
) -> None:
    """`tests/system/test_pages.py` types them. What an example is for comes after two spaces."""
    command = LEAVES[words]
    _, heading, block = inspect.cleandoc(command.help or "").partition("\b\nExamples:\n")
    assert heading
    above = click.Context(trunkline, **trunkline.context_settings)
    for line in block.splitlines():
        example, _, _ = line.removeprefix("  ").partition("  ")
        typed = shlex.split(re.split(r" [|>]", example)[0])
        assert tuple(typed[: len(words)]) == words
        command.make_context(words[-1], typed[len(words) :], parent=above)


def test_the_help_of_a_listener_names_every_role_and_what_it_may_do() -> None:
    (option,) = (each for each in listen.params if each.name == "role")
    assert isinstance(option, click.Option)
    assert all(role in (option.help or "") for role in ROLES)
    assert all(re.search(rf"{role}\s(may|is)", listen.help or "") for role in ROLES)


def test_the_help_of_the_agent_names_every_setting() -> None:
    assert all(re.search(rf"{key}\b", agent.help or "") for key in KEYS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("frob",),
        ("network", "create", "web", "--type", "vlan"),
        ("network", "create", "web", "--type", "gre", "--physical-network", "p"),
        ("network", "create", "web", "--type", "vlan", "--physical-network", "p", "--segment", "0"),
        ("network", "create", "web", "--type", "vlan", "--physical-network", "p", "--segment", "4095"),
        ("network", "create", "web", "--type", "vlan", "--physical-network", "p"),
        ("network", "create", "web", "--type", "flat", "--physical-network", "p", "--segment", "5"),
        ("network", "create", "web", "--type", "flat", "--physical-network", "p", "--mtu", "x"),
        ("network", "delete"),
        ("port", "create", "web1", "--network", "web", "--mac", "zz"),
        ("port", "create", "web1", "--network", "web", "--mac", "01:00:5e:00:00:01"),
        ("port", "create", "web1", "--network", "web", "--mac", "02:00:00:00:00:01", "--ip", "10.0.0.300"),
        (
            "port",
            "create",
            "web1",
            "--network",
            "web",
            "--mac",
            "02:00:00:00:00:01",
            "--allowed-address",
            "x",
        ),
        ("port", "create", "web1", "--network", "web", "--mac", "02:00:00:00:00:01", "--unknown-macs"),
        ("port", "create", "we\x1bb", "--network", "web", "--mac", "02:00:00:00:00:01"),
        ("port", "list", "-o", "xml"),
        ("sync", "--timeout", "-1"),
        ("sync", "--wait", "--timeout", "nan"),
        ("sync", "--wait", "--timeout", "-nan"),
        ("sync", "--wait", "--timeout", "inf"),
        ("sync", "--wait", "--timeout", "1e300"),
        ("network", "list", "--nb", "bogus"),
        ("network", "list", "--nb", "tcp:192.0.2.1:99999"),
        ("nb", "start", "--remote", "unix:/x"),
        ("nb", "start", "--cluster-remote", "tcp:192.0.2.1:6643"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2_before_any_database_is_asked(
    arguments: tuple[str, ...],
) -> None:
    code, out, err = run(*NOWHERE, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.strip().isprintable()


def test_a_noun_alone_tells_its_verbs() -> None:
    code, _, err = run("network")
    assert code == 2
    assert "create" in err


def test_a_socket_that_does_not_exist_is_said_so_with_exit_code_1() -> None:
    assert run(*NOWHERE, "network", "list") == (
        1,
        "",
        "trunkline: unix:/nonexistent/nb.sock: nobody listens there; is the northbound running "
        "(`trunkline nb start`), or is it elsewhere (--nb)?\n",
    )


def test_the_northbound_may_be_named_at_the_verb_too() -> None:
    assert run("network", "list", *NOWHERE) == run(*NOWHERE, "network", "list")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    done = subprocess.run(
        f"{sys.executable} -m trunkline --help | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def defect(debug: str) -> tuple[int, str]:
    """Return what comes of an error that nobody raised on purpose, in a command."""
    code = (
        "import sys; sys.argv[1:] = ['status']\n"
        "from trunkline.cli import main\n"
        "def status(): {}['no\\x1b such']\n"
        "main.trunkline.get_command = lambda ctx, name: main.click.Command('status', callback=status)\n"
        "main.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=os.environ | {"TRUNKLINE_DEBUG": debug},
    )
    return done.returncode, done.stderr


def test_a_defect_is_one_line_with_what_and_where() -> None:
    assert defect("") == (
        1,
        "trunkline: this is a defect of the program: KeyError('no\\x1b such') (<string>:3); "
        "please report it, with what TRUNKLINE_DEBUG=1 in the environment shows\n",
    )


def test_a_developer_sees_the_traceback_of_a_defect() -> None:
    code, err = defect("1")
    assert code == 1
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.rstrip().endswith("KeyError: 'no\\x1b such'")


def test_output_that_cannot_be_written_is_said_so() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trunkline", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "trunkline: No space left on device\n")


def test_the_choices_of_an_option_that_is_missing_stand_in_one_line() -> None:
    assert run(*NOWHERE, "network", "create", "web")[2] == (
        "trunkline network create: Missing option '--type'. Choose from: vlan, flat "
        "(see `trunkline network create --help`)\n"
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("lab up -f /nonexistent/x.yaml", 2),
        ("apply --yes -f /nonexistent/x.yaml", 2),
        ("nb backup /nonexistent/copy", 1),
    ],
)
def test_a_file_that_is_not_there_is_said_so_without_the_systems_number(command: str, code: int) -> None:
    """A file that says what should be is part of the question, and so its fault is one of usage."""
    done, out, err = run(*NOWHERE, *command.split())
    assert (done, out) == (code, "")
    assert "Errno" not in err
    assert err.splitlines()[1:] in ([], ["nothing was applied"])


@pytest.mark.parametrize("command", ["lab up -f", "lab run -f", "apply --yes -f"])
@pytest.mark.parametrize("text", ["[", "frob: 1", "\xff"], ids=["not YAML", "another form", "not UTF-8"])
def test_a_file_that_is_wrong_is_a_usage_error_whatever_it_is_of(
    tmp_path: Path, command: str, text: str
) -> None:
    (tmp_path / "x.yaml").write_bytes(text.encode("latin-1"))
    code, out, err = run(*NOWHERE, *command.split(), str(tmp_path / "x.yaml"))
    assert (code, out) == (2, "")
    assert f"{tmp_path}/x.yaml" in err


def test_the_switch_is_looked_for_where_a_distribution_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ovs package of PyPI looks below /usr/local, which tells a new operator nothing."""
    from trunkline.host.rundir import RUNDIR
    from trunkline.process.daemon import Options

    monkeypatch.delenv("OVS_RUNDIR", raising=False)
    monkeypatch.setattr("os.path.isdir", lambda _: False)
    assert Options().remote == f"unix:{RUNDIR}/db.sock"
