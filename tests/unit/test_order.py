"""The order of names, as people expect it."""

from __future__ import annotations

from itertools import permutations

from trunkline.core.name import natural
from trunkline.core.order import by_value


def test_numbers_in_names_count_by_their_value() -> None:
    names = ["", "9", "010", "10", "a", "vm2", "vm10", "vm10a", "vm11"]
    for start in (names, names[::-1], names[4:] + names[:4]):
        assert sorted(start, key=natural) == names


def test_names_with_any_digits_have_one_order() -> None:
    names = ["1" * 5000, "a" + "1" * 5000, "a٣", "a2", "a02", "a²"]
    orders = {tuple(sorted(each, key=natural)) for each in permutations(names)}
    assert len(orders) == 1


def test_values_of_every_type_of_column_can_be_sorted() -> None:
    assert sorted([True, None, False], key=by_value) == [None, False, True]
    maps = [{"a": "10"}, {"a": "9"}, {}]
    assert sorted(maps, key=by_value) == [{}, {"a": "9"}, {"a": "10"}]
