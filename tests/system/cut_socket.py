"""A socket in the place of a bridge's management socket that can cut a connection amid a bundle."""

from __future__ import annotations

import socket
from pathlib import Path

from relay import Relay

_BUNDLE_CONTROL = 33
"""OpenFlow 1.4, section 7.1.1: the message that opens, closes and commits a bundle."""


class CutSocket(Relay):
    """Stands in for the management socket *path* from its construction to `close`.

    It carries connections through. After `cut_after`, the first connection on which a bundle is opened ends
    that many bytes into the bundle, on both sides, without a word; later ones are carried through again.
    """

    def __init__(self, path: Path) -> None:
        self.cuts = 0
        self._path = path
        self._cut_after: int | None = None
        real = path.with_suffix(".real")
        path.rename(real)
        super().__init__(path, real)

    def cut_after(self, size: int) -> None:
        """Cut the next bundle after *size* bytes."""
        self._cut_after = size

    def close(self) -> None:
        """Put the real socket back, and end the connections that were carried through."""
        self._real.rename(self._path)
        super().close()

    def carry(self, source: socket.socket, to: socket.socket, *, is_asking: bool) -> None:
        """Carry what *source* sends to *to*, up to the cut."""
        left: int | None = None
        inbox = b""
        while data := source.recv(4096):
            if is_asking and self._cut_after is not None and left is None:
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
