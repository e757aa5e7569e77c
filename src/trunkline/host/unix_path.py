"""Unix sockets at paths of any length. The kernel takes 107 bytes at most (unix(7))."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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
