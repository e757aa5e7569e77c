"""An empty value, such as that of an unset variable of a shell, is refused, and not taken for none."""

from __future__ import annotations

import click
import pytest

from trunkline.cli.main import trunkline
from trunkline.cli.neutron import trunkline_neutron

CLEARED = {
    (table, verb, option.name)
    for table in ("network", "port")
    for verb in ("create", "set")
    for option in trunkline.get_command(click.Context(trunkline), table).commands[verb].params  # type: ignore[union-attr]
    if isinstance(option, click.Option)
}
"""What '' clears with `set`; with `create`, `refuse_empty` refuses it."""

MEANT = {("nb", "listen", "role")}
"""Where '' has a meaning of its own."""


def paths(group: click.Group, *before: str) -> list[tuple[tuple[str, ...], click.Command]]:
    """Return the commands below *group*, each with its words."""
    context, found = click.Context(group), []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += (
            paths(command, *before, name)
            if isinstance(command, click.Group)
            else [((*before, name), command)]
        )
    return found


PARAMETERS = [
    pytest.param(command, parameter, id=" ".join((*words, str(parameter.name))))
    for words, command in [*paths(trunkline), *paths(trunkline_neutron), ((), trunkline)]
    for parameter in command.params
    if (*words, parameter.name) not in CLEARED | MEANT and not getattr(parameter, "is_flag", False)
]


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS)
def test_an_empty_value_is_refused(command: click.Command, parameter: click.Parameter) -> None:
    with pytest.raises(click.BadParameter):
        parameter.type.convert("", parameter, click.Context(command))
