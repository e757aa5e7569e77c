from __future__ import annotations

from collections.abc import Iterator, Mapping

from trunkline.core.plan import Plan, advance, plan

OLD = b"cookie-1drop"
NEW = b"cookie-1pass"
RENAMED = b"cookie-2drop"


def test_new_key_is_added_and_a_gone_one_deleted() -> None:
    assert plan({b"new": NEW}, {b"gone": OLD}) == Plan({b"new": NEW}, {}, {b"gone": OLD})


def test_other_instructions_under_the_same_cookie_are_a_modify() -> None:
    """DESIGN.md, Lifecycle 2: flows that did not change keep their counters; a modify keeps them too."""
    assert plan({b"k": NEW}, {b"k": OLD}) == Plan({}, {b"k": NEW}, {})


def test_other_cookie_is_an_add_that_replaces() -> None:
    assert plan({b"k": RENAMED}, {b"k": OLD}) == Plan({b"k": RENAMED}, {}, {})


def test_plan_counts_its_flows() -> None:
    change = plan({b"new": NEW, b"k": NEW}, {b"gone": OLD, b"k": OLD})
    assert len(change) == 3
    assert not change.is_empty
    assert plan({}, {}).is_empty


def test_unknown_and_repeated_keys_do_no_harm() -> None:
    assert plan({b"k": NEW}, {b"k": OLD}, [b"k", b"k", b"nowhere"]) == Plan({}, {b"k": NEW}, {})


class Unwalkable(Mapping[bytes, bytes]):
    """A map that can be asked but not walked."""

    def __init__(self, content: dict[bytes, bytes]) -> None:
        self.content = content

    def __getitem__(self, key: bytes) -> bytes:
        return self.content[key]

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("walked")

    def __len__(self) -> int:
        raise AssertionError("counted")


def test_plan_of_some_keys_walks_neither_map() -> None:
    """DESIGN.md section 7: one port costs one port's work."""
    change = plan(Unwalkable({b"k": NEW}), Unwalkable({b"k": OLD, b"other": OLD}), [b"k"])
    assert change.modifies == {b"k": NEW}


def test_advance_changes_the_installed_flows_in_place() -> None:
    installed = {b"gone": OLD, b"k": OLD, b"same": OLD}
    advance(installed, Plan({b"new": NEW}, {b"k": NEW}, {b"gone": OLD}))
    assert installed == {b"k": NEW, b"same": OLD, b"new": NEW}
