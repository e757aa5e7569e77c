"""The root of every error that Trunkline raises on purpose."""

from __future__ import annotations


class TrunklineError(Exception):
    """Something that the user can do something about; the text is one line that says what."""
