"""Memory: what a huge message took is given back to the system once the message is dealt with.

It was allocated in thousands of pieces between others that are still in use, so the C library would keep it.
"""

from __future__ import annotations

import ctypes

from trunkline.ovsdb.parser import Parser

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""malloc_trim(3) of the GNU C library; others have no such function."""


def give_back() -> None:
    """Give freed memory back if there was a huge message since the last time; else do nothing.

    With 200 MB in use it takes some milliseconds.
    """
    if Parser.has_met_huge:
        Parser.has_met_huge = False
        if _trim is not None:
            _trim(0)
