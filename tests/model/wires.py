"""What leaves a switch by dummy devices, frame by frame."""

from __future__ import annotations

import struct
from pathlib import Path


class Wires:
    """What went out of dummy devices, read from their pcap files (pcap-savefile(5))."""

    def __init__(self) -> None:
        self._path_by_name: dict[str, Path] = {}
        self._read: dict[str, int] = {}

    def add(self, name: str, path: Path) -> None:
        self._path_by_name[name] = path
        self._read[name] = 0

    def new(self) -> dict[str, list[bytes]]:
        """Return the frames by device since the last call; a device that sent none is left out."""
        found = {}
        for name, path in self._path_by_name.items():
            size = path.stat().st_size if path.exists() else 0
            # A device that was made anew has a file that begins anew.
            start = self._read[name] if 24 <= self._read[name] <= size else 24
            data = b""
            if start < size:
                with path.open("rb") as file:
                    file.seek(start)
                    data = file.read()
            frames, at = [], 0
            while at + 16 <= len(data):
                (length,) = struct.unpack_from("<I", data, at + 8)
                frames.append(data[at + 16 : at + 16 + length])
                at += 16 + length
            self._read[name] = start + at
            if frames:
                found[name] = frames
        return found
