"""A Unix socket in the place of another, which carries connections through, and what can be done to them."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self


class Relay:
    """Carries every connection to *path* through to *real*, from its construction to `close`."""

    def __init__(self, path: Path, real: Path) -> None:
        self._real = real
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        for each in (self._listener, *self._open):
            end(each)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(str(self._real))
            except OSError:
                end(near)  # as if it had found nobody
                continue
            self._open += [near, far]
            for source, to, is_asking in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._run, args=(source, to, is_asking), daemon=True).start()

    def _run(self, source: socket.socket, to: socket.socket, is_asking: bool) -> None:
        try:
            self.carry(source, to, is_asking=is_asking)
        except OSError:
            return  # the other end was cut or closed
        finally:
            end(source)
            end(to)

    def carry(self, source: socket.socket, to: socket.socket, *, is_asking: bool) -> None:
        """Carry what *source* sends to *to*, until it ends; *is_asking*: it is *source* that connected."""
        while data := source.recv(4096):
            to.sendall(data)


class HeldRelay(Relay):
    """Keeps what the server says to itself, while it is told to."""

    def __init__(self, path: Path, real: Path) -> None:
        self._may_pass = threading.Event()
        self._may_pass.set()
        super().__init__(path, real)

    def hold(self) -> None:
        """Keep back what the server says from now on."""
        self._may_pass.clear()

    def release(self) -> None:
        """Pass on what was kept, and what follows."""
        self._may_pass.set()

    def close(self) -> None:
        """End all connections."""
        self.release()
        super().close()

    def carry(self, source: socket.socket, to: socket.socket, *, is_asking: bool) -> None:
        """Carry what *source* sends to *to*, when it may pass."""
        while data := source.recv(4096):
            if not is_asking:
                self._may_pass.wait()
            to.sendall(data)


class WriteRelay(Relay):
    """Keeps back what the server says after the first *operation*, such as `update`, until it may pass."""

    def __init__(self, path: Path, real: Path, operation: str = "update") -> None:
        self._mark = f'"op": "{operation}"'.encode()
        self._is_held = threading.Event()
        self.has_come = threading.Event()
        self.may_pass = threading.Event()
        super().__init__(path, real)

    def carry(self, source: socket.socket, to: socket.socket, *, is_asking: bool) -> None:
        """Carry what is said, but hold the answer that follows the operation."""
        while data := source.recv(1 << 16):
            if is_asking and self._mark in data:
                self._is_held.set()
                to.sendall(data)
                self.has_come.set()
                continue
            if not is_asking and self._is_held.is_set():
                self.may_pass.wait(60)
            to.sendall(data)


def end(each: socket.socket) -> None:
    """Close *each*, and wake anyone who waits for it."""
    with suppress(OSError):  # of one that was not connected any more
        each.shutdown(socket.SHUT_RDWR)
    each.close()
