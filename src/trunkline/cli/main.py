"""The program `trunkline`: its commands, by noun, and how their errors are shown.

A command's module is imported when the command is used, so that `trunkline --version` imports little.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import re
import signal
import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from trunkline import __version__
from trunkline.cli.name import files
from trunkline.cli.option import COMPLETE, NOT_EMPTY, Connection
from trunkline.core.error import InvalidValueError, TimedOutError, TrunklineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from click.shell_completion import CompletionItem

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_TIMED_OUT = 3
EXIT_NO = 4
"""A question was answered, and the answer is no."""
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


DEBUG = "TRUNKLINE_DEBUG"
"""The environment variable that has a traceback printed for an error that is a defect of the program."""


class Noun(NamedTuple):
    """Where a command is (*module*, *attribute*), and its line in `trunkline --help`."""

    module: str
    attribute: str
    help: str


NOUNS = {
    "nb": Noun(
        "trunkline.cli.nb", "nb", "The northbound database: start, stop, status, backup, listen, unlisten."
    ),
    "agent": Noun("trunkline.cli.agent", "agent", "The daemon of a chassis."),
    "network": Noun("trunkline.cli.network", "network", "Networks: create, list, show, set, delete."),
    "port": Noun("trunkline.cli.port", "port", "Ports: create, list, show, set, delete."),
    "chassis": Noun("trunkline.cli.chassis", "chassis", "Chassis: list, show, state, delete, accept-nb."),
    "apply": Noun("trunkline.cli.apply", "apply", "Make networks and ports what files say."),
    "export": Noun("trunkline.cli.apply", "export", "Print networks and ports as such files."),
    "sync": Noun("trunkline.cli.sync", "sync", "Wait until every chassis has applied what is committed."),
    "status": Noun("trunkline.cli.status", "status", "Chassis, networks, ports and faults at a glance."),
    "check": Noun(
        "trunkline.cli.check", "check", "What is wrong, why, and what to do: of all, or of a port."
    ),
    "plan": Noun("trunkline.cli.plan", "plan", "What the agent would change on this chassis' switch now."),
    "flows": Noun("trunkline.cli.flows", "flows", "The flows of this chassis in words, and what they drop."),
    "trace": Noun("trunkline.cli.trace", "trace", "Where a frame goes, across chassis, and why it is lost."),
    "prove": Noun("trunkline.cli.prove", "prove", "All frames go where they should here, and nowhere else."),
    "probe": Noun("trunkline.cli.probe", "probe", "What the physical networks really carry."),
    "explain": Noun("trunkline.cli.explain", "explain", "Why a flow is there, by its cookie."),
    "metrics": Noun("trunkline.cli.metrics", "metrics", "What Prometheus scrapes of this chassis."),
    "completion": Noun(
        "trunkline.cli.completion", "completion", "What makes bash, zsh or fish complete commands and names."
    ),
    "lab": Noun(
        "trunkline.cli.lab",
        "lab",
        "Chassis, a switch and VMs on this machine: up, down, run, list, restart, impair, join, mend.",
    ),
}
"""The commands, by name, in the order of `trunkline --help`."""


class _Nouns(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        noun = NOUNS.get(cmd_name)
        if noun is None:
            return None
        command = getattr(import_module(noun.module), noun.attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the completions of *incomplete*; a command is completed without its module."""
        from click.shell_completion import CompletionItem

        found = (name for name in NOUNS if name.startswith(incomplete))
        commands = [CompletionItem(name, help=NOUNS[name].help) for name in found]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, noun.help) for name, noun in NOUNS.items()])


@click.command(cls=_Nouns, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="trunkline %(version)s")
@click.option(
    "--nb",
    type=NOT_EMPTY,
    metavar="REMOTE",
    help="The northbound: unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT, or several of them with commas. "
    "Default: $TRUNKLINE_NB, else unix:/run/trunkline/nb.sock.",
)
@click.option(
    "--private-key",
    type=NOT_EMPTY,
    metavar="FILE",
    shell_complete=files,
    envvar="TRUNKLINE_PRIVATE_KEY",
    help="This client's key (PEM), for ssl:.",
)
@click.option(
    "--certificate",
    type=NOT_EMPTY,
    metavar="FILE",
    shell_complete=files,
    envvar="TRUNKLINE_CERTIFICATE",
    help="Its certificate (PEM).",
)
@click.option(
    "--ca-cert",
    type=NOT_EMPTY,
    metavar="FILE",
    shell_complete=files,
    envvar="TRUNKLINE_CA_CERT",
    help="The CA certificate (PEM) to verify the server with.",
)
@click.pass_context
def trunkline(
    ctx: click.Context, nb: str | None, private_key: str | None, certificate: str | None, ca_cert: str | None
) -> None:
    """Attach virtual machines on Open vSwitch hosts to physical networks, VLAN and flat.

    Exit codes: 0 done, or yes; 1 refused or failed; 2 wrong usage; 3 timed out or incomplete; 4 the answer is
    no, such as a silent chassis (sync --wait), a fault (status --check) or a difference (apply --dry-run).
    """
    ctx.obj = Connection(nb, private_key, certificate, ca_cert)


