"""The desired flows: who holds a key, and what happens when two want it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trunkline.core.desired import Desired

MAC, TAG, WAY = b"mac", b"tag", b"way"


def test_a_replaced_subject_keeps_only_what_is_given_for_it() -> None:
    desired: Desired[str] = Desired()
    assert desired.replace({"a": [(MAC, b"1"), (TAG, b"1")]}) == {MAC, TAG}
    assert desired.replace({"a": [(TAG, b"2"), (WAY, b"2")]}) == {MAC, TAG, WAY}
    assert desired.body_by_key == {TAG: b"2", WAY: b"2"}
    assert desired.keys_by_subject == {"a": (TAG, WAY)}
    assert desired.subject_of(MAC) is None


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_key_passes_from_one_subject_to_another_in_one_change(order: tuple[str, str]) -> None:
    desired: Desired[str] = Desired()
    desired.replace({"a": [(MAC, b"of a")], "b": [(TAG, b"of b")]})
    swapped = {"a": [(TAG, b"of a")], "b": [(MAC, b"of b")]}
    assert desired.replace({subject: swapped[subject] for subject in order}) == {MAC, TAG}
    assert desired.body_by_key == {MAC: b"of b", TAG: b"of a"}
    assert desired.conflicts == {}


def test_a_key_that_another_subject_holds_is_not_taken() -> None:
    desired: Desired[str] = Desired()
    desired.replace({"a": [(MAC, b"of a")]})
    assert desired.replace({"b": [(MAC, b"of b"), (TAG, b"of b")]}) == {TAG}
    assert desired.body_by_key == {MAC: b"of a", TAG: b"of b"}
    assert desired.conflicts == {"b": "a"}


def test_the_subject_that_waited_longest_gets_the_key_that_its_holder_gives_up() -> None:
    desired: Desired[str] = Desired()
    for subject in "abc":
        desired.replace({subject: [(MAC, subject.encode())]})
    assert desired.conflicts == {"b": "a", "c": "a"}
    assert desired.replace({"a": []}) == {MAC}
    assert desired.body_by_key == {MAC: b"b"}
    assert desired.keys_by_subject == {"b": (MAC,)}
    assert desired.conflicts == {"c": "b"}


def test_a_subject_that_no_longer_wants_a_key_does_not_get_it() -> None:
    desired: Desired[str] = Desired()
    for subject in "ab":
        desired.replace({subject: [(MAC, subject.encode())]})
    assert desired.replace({"b": []}) == set()
    assert desired.conflicts == {}
    assert desired.replace({"a": []}) == {MAC}
    assert desired.body_by_key == {}


def test_a_holder_that_wants_its_key_still_keeps_it_from_those_that_wait() -> None:
    desired: Desired[str] = Desired()
    for subject in "ab":
        desired.replace({subject: [(MAC, subject.encode())]})
    assert desired.replace({"a": [(MAC, b"a again")]}) == {MAC}
    assert desired.body_by_key == {MAC: b"a again"}
    assert desired.conflicts == {"b": "a"}


def test_flows_that_cannot_be_encoded_leave_all_as_it_was() -> None:
    def broken() -> Iterator[tuple[bytes, bytes]]:
        yield TAG, b"2"
        raise ValueError("does not fit")

    desired: Desired[str] = Desired()
    desired.replace({"a": [(MAC, b"1")]})
    with pytest.raises(ValueError, match="does not fit"):
        desired.replace({"b": [(WAY, b"2")], "a": broken()})
    assert desired.body_by_key == {MAC: b"1"}
    assert desired.keys_by_subject == {"a": (MAC,)}
