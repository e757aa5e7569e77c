"""Lookup: the addresses of the host name in a remote. The loop does not wait for a name server.

The `ovs` package looks up names only if the library unbound is installed.
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
    """Return the addresses of *host* that getaddrinfo(3) finds; raise OSError if there are none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Name:
    """A host name. It is looked up at each connection, in a thread that is waited for only for a moment.

    The last answer is used until there is another one: the name server may be away when the northbound is
    back. If there are several addresses, each connection tries the next one. *failure* says why the last
    lookup found none.
    """

    def __init__(self, host: str, resolve: Callable[[str], list[str]] = _resolve) -> None:
        self.failure: str | None = None
        self.host = host
        self._resolve = resolve
        self._addresses: list[str] = []
        self._uses = 0
        self._thread: threading.Thread | None = None

    def address(self) -> str | None:
        """Return an address to connect to; None if none is known yet."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._find, name=f"lookup {self.host}", daemon=True)
            self._thread.start()
        self._thread.join(PATIENCE_S)
        addresses = self._addresses
        if not addresses:
            return None
        self._uses += 1
        return addresses[(self._uses - 1) % len(addresses)]

    def has_address_after(self, tries: int) -> bool:
        """Return whether *tries* connections, one after the other, can have left an address out."""
        addresses = self._addresses
        return tries < len(addresses) if addresses else self.failure is None

    def _find(self) -> None:
        """Look up the name. It runs in a thread of its own, so it assigns whole values only."""
        try:
            found = self._resolve(self.host)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if self.failure is None:
                log.warning("host name not found", host=self.host, reason=reason)
            self.failure = reason
        else:
            self._addresses, self.failure = found, None


_name_by_host: dict[str, Name] = {}
"""The names that were looked up, as long as the process runs: as many as the settings ever named."""


def by_address(suffix: str) -> str | None:
    """Return *suffix*, `HOST:PORT`, with the address of the host; None if that is not known yet."""
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
    """Let replicas connect to `tcp:` remotes by host names; for `ssl:` remotes see `trunkline.ovsdb.tls`."""
    open_streams("tcp", ovs.stream.TCPStream, _open)


def failures(remotes: str) -> dict[str, str]:
    """Return why host names of *remotes*, comma separated, were not found, by host name."""
    found = {}
    for remote in remotes.split(","):
        name = _name_of(remote)
        if name is not None and name.failure is not None:
            found[name.host] = name.failure
    return found


def were_all_tried(remote: str, tries: int) -> bool:
    """Return whether *tries* connections to *remote* have tried all addresses that are known of its host."""
    name = _name_of(remote)
    return tries > 0 and (name is None or not name.has_address_after(tries))


def _name_of(remote: str) -> Name | None:
    """Return the host name in *remote*, if it is one that was looked up."""
    kind, _, suffix = remote.strip().partition(":")
    return _name_by_host.get(suffix.rpartition(":")[0]) if kind in ("tcp", "ssl") else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
