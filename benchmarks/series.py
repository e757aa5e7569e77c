"""Series of measurements, and what they say beside each other."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Series:
    """What was measured of one contender for one thing; the smaller the better, unless *is_rate*."""

    case: str
    work: str
    contender: str
    unit: str
    values: list[float] = field(default_factory=list)
    is_rate: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        """The median; not a number if nothing was measured."""
        return statistics.median(self.values) if self.values else float("nan")

    def percentile(self, percent: int) -> float:
        """Return the value that *percent* % of the values do not exceed, by the nearest rank."""
        ranked = sorted(self.values)
        return ranked[min(len(ranked) - 1, -(-len(ranked) * percent // 100) - 1)] if ranked else float("nan")

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        summary = {
            "median": self.median,
            "minimum": min(self.values, default=None),
            "maximum": max(self.values, default=None),
        }
        return {**self.__dict__, **summary}


class Results:
    """All series of a run, in the order in which they began."""

    def __init__(self) -> None:
        self.series: list[Series] = []

    def record(
        self,
        case: str,
        work: str,
        contender: str,
        unit: str,
        values: float | Sequence[float],
        *,
        is_rate: bool = False,
        note: str = "",
    ) -> None:
        """Add *values* to the series of that name."""
        found = next(
            (
                each
                for each in self.series
                if (each.case, each.work, each.contender) == (case, work, contender)
            ),
            None,
        )
        if found is None:
            found = Series(case, work, contender, unit, is_rate=is_rate, note=note)
            self.series.append(found)
        found.values += [values] if isinstance(values, int | float) else values
        found.note = note or found.note

    def peers(self, ours: Series) -> Iterable[Series]:
        """Yield the series of the others for the same work."""
        return (
            each
            for each in self.series
            if (each.case, each.work) == (ours.case, ours.work) and each is not ours
        )

    def ratio(self, series: Series, first: str = "trunkline") -> float | None:
        """Return how many times as long, or as much, as ours *series* takes; None for ours itself."""
        ours = next((each for each in self.peers(series) if each.contender == first), None)
        if ours is None or not ours.values or not series.values or not ours.median:
            return None
        return ours.median / series.median if series.is_rate else series.median / ours.median
