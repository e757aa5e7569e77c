"""The line that says what a command is at: when it is shown, and that nothing is left of it.

Each test runs a program with a terminal as its standard error. The program waits for a line on its standard
input, as commands wait for servers, and the test answers when it has seen enough.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

ERASE = "\r\x1b[K"
PHASE = """
from trunkline.cli.progress import Progress
progress = Progress()
with progress.phase("committing 3 rows"):
    print(input())
"""


class Shown:
    """A program with a terminal for its standard error and output, and what it has shown there."""

    def __init__(self, text: str, columns: int, term: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        # Where the tests themselves run in the background, their children would ignore SIGINT.
        argv = ["env", "--default-signal=INT", sys.executable, "-c", text]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=slave, stderr=slave, env={**os.environ, "TERM": term}
        )
        os.close(slave)
        self.said = ""

    def until(self, text: str) -> None:
        """Return when *text* has been shown."""
        while text not in self.said:
            self.said += os.read(self.master, 4096).decode()

    def answer(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"answer\n")
        self.process.stdin.flush()

    def end(self) -> str:
        """Return everything that was shown, when the program has ended."""
        while True:
            try:
                self.said += os.read(self.master, 4096).decode()
            except OSError:  # the other end is closed
                break
        os.close(self.master)
        self.process.wait(20)
        return self.said.replace("\r\n", "\n")


@contextmanager
def shown(text: str, columns: int = 80, term: str = "xterm") -> Iterator[Shown]:
    program = Shown(text, columns, term)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.communicate()


def visible(said: str) -> str:
    """Return what is left on the terminal of *said*, by what this module's programs write."""
    return "\n".join(line.rpartition(ERASE)[2] for line in said.split("\n"))


def test_a_line_is_there_while_a_call_waits_and_the_call_goes_on_and_the_line_goes() -> None:
    with shown(PHASE.replace("print(input())", "answer = input()") + "print(answer)") as program:
        program.until("committing 3 rows, 1 s")
        program.until("committing 3 rows, 2 s")
        program.answer()
        assert visible(program.end()) == "answer\n"
        assert program.process.returncode == 0


def test_what_is_said_meanwhile_is_what_the_line_says_next() -> None:
    text = """
from trunkline.cli.progress import Progress
progress = Progress()
with progress.phase("waiting"):
    input()
    progress.counting("chassis have applied it")(1200, 2400)
    input()
    progress.say("\\x1b[2J")
    input()
"""
    with shown(text) as program:
        program.until("waiting, ")
        program.answer()
        program.until("[##########..........] 1,200 of 2,400 chassis have applied it, ")
        program.answer()
        program.until("\\x1b[2J, ")
        program.answer()
        assert visible(program.end()) == ""


def test_an_interrupt_leaves_nothing_of_the_line_and_a_cursor() -> None:
    text = PHASE.replace("with", "try:\n  with").replace("    print(input())", "    input()")
    with shown(f"{text}except KeyboardInterrupt: print('interrupted')") as program:
        program.until("committing 3 rows, ")
        program.process.send_signal(signal.SIGINT)
        said = program.end()
    assert visible(said) == "interrupted\n"
    assert "\x1b[?25l" not in said


def test_what_is_printed_in_a_phase_stands_on_a_line_of_its_own() -> None:
    text = PHASE.replace(
        "print(input())", "line = input()\n    with progress.hidden(): print(line)\n    input()"
    )
    with shown(text) as program:
        program.until("committing 3 rows, ")
        program.answer()
        program.until(f"answer\r\n{ERASE}committing")
        program.answer()
        assert visible(program.end()) == "answer\n"


def test_a_phase_inside_another_ends_and_the_other_goes_on() -> None:
    inner = """
    with Progress().phase("asking"):
        input()
    input()
"""
    with shown(PHASE.replace("    print(input())\n", inner.lstrip("\n"))) as program:
        program.until("asking, ")
        program.answer()
        program.until("committing 3 rows, ")
        program.answer()
        assert visible(program.end()) == ""


def test_no_line_is_longer_than_the_terminal() -> None:
    with shown(PHASE, columns=10) as program:
        program.until(f"{ERASE}committin{ERASE}committin")
        program.answer()
        program.end()


STATE = """
import signal
from trunkline.cli.progress import Progress
progress = Progress()
def state(): return [signal.getitimer(signal.ITIMER_REAL)[0], signal.getsignal(signal.SIGALRM)]
with progress.phase("first"):
    first, _ = state()
between = state()
with progress.phase("second"):
    second, _ = state()
print(0 < second < first <= 1, between == [0, signal.SIG_DFL], state() == between)
"""


def test_the_second_is_counted_over_all_phases_and_the_signal_is_given_back() -> None:
    with shown(STATE) as program:
        assert program.end() == "True True True\n"


def test_nothing_is_shown_on_a_terminal_that_cannot_erase() -> None:
    with shown(STATE, term="dumb") as program:
        assert program.end() == "False True True\n"


def test_nothing_is_shown_if_standard_error_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", STATE], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False True True\n", "")


def test_a_terminal_that_is_gone_does_not_end_the_command(tmp_path: object) -> None:
    text = PHASE.replace("print(input())", "input()") + f"open('{tmp_path}/done', 'w').close()"
    program = Shown(text, 80, "xterm")
    program.until("committing 3 rows, ")
    os.close(program.master)
    program.answer()
    assert program.process.wait(20) == 0
    assert os.path.exists(f"{tmp_path}/done")


def test_a_command_in_the_background_draws_nothing_over_the_shells_prompt() -> None:
    text = """
import fcntl, os, signal, termios
os.setsid()
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
if os.fork():
    os.wait()
else:
    os.setpgid(0, 0)
    from trunkline.cli.progress import Progress
    with Progress().phase("committing 3 rows"):
        signal.pause()
        signal.pause()
        print("the timer came twice")
"""
    with shown(text) as program:
        assert program.end() == "the timer came twice\n"
