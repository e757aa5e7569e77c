"""The page on `apply` shows what the program says: its files are written, and its commands run in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system

PAGE = Path(__file__).parents[2] / "docs" / "apply.md"


def files(page: str) -> dict[str, str]:
    """Return the files of *page*: each is a block after its name."""
    return dict(re.findall(r"`([\w.]+)`[^`\n]*:\n\n```yaml\n(.*?)```", page, re.DOTALL))


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Yield each command of *page*, and what is shown to come of it."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, said = part.partition("\n")
            yield command, said


def test_every_command_says_what_the_page_shows(
    nb: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGE.read_text()
    monkeypatch.chdir(tmp_path)
    for name, text in files(page).items():
        Path(name).write_text(text)
    assert page.count("```yaml") == len(files(page))
    shown = list(commands(page))
    assert len(shown) == page.count("\n$ ") > 5
    for command, said in shown:
        program, *arguments = command.split()
        assert program == "trunkline"
        done = subprocess.run(
            [sys.executable, "-m", "trunkline", *arguments],
            env=os.environ | {"TRUNKLINE_NB": nb.remote},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == said, command
