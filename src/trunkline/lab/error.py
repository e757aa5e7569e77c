"""The errors of the lab; `trunkline.core.error` draws the tree."""

from __future__ import annotations

from trunkline.core.error import InvalidValueError, TrunklineError


class LabError(TrunklineError):
    """The lab cannot continue; the text is one line that says why and what to do."""


class TopologyError(InvalidValueError, LabError):
    """A topology is wrong; the text names the file and the key."""


class CommandError(LabError):
    """A program failed; the text has its name, its exit code and the last line that it wrote."""


class WaitError(LabError):
    """Something did not happen in time; the text says what, and how many seconds were waited."""
