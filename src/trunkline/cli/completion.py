"""`trunkline completion`: what makes a shell complete the commands, options and names of this program.

At each tab, the shell runs the program with `COMPLETE` in the environment, as click has it. That must be
quick, and silent whatever happens: a person is in the middle of a line.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    shell_complete,
    split_arg_string,
)

from trunkline.cli.option import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Sequence

_BASH = """\
# bash completion for %(prog_name)s (bash 4.4 or later)
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_FISH = """\
# fish completion for %(prog_name)s
function %(complete_func)s
    set -l words (commandline -cp)
    set -l begun (commandline -t)
    set -lx %(complete_var)s fish_complete
    for completion in (env COMP_WORDS="$words" COMP_CWORD="$begun" %(prog_name)s)
        set -l parts (string split -m 1 "," -- $completion)
        switch $parts[1]
            case plain
                printf "%%s\\n" $parts[2]
            case file
                __fish_complete_path $parts[2]
            case dir
                __fish_complete_directories $parts[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


def _whole(items: Sequence[CompletionItem], text: str) -> list[CompletionItem]:
    """Return *items* as whole words of the line; *text* may be `--option=` and the beginning of a value.

    Click completes the value alone.
    """
    option, equals, _ = text.partition("=")
    if not equals or not option.startswith("-"):
        return list(items)
    return [
        CompletionItem(f"{option}={item.value}", item.type, item.help) if item.type == "plain" else item
        for item in items
    ]


class Bash(BashComplete):
    """Completion for bash, with words as the program gets them.

    Bash also ends words at colons and equal signs, and replaces only what follows the last of these.
    """

    source_template = _BASH

    def source(self) -> str:
        """Return the script; bash need not be on the machine that it is made on."""
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one that is begun there."""
        # Behind a blank, or in quotes, the letter tells whether the last word goes on.
        words = split_arg_string(os.environ["COMP_WORDS"] + "x")
        return words[1:-1], words[-1][:-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the completions, without what bash takes for earlier words."""
        items = _whole(super().get_completions(args, incomplete), incomplete)
        kept = max((incomplete.rfind(char) for char in os.environ["COMP_BREAKS"] if char in ":="), default=-1)
        return [CompletionItem(item.value[kept + 1 :], item.type) for item in items]


class Zsh(ZshComplete):
    """Completion for zsh, which replaces the whole word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the completions as whole words."""
        return _whole(super().get_completions(args, incomplete), incomplete)


class Fish(FishComplete):
    """Completion for fish, which replaces the whole word.

    Click's own script cuts a completion at its first comma.
    """

    source_template = _FISH

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the completions as whole words."""
        return _whole(super().get_completions(args, incomplete), incomplete)


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def answer(program: click.Command) -> int:
    """Print what a shell asks for by `COMPLETE`, and return the exit code; nothing is said of an error."""
    for shell, class_ in SHELLS.items():
        add_completion_class(class_, shell)
    try:
        return shell_complete(program, {}, program.name or "", COMPLETE, os.environ[COMPLETE])
    except (Exception, KeyboardInterrupt):
        if os.environ.get("TRUNKLINE_DEBUG"):
            raise
        return 1


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete the commands, options and names of this program.

    Networks, ports and chassis are completed, too: by the northbound that the line names, else by
    $TRUNKLINE_NB. If it does not answer within 2 s, no names are completed.

    Packages install these scripts. For this shell alone: source <(trunkline completion bash).

    \b
    Examples:
      trunkline completion bash > /etc/bash_completion.d/trunkline
      trunkline completion zsh > /usr/local/share/zsh/site-functions/_trunkline
      trunkline completion fish > /etc/fish/completions/trunkline.fish
    """
    program: Any = ctx.find_root()
    click.echo(SHELLS[shell](program.command, {}, program.info_name, COMPLETE).source(), nl=False)
