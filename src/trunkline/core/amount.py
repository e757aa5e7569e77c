"""How many of something there are, in words."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return *count* and *noun*, in the *plural* unless *count* is 1; without one, an s is added.

    >>> counted(1, "port"), counted(3000, "port"), counted(2, "address", "addresses")
    ('1 port', '3,000 ports', '2 addresses')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
