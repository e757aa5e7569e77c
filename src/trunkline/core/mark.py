"""Marks: which views may have changed since they were last computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from trunkline.core.subject import CHASSIS, SubjectId


class Marks:
    """The marked subjects, each once, in the order in which they were marked. The chassis is marked at first.

    *revision* counts the marks. Everything that is computed from the rows has the revision of that moment.

    >>> marks = Marks()
    >>> marks.mark(CHASSIS); list(marks) == [CHASSIS]
    True
    >>> marks.unmark([CHASSIS]); marks.are_empty
    True
    """

    def __init__(self, revision: int = 0) -> None:
        self.revision = revision
        self._dirty: dict[SubjectId, None] = {CHASSIS: None}

    def __iter__(self) -> Iterator[SubjectId]:
        return iter(self._dirty)

    @property
    def are_empty(self) -> bool:
        """Whether no subject is marked."""
        return not self._dirty

    def mark(self, subject: SubjectId) -> None:
        """Mark *subject*: its view has to be computed again."""
        self._dirty[subject] = None
        self.revision += 1

    def mark_all(self, subjects: Iterable[SubjectId]) -> None:
        """Mark *subjects*: their views have to be computed again."""
        for subject in subjects:
            self.mark(subject)

    def unmark(self, subjects: Collection[SubjectId]) -> None:
        """Unmark *subjects*, which must all be marked: their views are current."""
        if len(subjects) == len(self._dirty):
            self._dirty = {}
            return
        for subject in subjects:
            del self._dirty[subject]
