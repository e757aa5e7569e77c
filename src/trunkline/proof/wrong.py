"""What is wrong about a violation: each copy that should not leave, or should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Iterator
from typing import NamedTuple

from trunkline.proof.intent import Intent
from trunkline.proof.proof import Violation, outer_vlan_id
from trunkline.proof.space import HIDDEN
from trunkline.proof.way import Tags

CROSSES, FORBIDDEN, ALTERED, TWICE, EXTRA, MISSING, NOWHERE = WORST_FIRST = (
    *("crosses", "forbidden", "altered", "twice", "extra", "missing", "nowhere"),
)


class Wrong(NamedTuple):
    """A copy that leaves by *ofport* with *tags*, or should.

    *what* is `CROSSES` if it leaves for another network; `FORBIDDEN` if not one copy may leave; `ALTERED` if
    it is another frame by then; `TWICE` if it has left before; `EXTRA` if its receiver is another one;
    `MISSING` if it does not leave; and `NOWHERE` if it is sent to *ofport*, and no port has this number.
    """

    what: str
    ofport: int
    tags: Tags
    violation: Violation

    @property
    def kind(self) -> Hashable:
        """What those have in common that are one to an operator."""
        meant, rules = self.violation.meant, self.violation.rules
        why = meant.refusal if self.what == FORBIDDEN else None
        return self.what, meant.network_id, why, self.ofport, self.tags, rules[-1].key if rules else None

    @property
    def has_inner_tag(self) -> bool:
        """Whether a tag is inside that may not pass."""
        violation = self.violation
        inside = any(violation.space.within(hidden) is not None for hidden in HIDDEN)
        return violation.meant.refusal is not None and inside


def wrongs(violation: Violation, intent: Intent, ofports: Container[int] | None = None) -> Iterator[Wrong]:
    """Yield what is wrong about *violation*; *ofports* are the numbers that ports have, None if all do."""
    left = Counter(violation.wanted)
    sent = set()
    for ofport, tags in violation.got:
        what = None
        if left[ofport, tags]:
            left[ofport, tags] -= 1
            what = ALTERED if violation.is_altered else None
        elif ofports is not None and ofport not in ofports:
            what = NOWHERE
        elif (ofport, tags) in sent:
            what = TWICE
        elif intent.network_at((ofport, outer_vlan_id(tags))) != violation.meant.network_id:
            what = CROSSES
        else:
            what = EXTRA if violation.meant.refusal is None else FORBIDDEN
        sent.add((ofport, tags))
        if what is not None:
            yield Wrong(what, ofport, tags, violation)
    for ofport, tags in left.elements():
        yield Wrong(MISSING, ofport, tags, violation)
