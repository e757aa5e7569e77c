"""A peer at a Unix socket that says what a test has it say."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Peer = Callable[[socket.socket], None]


@contextmanager
def served(peer: Peer, name: str = "br-int.mgmt") -> Iterator[Path]:
    """Let *peer* have the first connection to a socket called *name*, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="tl-s-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / name
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                peer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            thread.join(20)
            assert not thread.is_alive()


def says(*messages: bytes) -> Peer:
    """Return a peer that says *messages*, each after it has heard something, and then listens to the end."""

    def speak(connection: socket.socket) -> None:
        for each in messages:
            connection.recv(1 << 16)
            connection.sendall(each)
        while connection.recv(1 << 16):
            pass

    return speak
