"""The socket that `ovs-appctl -t` talks to (ovs-appctl(8)): nothing that is asked there can end the agent.

The server is that of the `ovs` package. Two of its own commands would end the process: `set-options` with an
unknown option, and `vlog/reopen` if the file is gone.
"""

from __future__ import annotations

import errno
import glob
import io
import os
import stat
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from trunkline.core.error import TrunklineError
from trunkline.host.listener import is_answered, refuse_used_socket
from trunkline.runtime.log import Log
from trunkline.runtime.private import ControlConnection, ControlServer

log = Log("control")

_AT_ONCE = 10
"""How many connections are accepted in one turn of the loop."""


class ControlError(TrunklineError):
    """The control socket cannot be created."""


class _Connection(ControlConnection):
    """One connection; a question that fails is answered by an error, and every answer ends with a newline."""

    def run(self) -> Any:
        said = io.StringIO()
        try:
            # A parser of options says on standard error what is wrong, and then ends the process.
            with redirect_stderr(said), redirect_stdout(said):
                return super().run()
        except SystemExit:
            lines = said.getvalue().split("\n")
            return self._refuse(next((line for line in reversed(lines) if line), "no such options"))
        except Exception as error:  # whatever a question raises, the agent goes on
            return self.fail(error)

    def fail(self, error: Exception) -> int:
        """Answer that the question failed with *error*; log it if it is not an error of ours.

        If there is no question to answer, return an error number that closes the connection, else 0.
        """
        if isinstance(error, TrunklineError):
            return self._refuse(str(error))
        log.error("a question cannot be answered", error=traceback.format_exc())
        return self._refuse(f"cannot be answered: {error!r}; the agent goes on, and its log says more")

    def reply(self, body: str | None) -> Any:
        return super().reply(_ended(body))

    def reply_error(self, body: str | None) -> Any:
        return super().reply_error(_ended(body))

    def _refuse(self, text: str) -> int:
        if not self.is_asked:
            return errno.EPROTO
        self.reply_error(text)
        return 0


def _ended(body: str | None) -> str | None:
    return f"{body}\n" if body and not body.endswith("\n") else body


class ControlSocket(ControlServer):
    """The server of the control socket, polled by the loop: `run`, `wait` and `close`."""

    @classmethod
    def at(cls, path: str) -> ControlSocket:
        """Return a server that listens on *path*; a socket there that nobody answers is replaced.

        Raises:
            ListenerError: another kind of file is at *path*, or somebody answers there.
            ControlError: the socket cannot be created.
        """
        refuse_used_socket(Path(path))
        error, listener = cls.listener(path)
        if error:
            raise ControlError(f"cannot create the control socket {path}: {os.strerror(error)}")
        return cls(listener)

    def run(self) -> None:
        """Accept new connections, and answer what was asked."""
        for _ in range(_AT_ONCE):
            error = self.accept(_Connection)
            if error:
                if error != errno.EAGAIN:
                    log.warning("cannot accept a connection", error=os.strerror(error))
                break
        for connection in self.connections:
            error = connection.run()
            if error and error != errno.EAGAIN:
                self.drop(connection)


def remove_left(rundir: str, program: str) -> None:
    """Remove the control sockets in *rundir* that killed processes of *program* left behind."""
    for path in map(Path, glob.glob(os.path.join(glob.escape(rundir), f"{program}.*.ctl"))):
        pid = path.name.split(".")[-2]
        is_left = pid.isdecimal() and not os.path.exists(f"/proc/{pid}")
        if is_left and stat.S_ISSOCK(path.lstat().st_mode) and not is_answered(path):
            path.unlink(missing_ok=True)
