"""The desired flows, and which subject each is of: what a plan compares with the installed ones.

A flow is its key and its body here, as in `trunkline.core.plan`; a subject is any hashable name of what the
flow was made from.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)


class Desired(Generic[S]):
    """The flows that should be; each key is held by one subject.

    Where two subjects want one key, the one that came first holds it and the other waits for it: a row that
    contradicts another takes nothing from it.
    """

    def __init__(self) -> None:
        self.body_by_key: dict[bytes, bytes] = {}
        """Body by key of every desired flow."""
        self.keys_by_subject: dict[S, tuple[bytes, ...]] = {}
        """The keys that each subject holds; a subject that holds none is not there."""
        self._subject_by_key: dict[bytes, S] = {}
        self._waiting_by_key: dict[bytes, dict[S, bytes]] = {}
        self._awaited_by_subject: dict[S, tuple[bytes, ...]] = {}

    def replace(self, encoded_by_subject: Mapping[S, Iterable[tuple[bytes, bytes]]]) -> set[bytes]:
        """Let each subject have just the (key, body) pairs given for it; return every key that this touched.

        All subjects change at once, so that a key may pass from one to another. A key that an unnamed subject
        holds stays with it, and is handed on when it is given up. A touched key need not differ from before.
        The work depends on the number of old and new keys alone. An iterable that raises changes nothing.

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
        """Of each subject that waits for a key, the subject that holds it (one of them, where several do)."""
        return {
            loser: self._subject_by_key[keys[0]] for loser, keys in self._awaited_by_subject.items() if keys
        }

    def subject_of(self, key: bytes) -> S | None:
        """Return the subject that holds *key*, None where nobody does."""
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
        """Give *subject*, which has nothing, what is free and let it wait for the rest; return its keys."""
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
        """Give *key*, which nobody holds, to the subject that has waited for it the longest."""
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
