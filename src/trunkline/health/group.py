"""Groups of findings that have one cause: 500 chassis without a mapping are one line for a person."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.name import natural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from trunkline.health.finding import Finding

MOST_NAMES = 3
"""How many names of one kind are shown, if there are more."""


class Group(NamedTuple):
    """Findings with one code and one text; *first* is one of them, and has the others' remedy too.

    *is_each*: they are several, and the text is about each of them.
    """

    first: Finding
    subjects: tuple[str, ...]
    chassis: tuple[str, ...]
    is_each: bool

    @property
    def where(self) -> str:
        """What it is about: the subjects, and on which chassis."""
        by_noun: dict[str, list[str]] = defaultdict(list)
        for subject in self.subjects:
            noun, _, name = subject.partition(" ")
            by_noun[noun].append(name)
        what = ", ".join(_said(noun, names) for noun, names in by_noun.items())
        is_said = not self.chassis or set(by_noun) == {"chassis"}
        return what if is_said else f"{what} on {some(self.chassis)}"


def groups(found: Iterable[Finding]) -> list[Group]:
    """Return *found* in groups: errors first, then by code, the largest first."""
    by_cause: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for each in found:
        by_cause[each.severity, each.code, each.text].append(each)
    made = [
        Group(
            min(members, key=lambda each: natural(each.subject)),
            _distinct(subject for each in members for subject in each.subjects),
            _distinct(each.chassis for each in members if each.chassis is not None),
            len({each.subject for each in members}) > 1,
        )
        for members in by_cause.values()
    ]
    return sorted(
        made,
        key=lambda group: (
            group.first.severity,
            group.first.code,
            -len(group.subjects) - len(group.chassis),
            natural(group.first.subject),
        ),
    )


def some(names: Collection[str], most: int = MOST_NAMES) -> str:
    """Return *names* in a sentence, the first few of them; an empty one in quotes.

    >>> some(["c1"]), some(["c2", "c1", "c10"]), some(["c1", "c2", "c3", "c4"], 2), some([""])
    ('c1', 'c1, c2, c10', 'c1, c2 and 2 more', "''")
    """
    ordered = [name or "''" for name in sorted(names, key=natural)]
    if len(ordered) <= most:
        return ", ".join(ordered)
    return f"{', '.join(ordered[:most])} and {len(ordered) - most:,} more"


def _said(noun: str, names: Collection[str]) -> str:
    """Return *names* after their *noun*; what there is one of, such as the switch, has no name."""
    word = noun if len(names) == 1 or noun == "chassis" else f"{noun}s"
    return f"{word} {some(names)}" if any(names) else word


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names), key=natural))
