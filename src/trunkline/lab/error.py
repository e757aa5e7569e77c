"""What can go wrong in the lab; `trunkline.core.error` draws the tree."""

from __future__ import annotations

from trunkline.core.error import TrunklineError


class LabError(TrunklineError):
    """The lab cannot go on; its text is one line that says why and what to do."""


class TopologyError(LabError):
    """A topology is wrong; the text names the file and the key."""


class CommandError(LabError):
    """A program ended with another exit code than 0; the text names it and its last line of complaint."""


class WaitError(LabError):
    """Something awaited did not happen in time; the text names it and the seconds waited."""
