"""Marks: which views may differ from what they were when they were computed last."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from trunkline.core.subject import CHASSIS, SubjectId


class Marks:
    """The marked subjects, each once, in the order in which they were marked; the chassis from the start.

    >>> marks = Marks()
    >>> marks.mark(CHASSIS); marks.are_empty, marks.take(), marks.are_empty
    (False, [ChassisSubject(kind=<Subject.CHASSIS: 0>)], True)
    """

    def __init__(self) -> None:
        self._dirty: dict[SubjectId, None] = {CHASSIS: None}

    @property
    def are_empty(self) -> bool:
        """Whether no subject is marked."""
        return not self._dirty

    def mark(self, subject: SubjectId) -> None:
        """Have the view of *subject* computed again."""
        self._dirty[subject] = None

    def mark_all(self, subjects: Iterable[SubjectId]) -> None:
        """Have the views of *subjects* computed again."""
        for subject in subjects:
            self._dirty[subject] = None

    def take(self, most: int | None = None) -> list[SubjectId]:
        """Unmark the subjects and return them; of more than *most*, those that were marked first."""
        if most is None or len(self._dirty) <= most:
            dirty, self._dirty = list(self._dirty), {}
        else:
            dirty = list(islice(self._dirty, most))
            for subject in dirty:
                del self._dirty[subject]
        return dirty
