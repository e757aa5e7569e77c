"""Network namespaces, and the veth pairs between them."""

from __future__ import annotations

import ctypes
import os
import socket as sockets
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.lab import command
from trunkline.lab.error import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Namespace:
    """A network namespace by the name that `ip netns` knows it by."""

    name: str

    @property
    def path(self) -> Path:
        """The file that stands for the namespace."""
        return Path("/run/netns") / self.name

    @property
    def exists(self) -> bool:
        """Whether there is such a namespace now."""
        return self.path.exists()

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs *argv* in the namespace; the process id stays the program's."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = command.HANGS_S,
    ) -> str:
        """Run *argv* in the namespace as `command.run` does."""
        return command.run(self.argv(argv), stdin=stdin, env=env, timeout_s=timeout_s)

    def popen(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start *argv* in the namespace, its three streams piped as text; the caller ends it."""
        return subprocess.Popen(
            self.argv(argv),
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the calling thread into the namespace for the block (setns(2)).

        Raises OSError if the namespace does not exist, or permission is denied.
        """
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _setns(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(home)

    def socket(self, family: int, kind: int, protocol: int = 0) -> sockets.socket:
        """Return a new socket that stays in the namespace, even if it is used from another one."""
        with self.entered():
            return sockets.socket(family, kind, protocol)


class _Here(Namespace):
    """The network namespace that this program runs in, which need not have a name."""

    def argv(self, argv: Sequence[str]) -> list[str]:
        return list(argv)

    @contextmanager
    def entered(self) -> Iterator[None]:
        yield


HERE: Namespace = _Here("here")
"""The namespace of this program: enough for a switch with dummy devices, which do not use the kernel."""


@dataclass(frozen=True)
class LinkEnd:
    """One end of a veth pair: an interface (1 to 15 characters) in a namespace."""

    namespace: Namespace
    name: str


def ip(commands: Sequence[str], namespace: Namespace | None = None, *, force: bool = False) -> None:
    """Run `ip` *commands* in one process, in *namespace* or, without one, in that of this program.

    Raises CommandError at the first command that fails; with *force* the others are run too, and nothing is
    raised.
    """
    argv = [
        "ip",
        *(["-n", namespace.name] if namespace else []),
        *(["-force"] if force else []),
        "-batch",
        "-",
    ]
    try:
        command.run(argv, stdin="\n".join(commands) + "\n")
    except CommandError:
        if not force:
            raise


def veth(end: LinkEnd, other: LinkEnd, mac: str | None = None) -> str:
    """Return the `ip` command that creates the veth pair of *end*, which may have a *mac*, and *other*."""
    address = f"address {mac} " if mac else ""
    return (
        f"link add name {end.name} {address}netns {end.namespace.name} "
        f"type veth peer name {other.name} netns {other.namespace.name}"
    )


def _setns(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
