"""Spelling: which known word somebody probably meant."""

from __future__ import annotations

from collections.abc import Collection


def meant(word: str, known: Collection[str]) -> str:
    """Return a hint for somebody who wrote *word*, which is not one of the *known* words.

    >>> meant("anounce", ["announce", "control-frames"]), meant("x", ["b", "a"])
    ('did you mean announce?', 'there are: a, b')
    """
    # Import it only when it is needed: it takes a millisecond to load.
    import difflib

    # The comparison is quadratic, and the word may have any length.
    close = difflib.get_close_matches(word[:80], sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(known))}"