def main() -> NoReturn:
    """Run the program `trunkline` and exit."""
    _ignore_warnings()
    if COMPLETE in os.environ:
        from trunkline.cli.completion import answer

        sys.exit(answer(trunkline))
    run(trunkline, "trunkline")


def run(program: click.Command, name: str, options: Mapping[str, str] | None = None) -> NoReturn:
    """Run *program*, called *name*, and exit. An error is one line on standard error, and an exit code.

    *options* are what it has for the columns and arguments that texts name; None: those of `trunkline`.
    """

    def report(line: str, code: int) -> int:
        from trunkline.cli.column import OPTIONS, in_options
        from trunkline.cli.commit import told
        from trunkline.cli.output import printable

        told(printable(in_options(" ".join(line.split("\n")), OPTIONS if options is None else options)))
        return code

    _ignore_warnings()
    _open_standard_streams()
    _leave_nothing_behind()
    # The interpreter would look through all objects before it ends, 45 ms after `apply` of 10,000 ports.
    atexit.register(gc.freeze)
    try:
        code = program.main(prog_name=name, standalone_mode=False)
        if not code:
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = EXIT_USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else name
        # A list of choices comes on lines of its own, indented.
        said = ", ".join(part.strip(" \t,") for part in _usage_error(error).rstrip(".").split("\n"))
        code = report(f"{path}: {said.replace(':, ', ': ')} (see `{path} --help`)", EXIT_USAGE)
    except click.ClickException as error:
        code = report(f"{name}: {error.format_message()}", EXIT_REFUSED)
    except (click.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except TrunklineError as error:
        code = report(f"{name}: {error}", exit_code(error))
    except OSError as error:
        code = EXIT_REFUSED
        if error.errno != errno.EPIPE:
            report(f"{name}: {words(error)}", code)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        code = report(f"{name}: {_defect(error)}", EXIT_REFUSED)
    _leave_streams()
    sys.exit(code if isinstance(code, int) else 0)


def _usage_error(error: click.UsageError) -> str:
    """Return what *error* says; of a command that is not there, with the one that was probably meant."""
    from trunkline.core.spelling import closest

    said = error.format_message()
    group, no_command = error.ctx and error.ctx.command, _NO_COMMAND.match(said)
    if error.ctx is None or no_command is None or not isinstance(group, click.Group):
        return said
    found = closest(no_command[1], group.list_commands(error.ctx))
    # Click has hints of its own, of several commands, and only in groups whose commands are loaded.
    return no_command[0] if found is None else f"{no_command[0]}; did you mean {found}?"


_NO_COMMAND = re.compile(r"No such command '(.+?)'")


def _ignore_warnings() -> None:
    """Print no warnings of libraries: they are for their developers, and standard error is for operators."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _open_standard_streams() -> None:
    """Give the program the standard streams that it was started without: reading or writing them fails.

    Otherwise the next file or socket would get the number of one of them, and what is said would go there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # What is opened gets the lowest number that is free. It is opened the other way round.
            os.open(os.devnull, os.O_RDONLY if number else os.O_WRONLY)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _leave_nothing_behind() -> None:
    """Have kill(1), timeout(1) and a lost terminal end a command as an interrupt does: it cleans up first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup(1) has a program ignore that its terminal is lost.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _defect(error: Exception) -> str:
    """Return the text for an error that is a defect: what, where, and how to see more."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})" if trace else ""
    return (
        f"this is a defect of the program: {error!r}{where}; please report it, "
        f"with what {DEBUG}=1 in the environment shows"
    )


def words(error: OSError) -> str:
    """Return the system's message, without its number."""
    if not error.errno or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def exit_code(error: TrunklineError) -> int:
    """Return the code with which the program ends because of *error*."""
    if isinstance(error, InvalidValueError):
        return EXIT_USAGE
    if isinstance(error, TimedOutError):
        return EXIT_TIMED_OUT
    return EXIT_REFUSED


def _leave_streams() -> None:
    """Keep the interpreter's last flush from failing on a pipe without a reader, or a device without space.

    What a flush could not write stays to be written, and would set the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
