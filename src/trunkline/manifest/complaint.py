"""Complaints: what is wrong with the documents, and where; all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import InvalidValueError
from trunkline.northbound.refusal import RefusedError, counted

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
    """One thing that is wrong; *mark* is None if no document says it."""

    mark: Mark | None
    text: str

    def __str__(self) -> str:
        return self.text if self.mark is None else f"{self.mark}: {self.text}"


class ManifestError(InvalidValueError):
    """Documents that are wrong whatever the northbound holds."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__(_summary(complaints))
        self.complaints = complaints


class ConflictError(RefusedError):
    """Documents that do not go with what the northbound holds."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__(_summary(complaints))
        self.complaints = complaints


def _summary(complaints: Sequence[Complaint]) -> str:
    others = f" (and {counted(len(complaints) - 1, 'other error')})" if complaints[1:] else ""
    return f"{complaints[0]}{others}"
