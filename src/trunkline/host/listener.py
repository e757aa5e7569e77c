"""Where a server listens: `punix:PATH`, `ptcp:PORT[:IP]` or `pssl:PORT[:IP]` (ovsdb(7)), and whether it does.

If `ovsdb-server` cannot listen in one place, it goes on without it. If something exists at the path of a
socket, it deletes it. So both are checked before it starts.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import struct
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.core.error import InvalidValueError, TrunklineError
from trunkline.host.unix_path import LONGEST_NAME, short

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv6Address

    Place = tuple[IPv4Address | IPv6Address, int]

_TCP = re.compile(r"p(?:tcp|ssl):(?P<port>\d{1,5})(?::(?P<host>[\d.]+|\[[\da-fA-F:.]+\]))?")
_LISTENING = "0A"  # TCP_LISTEN (include/net/tcp_states.h of Linux)
_PATIENCE_S = 1.0


class ListenerError(TrunklineError):
    """A place to listen is in use, or is not on this machine."""


def check(listener: str) -> None:
    """Raise InvalidValueError if *listener* is not spelled as a place to listen.

    >>> check("ptcp:99999:192.0.2.1")
    Traceback (most recent call last):
    trunkline.core.error.InvalidValueError: 'ptcp:99999:192.0.2.1' has no port 1–65535; write ptcp:PORT:IP
    """
    if listener.startswith("punix:") and listener.removeprefix("punix:"):
        return
    found = _TCP.fullmatch(listener)
    kind = listener.partition(":")[0]
    if kind not in ("ptcp", "pssl"):
        raise InvalidValueError(
            f"{listener!r} is not a place to listen; write punix:PATH, ptcp:PORT:IP or pssl:PORT:IP"
        )
    if found is None:
        raise InvalidValueError(
            f"{listener!r} is not a place to listen; write {kind}:PORT:IP, an IPv6 address in brackets"
        )
    if not 1 <= int(found["port"]) <= 65535:
        raise InvalidValueError(f"{listener!r} has no port 1–65535; write {kind}:PORT:IP")
    try:
        _place(listener)
    except ValueError:
        raise InvalidValueError(f"{listener!r} has no IP address; write {kind}:PORT:IP") from None


def absolute(place: str) -> str:
    """Return *place*, a remote or a listener, with an absolute path of its socket, if it has one."""
    kind, _, path = place.partition(":")
    return f"{kind}:{Path(path).absolute()}" if kind in ("punix", "unix") else place


def socket_path(listener: str) -> Path | None:
    """Return the path of a `punix:` listener's socket, None for the others."""
    kind, _, path = listener.partition(":")
    return Path(path) if kind == "punix" else None


def remote(listener: str) -> str | None:
    """Return the remote by which a client on this machine reaches *listener*, None if it is no listener.

    >>> remote("punix:/run/nb.sock"), remote("ptcp:6651:192.0.2.1"), remote("ptcp:6651")
    ('unix:/run/nb.sock', 'tcp:192.0.2.1:6651', 'tcp:127.0.0.1:6651')
    """
    kind, _, place = listener.partition(":")
    if kind == "punix":
        return f"unix:{place}"
    if kind not in ("ptcp", "pssl"):
        return None
    port, _, host = place.partition(":")
    return f"{kind.removeprefix('p')}:{'127.0.0.1' if host in ('', '0.0.0.0', '[::]') else host}:{port}"


def passive(address: str) -> str | None:
    """Return where a member of a cluster with the *address* listens; None if only the member can tell.

    >>> passive("tcp:192.0.2.1:6643"), passive("ssl:[2001:db8::1]:6643"), passive("tcp:a.example:6643")
    ('ptcp:6643:192.0.2.1', 'pssl:6643:[2001:db8::1]', None)
    """
    kind, _, place = address.partition(":")
    host, _, port = place.rpartition(":")
    listener = f"p{kind}:{port}:{host}"
    try:
        check(listener)
    except InvalidValueError:
        return None
    return listener


def refuse_taken(listener: str) -> None:
    """Raise ListenerError if a server cannot listen at *listener*, or must not."""
    path = socket_path(listener)
    if path is not None:
        refuse_used_socket(path)
        return
    address, port = _place(listener)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((str(address), port))
            probe.listen(1)
    except OSError as error:
        raise ListenerError(f"cannot listen on {listener}: {_reason(error)}") from error


def refuse_used_socket(path: Path) -> None:
    """Raise ListenerError if *path* is a socket that a server listens on, or exists and is no socket.

    A server that listens there first deletes what exists.
    """
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ListenerError(f"{path.name} is too long for a socket; give {LONGEST_NAME} bytes at most")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenerError(f"{path} exists and is not a socket; give another path, or move it away")
    if is_answered(path):
        raise ListenerError(f"another server already answers on {path}; stop it, or give another path")


def is_answered(path: Path) -> bool:
    """Return whether a server listens on the socket *path*, as far as this user can tell.

    Only a refused connection, or no socket at all, shows that none does.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, short(path) as place:
        probe.setblocking(False)
        return probe.connect_ex(place) not in (errno.ECONNREFUSED, errno.ENOENT)


def bound(listeners: Sequence[str], pid: int) -> list[str]:
    """Return those of *listeners* on which the process *pid* really listens."""
    places = _places(pid)
    return [listener for listener in listeners if _is_bound(listener, pid, places)]


def _is_bound(listener: str, pid: int, places: set[Place] | None) -> bool:
    path = socket_path(listener)
    if path is not None:
        return _listens(path, pid)
    try:
        place = _place(listener)
    except ValueError:
        return False
    return _answers(place) if places is None else place in places


def _listens(path: Path, pid: int) -> bool:
    """Return whether the process *pid* listens on the socket *path* (SO_PEERCRED, unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            with short(path) as place:
                probe.connect(place)
        except OSError:
            return False
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0]) == pid


def _answers(place: Place) -> bool:
    try:
        with closing(socket.create_connection((str(place[0]), place[1]), _PATIENCE_S)):
            return True
    except OSError:
        return False


def _place(listener: str) -> Place:
    """Return the address and port of a `ptcp:` or `pssl:` listener; raise ValueError if it has none."""
    found = _TCP.fullmatch(listener)
    if found is None:
        raise ValueError(listener)
    return ip_address((found["host"] or "0.0.0.0").strip("[]")), int(found["port"])


def _places(pid: int) -> set[Place] | None:
    """Return where the process *pid* listens by TCP (proc(5)), None if this user may not know that."""
    try:
        targets = {_target(pid, fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return None
    places: set[Place] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for words in map(str.split, lines):
            if words[3] == _LISTENING and f"socket:[{words[9]}]" in targets:
                address, _, port = words[1].partition(":")
                places.add((_address(address), int(port, 16)))
    return places


def _target(pid: int, fd: str) -> str | None:
    """Return what the descriptor *fd* of the process *pid* is, None if it has been closed meanwhile."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{fd}")
    except FileNotFoundError:
        return None


def _address(text: str) -> IPv4Address | IPv6Address:
    """Return the address in *text* of `/proc/net/tcp`, 32-bit words in the machine's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return ip_address(struct.pack(f"={len(words)}I", *words))


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another program listens there; stop it, or use another port"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address; use one that `ip address` shows"
        case errno.EACCES:
            return "permission denied; use a port from 1024 on, or run as root"
    return os.strerror(error.errno) if error.errno else str(error)
