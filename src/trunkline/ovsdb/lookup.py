"""Lookup: the addresses of a remote's host name, without a turn of the loop that waits for a name server.

The `ovs` package looks names up with the library unbound, where that is installed, and else not at all.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import threading
from collections.abc import Callable

import ovs.stream

from trunkline.runtime.log import Log
from trunkline.runtime.private import Opened, open_streams

log = Log("lookup")

PATIENCE_S = 0.05
"""How long a connection waits for an answer: enough for /etc/hosts and a name server nearby."""


def _resolve(host: str) -> list[str]:
    """Return the addresses of *host* as getaddrinfo(3) has them; raise OSError where there are none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Name:
    """A host name: looked up at each connection, in a thread that nobody waits for longer than a moment.

    What was found last is used until there is another answer: a name server may be away when the northbound
    is back. Of several addresses each connection tries the next one. *failure* says why the last lookup
    found none.
    """

    def __init__(self, host: str, resolve: Callable[[str], list[str]] = _resolve) -> None:
        self.failure: str | None = None
        self._host = host
        self._resolve = resolve
        self._addresses: list[str] = []
        self._uses = 0
        self._thread: threading.Thread | None = None

    def address(self) -> str | None:
        """Return an address to connect to, None where none is known yet."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._find, name=f"lookup {self._host}", daemon=True)
            self._thread.start()
        self._thread.join(PATIENCE_S)
        addresses = self._addresses
        if not addresses:
            return None
        self._uses += 1
        return addresses[(self._uses - 1) % len(addresses)]

    def _find(self) -> None:
        """Look the name up; runs in a thread of its own, and assigns whole values only."""
        try:
            found = self._resolve(self._host)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if self.failure is None:
                log.warning("host name not found", host=self._host, reason=reason)
            self.failure = reason
        else:
            self._addresses, self.failure = found, None


_name_by_host: dict[str, Name] = {}
"""The names that were looked up, for the life of the process: as many as settings have named."""


def by_address(suffix: str) -> str | None:
    """Return *suffix*, `HOST:PORT`, with the host's address; None where that is not known yet."""
    host, _, port = suffix.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or _is_address(bare):
        return suffix
    address = _name_by_host.setdefault(bare, Name(bare)).address()
    if address is None:
        return None
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _open(suffix: str, open_at: Callable[[str], Opened]) -> Opened:
    place = by_address(suffix)
    return (errno.EHOSTUNREACH, None) if place is None else open_at(place)


def install() -> None:
    """Have replicas find `tcp:` remotes by host names; `ssl:` ones do by `trunkline.ovsdb.tls`."""
    open_streams("tcp", ovs.stream.TCPStream, _open)


def failures(remotes: str) -> dict[str, str]:
    """Return why host names of *remotes*, comma separated, were not found, by host name."""
    found = {}
    for remote in remotes.split(","):
        kind, _, suffix = remote.strip().partition(":")
        name = _name_by_host.get(suffix.rpartition(":")[0]) if kind in ("tcp", "ssl") else None
        if name is not None and name.failure is not None:
            found[suffix.rpartition(":")[0]] = name.failure
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
