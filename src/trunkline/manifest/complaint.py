"""Complaints: what is wrong with the documents, and where; all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 1_000
"""After so many complaints nothing more is looked at: each costs a look for where it stands."""


class Mark(NamedTuple):
    """Where something stands: a file, and in it a line and a column, from 1; None: in the file as a whole."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in self if part is not None)


class Complaint(NamedTuple):
    """One thing that is wrong; *mark* is None if no document says it.

    *is_own* says that it is wrong whatever the northbound holds, and *hides* that documents may stand there
    whose names are not known.
    """

    mark: Mark | None
    text: str
    is_own: bool = False
    hides: bool = False

    def __str__(self) -> str:
        return self.text if self.mark is None else f"{self.mark}: {self.text}"


def summary(complaints: Sequence[Complaint]) -> str:
    """Return the first of *complaints*, and how many others there are."""
    others = f" (and {counted(len(complaints) - 1, 'other error')})" if complaints[1:] else ""
    return f"{complaints[0]}{others}"
