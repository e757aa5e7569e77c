"""What texts call by a column, a person at the command line reads as an option."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from trunkline.cli.column import ARGUMENTS, OF_NEUTRON, OPTIONS, in_options
from trunkline.cli.main import trunkline
from trunkline.cli.neutron import trunkline_neutron
from trunkline.northbound.schema import columns


def commands(command: click.Command, context: click.Context) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, context)


ALL = list(commands(trunkline, click.Context(trunkline)))


def spelt(parameter: click.Parameter) -> str:
    return "/".join(each for each in (*parameter.opts, *parameter.secondary_opts) if each.startswith("--"))


@pytest.mark.parametrize("word", OPTIONS)
def test_each_word_is_what_a_command_calls_the_value_of_its_option(word: str) -> None:
    """A key of `options` is called by its own name there."""
    called = word.rpartition(":")[2].replace("-", "_")
    assert OPTIONS[word] in {spelt(each) for command in ALL for each in command.params if each.name == called}


@pytest.mark.parametrize("table", ["Network", "Port"])
def test_each_column_that_an_option_writes_is_known(table: str) -> None:
    group = trunkline.get_command(click.Context(trunkline), table.lower())
    assert isinstance(group, click.Group)
    written = {each.name for verb in ("create", "set") for each in group.commands[verb].params}
    assert (written & set(columns(table))) - {"name"} <= OPTIONS.keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("give `segmentation_id` 1–4094", "give --segment 1–4094"),
        ("use `network_type=vlan` (`mtu`)", "use --type vlan (--mtu)"),
        ("`port_security` or `port_security=true`", "--port-security or --port-security"),
        ("add `port_security=false`", "add --no-port-security"),
        ("use `enabled=false`", "use --disable"),
        ("use `options:allow-duplicate-ip=true`", "use --allow-duplicate-ip"),
        ("use `options:announce=false`", "use --option announce=false"),
        ("nb.db cannot be both `db` and `listeners` nb.db", "nb.db cannot be both --db and --remote nb.db"),
        ("see `trunkline network list`, or use `set`", "see `trunkline network list`, or use `set`"),
        ("no port is called '`mtu`'", "no port is called '`mtu`'"),
    ],
)
def test_a_text_reads_in_options(text: str, said: str) -> None:
    assert in_options(text) == said


def test_in_a_text_about_a_file_only_columns_keep_their_names() -> None:
    """What a file says is of networks and ports; all else is an option there too."""
    in_files = set(columns("Network")) | set(columns("Port"))
    assert {word for word in OPTIONS if word.partition(":")[0] not in in_files} == ARGUMENTS.keys()
    said = "give `parent_vlan`, or use another connection (--nb)"
    assert in_options("give `parent_vlan`, or use another connection (`remotes`)", ARGUMENTS) == said


def test_the_program_for_neutron_names_its_own_options_and_the_settings_of_neutron() -> None:
    page = (Path(__file__).parents[2] / "docs" / "neutron.md").read_text()
    options = {
        each for command in trunkline_neutron.commands.values() for p in command.params for each in p.opts
    }
    for said in OF_NEUTRON.values():
        setting, _, section = said.partition(" of ")
        assert said in options or (section == "[trunkline]" and f"| `{setting}` |" in page)
    text = "say with `chassis` which it will be, or use another (`remotes`); pick another `segmentation_id`"
    assert in_options(text, OF_NEUTRON) == (
        "say with --chassis which it will be, or use another (nb_connection of [trunkline]); "
        "pick another `segmentation_id`"
    )


def test_a_text_in_options_has_nothing_left_to_say_otherwise() -> None:
    for word in OPTIONS:
        for text in (f"`{word}`", f"`{word}=true`", f"`{word}=false`"):
            assert "`" not in in_options(text)
