"""Listeners of a lab's northbound in TLS, which a test can close, and which drop those who are silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.certificate import Authority
from trunkline.lab import command
from trunkline.lab.command import PROGRAM
from trunkline.northbound import connection
from trunkline.northbound.operation import update

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline.lab import Lab
    from trunkline.northbound.client import Northbound


def speak_tls(lab: Lab, folder: Path) -> dict[str, str]:
    """Start the northbound's server again, with certificates; return the options of the driver for them."""
    authority, at = Authority(folder), lab.nb.directory
    ours = authority.issue("neutron")
    lab.nb.stop()
    command.run(
        [
            *(*PROGRAM, "nb", "start", "--db", str(at / "nb.db"), "--remote", f"punix:{at}/nb.sock"),
            *("--detach", "--pidfile", str(at / "nb.pid"), "--log-file", str(at / "nb.log")),
            *authority.issue("nb").options,
        ]
    )
    return {
        "nb_private_key": str(ours.key),
        "nb_certificate": str(ours.certificate),
        "nb_ca_cert": str(ours.ca),
    }


@dataclass(frozen=True)
class Listener:
    """The listener that clients reach at `ssl:127.0.0.1:PORT`."""

    nb: Northbound
    port: int

    @property
    def remote(self) -> str:
        return f"ssl:127.0.0.1:{self.port}"

    @property
    def _target(self) -> str:
        return f"pssl:{self.port}:127.0.0.1"

    def open(self) -> None:
        connection.listen(self.nb, [self._target], "")

    def close(self) -> None:
        """Listen no longer; clients are disconnected."""
        connection.unlisten(self.nb, [self._target])

    def probe(self, interval_ms: int | None) -> None:
        """Have the server probe clients that are silent for so long; None: as it does by default."""
        row = {"inactivity_probe": interval_ms}
        self.nb.transact([update("Connection", ("target", "==", self._target), row=row)])

    def client_count(self) -> int:
        """Return how many clients have a connection that the server has not closed."""
        ends = command.run(["ss", "-Htn", "state", "established", "sport", "=", f":{self.port}"])
        return len(ends.splitlines())
