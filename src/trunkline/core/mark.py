"""Marks: which views may differ from what they were when they were computed last."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from trunkline.core.subject import CHASSIS, SubjectId


class Marks:
    """The marked subjects, each once, in the order in which they were marked; the chassis from the start.

    *revision* counts up with each mark: what follows from the rows is of the revision that they had then.

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
        """Have the view of *subject* computed again."""
        self._dirty[subject] = None
        self.revision += 1

    def mark_all(self, subjects: Iterable[SubjectId]) -> None:
        """Have the views of *subjects* computed again."""
        for subject in subjects:
            self.mark(subject)

    def unmark(self, subjects: Collection[SubjectId]) -> None:
        """Have the views of *subjects*, which are all marked, stand as they are."""
        if len(subjects) == len(self._dirty):
            self._dirty = {}
            return
        for subject in subjects:
            del self._dirty[subject]
