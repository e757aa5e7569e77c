"""An interactive shell at a terminal of its own: keys are typed, and what is on its line then is read."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

SHOW = "\x18\x10"
"""The keys (^X^P) at which each shell here prints its line between the marks, by its start file."""

ALL = "\x18*"
"""The keys (^X*) at which bash inserts all completions."""

_START = {
    "bash": r"""
bind -x '"\C-x\C-p": printf "\n<<%s>>\n" "$READLINE_LINE"'
bind '"\C-x*": insert-completions'
bind 'set bell-style none'
source <(trunkline completion bash)
""",
    "zsh": r"""
unsetopt beep prompt_cr prompt_sp
autoload -Uz compinit && compinit -u -D
show() { printf "\n<<%s>>\n" "$BUFFER" }
zle -N show && bindkey '^X^P' show
source <(trunkline completion zsh)
""",
}
_FILE = {"bash": "start", "zsh": ".zshrc"}
_COMMAND = {"bash": ["bash", "--rcfile", "start", "-i"], "zsh": ["zsh", "-d", "-i"]}


class Prompt:
    """The shell *shell*, in *directory*; a context manager that ends it."""

    def __init__(self, shell: str, directory: Path, environment: Mapping[str, str]) -> None:
        (directory / _FILE[shell]).write_text(_START[shell])
        self.said = ""
        self._shown = 0
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TRUNKLINE_")}
        here = {"PATH": path, "HOME": str(directory), "ZDOTDIR": str(directory), "TERM": "dumb"}
        self._terminal, its_end = pty.openpty()
        termios.tcsetwinsize(its_end, (50, 400))
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *_COMMAND[shell]],
            cwd=directory,
            env={**kept, **here, **environment},
            stdin=its_end,
            stdout=its_end,
            stderr=its_end,
        )
        os.close(its_end)

    def __enter__(self) -> Self:
        self.line("")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(60)
        os.close(self._terminal)

    def line(self, keys: str) -> str:
        """Type *keys* on an empty line, and return what is on the line then."""
        self._shown += 1
        os.write(self._terminal, f"\x05\x15{keys}{SHOW}".encode())
        deadline_s = time.monotonic() + 60
        while len(found := re.findall(r"<<(.*?)>>\r?\n", self.said)) < self._shown:
            ready = select.select([self._terminal], [], [], max(deadline_s - time.monotonic(), 0))[0]
            assert ready, self.said
            self.said += os.read(self._terminal, 1 << 16).decode(errors="replace")
        return str(found[-1])
