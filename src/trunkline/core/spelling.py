"""Spelling: which of the words that there are somebody meant."""

from __future__ import annotations

from collections.abc import Collection


def meant(word: str, known: Collection[str]) -> str:
    """Return a hint for who wrote *word*, which is none of *known*.

    >>> meant("anounce", ["announce", "control-frames"]), meant("x", ["b", "a"])
    ('did you mean announce?', 'there are: a, b')
    """
    # Only where it is needed: it costs a command a millisecond to load.
    import difflib

    # The comparison is quadratic, and the word may be of any length.
    close = difflib.get_close_matches(word[:80], sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(known))}"
