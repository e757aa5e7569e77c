"""Spelling: which known word somebody probably meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

LIKENESS = 0.6
"""How much of two words is alike, from 0 to 1, if one may be a slip of the other (difflib's own figure)."""


def closest(word: str, known: Collection[str], likeness: float = LIKENESS) -> str | None:
    """Return the one of the *known* words that *word* is probably a slip of; None if none is alike.

    >>> closest("wbe1", ["vm1", "web1"]), closest("x", ["b", "a"])
    ('web1', None)
    """
    # Import it only when it is needed: it takes a millisecond to load.
    import difflib

    # The comparison is quadratic, and the word may have any length.
    close = difflib.get_close_matches(word[:80], sorted(known), n=1, cutoff=likeness)
    return close[0] if close else None


def meant(word: str, known: Collection[str]) -> str:
    """Return a hint for somebody who wrote *word*, which is not one of the *known* words.

    >>> meant("anounce", ["announce", "control-frames"]), meant("x", ["b", "a"])
    ('did you mean announce?', 'there are: a, b')
    """
    close = closest(word, known)
    return f"did you mean {close}?" if close is not None else f"there are: {', '.join(sorted(known))}"


def slip(name: str, known: Iterable[str]) -> str | None:
    """Return a hint for somebody who wrote *name*, which is not among the names *known*; None: there is none.

    Names that differ in digits are those of different things: they are no slip of one another.

    >>> slip("wbe1", ["vm1", "web1", "web2"]), slip("web9", ["web1"])
    ('did you mean web1?', None)
    """
    digits = re.sub(r"\D", "", name)
    alike = {each for each in known if re.sub(r"\D", "", each) == digits}
    letters = re.sub(r"\d", "", name)
    close = closest(name, {each for each in alike if re.sub(r"\d", "", each) != letters})
    return f"did you mean {close}?" if close is not None else None
