"""A unit of systemd, started as systemd would, on a machine where that does not run."""

from __future__ import annotations

import shlex
from configparser import ConfigParser
from typing import NamedTuple

from machine import Machine

_PLACES = {"RuntimeDirectory": "/run", "StateDirectory": "/var/lib", "LogsDirectory": "/var/log"}


class Unit(NamedTuple):
    """The unit *name* of *machine*, and the file to which it writes its process id."""

    machine: Machine
    name: str
    pidfile: str

    def start(self) -> None:
        """Start it, in its directories, as its user and without any capability."""
        service = self._service()
        user = service["User"]
        for key, place in _PLACES.items():
            if key in service:
                mode = service.get(f"{key}Mode", "0755")
                self.machine.do(f"install -d -m {mode} -o {user} -g {user} {place}/{service[key]}")
        variables = shlex.join(shlex.split(service.get("Environment", "")))
        own = service.get("EnvironmentFile", "").removeprefix("-")
        command = f"umask {service['UMask']}\n{f'. {own}' if own else ''}\nexec {service['ExecStart']}"
        drop = f"--reuid {user} --regid {user} --init-groups --inh-caps=-all --bounding-set=-all"
        background = "" if service["Type"] == "forking" else ">/tmp/said 2>&1 &"
        # What the variables hold is several words to systemd, as to a shell without quotes.
        self.machine.do(f"export {variables}\nsetpriv {drop} sh -c {shlex.quote(command)} {background}")

    def pid(self) -> str:
        return self.machine.do(f"cat {self.pidfile}").strip()

    def stop(self) -> None:
        """Stop it, and return when its process has ended."""
        self.machine.do(f"pid=$(cat {self.pidfile}); kill $pid; timeout 60 tail --pid=$pid -f /dev/null")

    def _service(self) -> dict[str, str]:
        parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(self.machine.path(f"/usr/lib/systemd/system/{self.name}.service"))
        return dict(parser["Service"])
