"""The switch-over: a host goes over to Trunkline, or back, as a whole: what is to be done there, and here.

The host is reached by a command of the operator's, such as `ssh root@compute-7`, which is given what a shell
is to do there. If anything fails, all that was done is taken back, the last first.
"""

from __future__ import annotations

import subprocess
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.amount import counted
from trunkline.core.error import TrunklineError
from trunkline.neutron import command
from trunkline.neutron.resource import DRIVER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from trunkline.neutron.command import Handing


class Lines(NamedTuple):
    """What a shell on the host does: tell its `system-id`, look at its switch, and so on.

    The *agent* is Neutron's. What looks at the switch ends with 0 or 4, and changes nothing.
    """

    who: str
    look: str
    stop_agent: str
    start_agent: str
    stop: str
    start: str
    take_over: str
    clean_up: str


TIMEOUT_S = 300.0
"""How long a command on the host may take: systemd gives a service 90 s to end."""

UP_S = 60.0
"""How long it may take until the ports that were ACTIVE are up on the chassis."""


class SwitchOverError(TrunklineError):
    """The host did not go over, or back."""


class ShellError(TrunklineError):
    """What was to be done on a host failed, with *exit_code*, None if it did not end.

    *still_runs* is the line that may still run there.
    """

    def __init__(self, text: str, exit_code: int | None = None, still_runs: str | None = None) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.still_runs = still_runs


class Shell:
    """Does on *host* what a shell is told, by the command *through*, and tells *say* of each line."""

    def __init__(self, host: str, through: Sequence[str], lines: Lines, say: Callable[[str], None]) -> None:
        self.lines = lines
        self._host = host
        self._argv = list(through)
        self._say = say

    def do(self, line: str, good: Collection[int] = (0,)) -> str:
        """Do *line*, and return what it printed.

        Raises:
            ShellError: its exit code is none of *good*, or it did not end in time.
        """
        self._say(f"{self._host}: {line}")
        try:
            done = subprocess.run(
                [*self._argv, line],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise ShellError(
                f"{self._host}: `{line}` did not end within {TIMEOUT_S:.0f} s", still_runs=line
            ) from error
        except OSError as error:
            raise ShellError(f"{self._argv[0]!r} cannot be run: {error.strerror}") from error
        if done.returncode not in good:
            # The last line need not be the reason: ssh and systemctl say more after it.
            said = " / ".join((done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-3:])
            raise ShellError(
                f"{self._host}: `{line}` failed with exit code {done.returncode}, and said: {said}",
                done.returncode,
            )
        return done.stdout


def steps(wanted: Handing, lines: Lines) -> list[str]:
    """Return in words what `switch_over` does, in order."""
    over = (lines.stop_agent, lines.take_over, lines.start)
    back = (lines.stop, lines.clean_up, lines.start_agent)
    there = [f"{wanted.host}: {line}" for line in (over if wanted.after == DRIVER else back)]
    return [there[0], _handing(wanted), *there[1:]]


def _handing(wanted: Handing) -> str:
    return f"Neutron: {counted(len(wanted.ports), 'port')} from {wanted.before} to {wanted.after}"


def switch_over(wanted: Handing, shell: Shell, say: Callable[[str], None]) -> None:
    """Do all that takes the host of *wanted* over, or back; if anything fails, take back what was done.

    Raises:
        SwitchOverError: something failed; the text says what, and whether all is as before.
    """
    undo: list[Callable[[], object]] = []
    try:
        check(wanted, shell)
        if wanted.after == DRIVER:
            _over(wanted, shell, say, undo)
        else:
            _back(wanted, shell, say, undo)
    except BaseException as error:
        if undo:
            say("taking it back")
        wrong = [reason for reason in map(_failure, reversed(undo)) if reason is not None]
        if not isinstance(error, TrunklineError):
            raise
        outcome = f"to be put right by hand: {'; '.join(wrong)}" if wrong else "all is as before"
        # The command that leads to the host was ended, and not what runs there.
        if isinstance(error, ShellError) and error.still_runs is not None:
            outcome += (
                f", if `{error.still_runs}` does not still run on {wanted.host}: look there, and end it"
            )
        raise SwitchOverError(f"{error}; {outcome}") from error


def check(wanted: Handing, shell: Shell) -> None:
    """Ask the host who it is, and whether its switch can go over; nothing changes there.

    Raises:
        ShellError: the host cannot be reached, or cannot go over.
        SwitchOverError: it is another host.
    """
    found = shell.do(shell.lines.who).strip().strip('"')
    if found != wanted.chassis:
        raise SwitchOverError(f"that is the chassis {found!r}, and {wanted.host} is {wanted.chassis!r}")
    if wanted.after == DRIVER:
        shell.do(shell.lines.look, good=(0, 4))


def _over(
    wanted: Handing, shell: Shell, say: Callable[[str], None], undo: list[Callable[[], object]]
) -> None:
    active = command.active(wanted)
    undo.append(partial(shell.do, shell.lines.start_agent))
    shell.do(shell.lines.stop_agent)
    _hand(wanted, say, undo)
    try:
        shell.do(shell.lines.take_over)
    except ShellError as error:
        # Refused, it leaves all as it was. Otherwise nobody knows how far it has come.
        if error.exit_code != 1:
            undo.insert(1, partial(shell.do, shell.lines.clean_up))
        raise
    # The ports go back before it: it takes the chassis out of the northbound, where they are bound.
    undo.insert(1, partial(shell.do, shell.lines.clean_up))
    undo.append(partial(shell.do, shell.lines.stop))
    shell.do(shell.lines.start)
    say(f"waiting until what was ACTIVE is up: {counted(len(active), 'port')}")
    if missing := command.not_up(wanted, active, UP_S):
        ports = counted(len(missing), "port")
        raise SwitchOverError(f"not up after {UP_S:.0f} s: {ports}, such as {min(missing)}")


def _back(
    wanted: Handing, shell: Shell, say: Callable[[str], None], undo: list[Callable[[], object]]
) -> None:
    undo.append(partial(shell.do, shell.lines.start))
    shell.do(shell.lines.stop)
    _hand(wanted, say, undo)
    for line in (shell.lines.clean_up, shell.lines.start_agent):
        shell.do(line)


def _hand(wanted: Handing, say: Callable[[str], None], undo: list[Callable[[], object]]) -> None:
    say(_handing(wanted))
    result = command.handed_over(wanted, is_dry=False)
    if result.faults:
        row, reason = min(result.faults.items())
        raise SwitchOverError(f"{row.table.lower()} {row.name}: {reason}")
    undo.append(partial(command.handed_back, wanted))


def _failure(work: Callable[[], object]) -> str | None:
    """Do *work*, and return why it failed, None if it did not."""
    try:
        work()
    except TrunklineError as error:
        return str(error)
    return None
