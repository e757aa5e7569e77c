"""A remote: where a server is found, as `unix:PATH`, `tcp:HOST:PORT` or `ssl:HOST:PORT` (ovsdb(7))."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.core.error import InvalidValueError


class Remote(NamedTuple):
    """Where a server is found: by *kind* `unix` a path, and port 0; by `tcp` and `ssl` host and port."""

    kind: str
    place: str
    port: int


def parse(text: str) -> Remote:
    """Return the remote that *text* names; IPv6 addresses lose their brackets.

    Raises:
        InvalidValueError: it names none.

    >>> parse("ssl:[2001:db8::1]:6641")
    Remote(kind='ssl', place='2001:db8::1', port=6641)
    """
    kind, _, place = text.partition(":")
    if kind == "unix" and place:
        return Remote(kind, place, 0)
    host, _, port = place.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535
    if kind not in ("tcp", "ssl") or not bare or not is_port or not _is_host(bare):
        raise InvalidValueError(f"{text!r} is not a remote; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT")
    return Remote(kind, bare, int(port))


def parse_switch(text: str) -> Remote:
    """Return the remote of the database of a chassis that *text* names.

    Raises:
        InvalidValueError: it names none; or it is `ssl:`, for which the files are named in that database.

    >>> parse_switch("unix:/run/openvswitch/db.sock")
    Remote(kind='unix', place='/run/openvswitch/db.sock', port=0)
    """
    try:
        remote = parse(text)
    except InvalidValueError:
        raise InvalidValueError(f"{text!r} is not a remote; write unix:PATH or tcp:HOST:PORT") from None
    if remote.kind == "ssl":
        raise InvalidValueError(
            "the chassis' own database names the files for ssl:, so it is asked without; "
            "write unix:PATH or tcp:HOST:PORT"
        )
    return remote


def _is_host(text: str) -> bool:
    """Return whether *text* can be looked up at all, which the names of RFC 3490 section 4 can."""
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return True
