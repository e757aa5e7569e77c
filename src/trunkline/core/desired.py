"""The desired flows, and the subject of each. A plan compares them with the installed flows.

Here a flow is its key and its body, as in `trunkline.core.plan`. A subject is any hashable value that stands
for what the flow was made from.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)


class Desired(Generic[S]):
    """The flows that should be installed; each key is held by one subject.

    If two subjects want the same key, the first one holds it and the other waits for it. So a row that
    contradicts another takes nothing away from it.
    """

    def __init__(self) -> None:
        self.body_by_key: dict[bytes, bytes] = {}
        """The body of every desired flow, by key."""
        self.keys_by_subject: dict[S, tuple[bytes, ...]] = {}
        """The keys that each subject holds. A subject without keys is absent."""
        self._subject_by_key: dict[bytes, S] = {}
        self._waiting_by_key: dict[bytes, dict[S, bytes]] = {}
        self._awaited_by_subject: dict[S, tuple[bytes, ...]] = {}

    def replace(self, encoded_by_subject: Mapping[S, Iterable[tuple[bytes, bytes]]]) -> set[bytes]:
        """Give each subject exactly the (key, body) pairs listed for it; return every key that this touched.

        All subjects change at once, so a key may pass from one to another. A subject that is not listed keeps
        its keys; once it gives one up, the next subject in line gets it. A touched key may be the same as
        before. The work depends only on the number of old and new keys. If an iterable raises, nothing
        changes.

        >>> desired: Desired[str] = Desired()
        >>> sorted(desired.replace({"a": [(b"1", b"drop")], "b": [(b"1", b"pass"), (b"2", b"pass")]}))
        [b'1', b'2']
        >>> desired.conflicts, desired.subject_of(b"1")
        ({'b': 'a'}, 'a')
        >>> desired.replace({"a": []}), desired.subject_of(b"1"), desired.conflicts
        ({b'1'}, 'b', {})
        """
        wanted = {subject: dict(encoded) for subject, encoded in encoded_by_subject.items()}
        touched: set[bytes] = set()
        for subject in wanted:
            touched.update(self._release(subject))
        for subject, body_by_key in wanted.items():
            touched.update(self._claim(subject, body_by_key))
        for key in touched:
            if key in self._waiting_by_key and key not in self.body_by_key:
                self._hand_on(key)
        return touched

    @property
    def conflicts(self) -> dict[S, S]:
        """By each subject that waits for a key, the subject (or one of those) that holds it."""
        return {
            loser: self._subject_by_key[keys[0]] for loser, keys in self._awaited_by_subject.items() if keys
        }

    def subject_of(self, key: bytes) -> S | None:
        """Return the subject that holds *key*, or None."""
        return self._subject_by_key.get(key)

    def _release(self, subject: S) -> tuple[bytes, ...]:
        """Take everything from *subject*; return the keys that it held."""
        for key in self._awaited_by_subject.pop(subject, ()):
            waiting = self._waiting_by_key[key]
            del waiting[subject]
            if not waiting:
                del self._waiting_by_key[key]
        held = self.keys_by_subject.pop(subject, ())
        for key in held:
            del self.body_by_key[key]
            del self._subject_by_key[key]
        return held

    def _claim(self, subject: S, body_by_key: dict[bytes, bytes]) -> tuple[bytes, ...]:
        """Give *subject*, which has no keys, the free ones; let it wait for the rest. Return its keys."""
        held = tuple(key for key in body_by_key if key not in self.body_by_key)
        for key in held:
            self.body_by_key[key] = body_by_key[key]
            self._subject_by_key[key] = subject
        if held:
            self.keys_by_subject[subject] = held
        if len(held) < len(body_by_key):
            awaited = tuple(key for key in body_by_key if self._subject_by_key[key] != subject)
            self._awaited_by_subject[subject] = awaited
            for key in awaited:
                self._waiting_by_key.setdefault(key, {})[subject] = body_by_key[key]
        return held

    def _hand_on(self, key: bytes) -> None:
        """Give *key*, which no subject holds, to the one that has waited for it the longest."""
        waiting = self._waiting_by_key[key]
        subject = next(iter(waiting))
        self.body_by_key[key] = waiting.pop(subject)
        self._subject_by_key[key] = subject
        self.keys_by_subject[subject] = (*self.keys_by_subject.get(subject, ()), key)
        if not waiting:
            del self._waiting_by_key[key]
        awaited = tuple(each for each in self._awaited_by_subject[subject] if each != key)
        if awaited:
            self._awaited_by_subject[subject] = awaited
        else:
            del self._awaited_by_subject[subject]
