"""Unix sockets by paths of any length: what connects and binds takes 107 bytes at most (unix(7))."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 107
LONGEST_NAME = 80
"""How many bytes the last part of a path may have, by which a socket is found below its open folder.

The `ovs` package never ends where that alone is too long.
"""


@contextmanager
def short(path: Path) -> Iterator[str]:
    """Give, for the block, a path to *path* that is short enough, as the programs of Open vSwitch do.

    Raises:
        OSError: its folder cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
