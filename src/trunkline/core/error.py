"""The errors that Trunkline raises on purpose: one tree, and what each branch means to a program's caller.

TrunklineError            refused or failed: exit code 1
├── InvalidValueError     wrong whatever the state of the world: exit code 2, usage
└── TimedOutError         not there yet: exit code 3
"""

from __future__ import annotations


class TrunklineError(Exception):
    """Something that the user can do something about; the text is one line that says what."""


class InvalidValueError(TrunklineError):
    """A value that would be wrong whatever the databases and switches hold."""


class TimedOutError(TrunklineError):
    """What was waited for has not come within the time given for it."""
