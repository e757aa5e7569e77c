"""Sources: the texts that documents stand in, files and what comes by standard input."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trunkline.manifest.complaint import Complaint, Mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDIN = "-"
SUFFIXES = frozenset({".yaml", ".yml", ".json"})
"""How the names of the files end that a directory stands for."""

MOST_BYTES = 256 << 20
"""How much text is read at most, in all: some twenty times what one transaction can hold."""


class Source(NamedTuple):
    """A text, and the name of the file that it is from."""

    name: str
    text: str


def sources(names: Iterable[str], complaints: list[Complaint]) -> Iterator[Source]:
    """Yield the texts of the files *names*; `-` is standard input, a directory stands for its YAML files.

    A file that is named twice is read once. What cannot be read is added to *complaints*.
    """
    left, seen = MOST_BYTES, set()
    for name in names:
        try:
            for path in _files(name):
                place = path if path == STDIN else os.path.realpath(path)
                if place in seen:
                    continue
                seen.add(place)
                shown = _shown(path)
                data = _bytes(path, left + 1)
                left -= len(data)
                if left < 0:
                    raise OSError(f"the files have more than {MOST_BYTES >> 20} MB; apply fewer at a time")
                yield Source(shown, data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            complaints.append(Complaint(Mark(shown, line), "this is not UTF-8 text", hides=True))
        except OSError as error:
            complaints.append(
                Complaint(Mark(error.filename or _shown(name)), error.strerror or str(error), hides=True)
            )


def _shown(path: str) -> str:
    return "stdin" if path == STDIN else path


def _files(name: str) -> Iterator[str]:
    if name == STDIN or not Path(name).is_dir():
        yield name
        return
    found = sorted(
        str(path)
        for path in Path(name).iterdir()
        if path.suffix in SUFFIXES and not path.name.startswith(".") and not path.is_dir()
    )
    if not found:
        raise OSError("there is no file *.yaml, *.yml or *.json in this directory")
    for path in found:
        if os.path.exists(path) and not os.path.isfile(path):
            # To open a pipe would wait for somebody who writes to it.
            raise OSError(errno.EINVAL, "this is neither a file nor a directory; remove it from here", path)
        yield path


def _bytes(path: str, most: int) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(most)
    with open(path, "rb") as file:
        return file.read(most)
