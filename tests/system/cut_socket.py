"""A socket in the place of a bridge's management socket that can cut a connection amid a bundle."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

_BUNDLE_CONTROL = 33
"""OpenFlow 1.4, section 7.1.1: the message that opens, closes and commits a bundle."""


class CutSocket:
    """Stands in for the management socket *path* from its construction to `close`.

    It carries connections through. After `cut_after`, the first connection on which a bundle is opened ends
    that many bytes into the bundle, on both sides, without a word; later ones are carried through again.
    """

    def __init__(self, path: Path) -> None:
        self.cuts = 0
        self._path = path
        self._real = path.with_suffix(".real")
        self._cut_after: int | None = None
        self._open: list[socket.socket] = []
        path.rename(self._real)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cut_after(self, size: int) -> None:
        """Cut the next bundle after *size* bytes."""
        self._cut_after = size

    def close(self) -> None:
        """Put the real socket back, and end the connections that were carried through."""
        self._real.rename(self._path)
        for each in (self._listener, *self._open):
            _end(each)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self._real))
            self._open += [near, far]
            threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source: socket.socket, to: socket.socket, is_cut: bool) -> None:
        left: int | None = None
        inbox = b""
        try:
            while data := source.recv(4096):
                if is_cut and self._cut_after is not None and left is None:
                    inbox, is_bundle = _rest(inbox + data)
                    left = self._cut_after if is_bundle else None
                if left is not None:
                    to.sendall(data[:left])
                    left -= len(data)
                    if left <= 0:
                        self._cut_after = None
                        self.cuts += 1
                        return
                else:
                    to.sendall(data)
        except OSError:
            return  # the other end was cut or closed, which is what this is for
        finally:
            _end(source)
            _end(to)


def _rest(data: bytes) -> tuple[bytes, bool]:
    """Return what of *data* is not a whole message yet, and whether there is one of a bundle."""
    is_bundle = False
    while len(data) >= 8:
        is_bundle |= data[1] == _BUNDLE_CONTROL
        length = int.from_bytes(data[2:4])
        if len(data) < length:
            break
        data = data[length:]
    return data, is_bundle


def _end(each: socket.socket) -> None:
    with suppress(OSError):  # of one that was not connected any more
        each.shutdown(socket.SHUT_RDWR)
    each.close()
