"""Memory: what one huge message took is given back to the machine when the message is dealt with.

It came in thousands of pieces between which there is memory in use, so that the C library keeps it.
"""

from __future__ import annotations

import ctypes

from trunkline.ovsdb.parser import Parser

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Of the GNU C library (malloc_trim(3)); others have none, and give back by themselves or not at all."""


def give_back() -> None:
    """Give freed memory back where a message was huge since the last time; else do nothing.

    With 200 MB in use it takes some milliseconds.
    """
    if Parser.has_met_huge:
        Parser.has_met_huge = False
        if _trim is not None:
            _trim(0)
