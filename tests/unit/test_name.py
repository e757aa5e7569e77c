"""Names that can be told apart, typed and mapped; the others are refused with what to change."""

from __future__ import annotations

import pytest

from trunkline.core.error import InvalidValueError
from trunkline.core.name import LONGEST, check_name, check_physnet, is_mappable


@pytest.mark.parametrize(
    "name",
    [
        "web",
        "a",
        "Web Server 1",
        "\u00e9t\u00e9",
        "a:b",
        "6f2c0a3e-8a5e-4d5e-9d5a-0a1b2c3d4e5f",
        "x" * LONGEST,
    ],
)
def test_a_name_may_be_what_can_be_typed(name: str) -> None:
    check_name("network", name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "needs a name that is not empty"),
        ("  ", "needs a name that is not empty"),
        (" web", "remove the blanks at its ends"),
        ("web\u00a0", "use printable characters only"),
        ("a,b", "leave out the comma"),
        ("a\nb", "use printable characters only"),
        ("a\u202eb", "use printable characters only"),
        ("x" * (LONGEST + 1), "use 255 characters at most"),
    ],
)
def test_what_cannot_be_told_apart_or_typed_is_refused_in_a_short_line(name: str, reason: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        check_name("network", name)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize("name", ["physnet1", "phys net"])
def test_a_physical_network_may_be_what_a_mapping_can_name(name: str) -> None:
    check_physnet(name)
    assert is_mappable(name)


@pytest.mark.parametrize("name", ["a:b", "a,b", " a", "a ", ":", "", "x" * 256])
def test_a_physical_network_that_no_mapping_can_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidValueError):
        check_physnet(name)
    assert not is_mappable(name) or len(name) > LONGEST
