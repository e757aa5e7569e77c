"""Taking a lab down removes its directory as a whole, so nothing but a lab's own may be reached by a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trunkline.lab import Lab, LabError, topology
from trunkline.lab import lab as labs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory of labs that has a neighbour with a file in it."""
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour" / "journal").write_text("")
    monkeypatch.setattr(labs, "STATE", state)
    return state


@pytest.mark.parametrize("name", ["../neighbour", "..", ".", "", "a/../../neighbour", "a b", "Big"])
def test_a_name_that_is_not_a_labs_takes_nothing_down(state: Path, name: str) -> None:
    with pytest.raises(LabError, match="lab name"):
        labs.down(name)
    assert (state.parent / "neighbour" / "journal").exists()
    assert state.exists()


def test_an_absolute_path_is_not_a_labs_name(state: Path) -> None:
    with pytest.raises(LabError, match="lab name"):
        labs.down(str(state.parent / "neighbour"))
    assert (state.parent / "neighbour" / "journal").exists()


def test_a_topology_made_in_code_cannot_name_another_directory(state: Path) -> None:
    with pytest.raises(LabError, match="lab name"):
        Lab.up(topology.Topology("../neighbour", ()))
    assert (state.parent / "neighbour" / "journal").exists()


def test_a_symbolic_link_among_the_labs_is_not_followed(state: Path) -> None:
    (state / "link").symlink_to(state.parent / "neighbour")
    with pytest.raises(LabError, match="is a symbolic link"):
        labs.down("link")
    assert (state.parent / "neighbour" / "journal").exists()


def test_a_directory_without_a_journal_is_not_a_labs(state: Path) -> None:
    (state / "other").mkdir()
    (state / "other" / "file").write_text("precious")
    with pytest.raises(LabError, match="has no journal"):
        labs.down("other")
    assert (state / "other" / "file").exists()


def test_a_lab_that_was_killed_before_it_made_anything_is_taken_down(state: Path) -> None:
    (state / "early").mkdir()
    assert labs.down("early")
    assert not (state / "early").exists()
    assert not labs.down("early")


def test_a_lab_with_an_empty_journal_is_taken_down(state: Path) -> None:
    (state / "done").mkdir()
    (state / "done" / "journal").write_text("")
    assert labs.down("done")
    assert not (state / "done").exists()
