"""Unix sockets at paths of any length. The kernel takes 107 bytes at most (unix(7))."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_CROWDED_PAUSE_S = 0.05
_LONGEST = 107
LONGEST_NAME = 80
"""How many bytes the last part of a path may have: the socket is reached through its open folder.

If the last part alone is too long, the `ovs` package loops forever.
"""


@contextmanager
def short(path: Path) -> Iterator[str]:
    """Yield a path to *path* that is short enough, for the block. The programs of Open vSwitch do the same.

    Raises:
        OSError: the folder of *path* cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(stream: socket.socket, path: Path, timeout_s: float) -> None:
    """Connect *stream*, which has a time limit, to *path*; while too many wait for its server, try again.

    Raises:
        TimeoutError: they still are after *timeout_s*.
        OSError: nobody listens there, or it is not allowed.
    """
    deadline = time.monotonic() + timeout_s
    with short(path) as place:
        while True:
            try:
                return stream.connect(place)
            except BlockingIOError:
                # A socket of TCP would wait; one of Unix says so at once (unix(7)).
                if time.monotonic() >= deadline:
                    raise TimeoutError from None
                time.sleep(_CROWDED_PAUSE_S)
