"""The packages that are tested, and newer ones of the same content."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from machine import Machine

NAMES = ("trunkline", "trunkline-agent", "trunkline-nb")
"""Those that are installed: trunkline-neutron needs Neutron."""

_PLACE = "/opt/packages"
"""Where a machine has them."""


class Packages(NamedTuple):
    """The files of one build."""

    files: tuple[Path, ...]

    def bring(self, machine: Machine) -> str:
        """Copy those of NAMES to *machine*, and return their paths there."""
        place = machine.path(_PLACE)
        place.mkdir(exist_ok=True)
        chosen = [file for file in self.files if file.name.partition("_")[0] in NAMES]
        for file in chosen:
            shutil.copy(file, place)
        return " ".join(f"{_PLACE}/{file.name}" for file in chosen)

    def install(self, machine: Machine) -> str:
        """Install them, offline, and return what apt printed."""
        return machine.do(f"apt-get -q -y install {self.bring(machine)}")

    def newer(self, folder: Path, version: str, conffile: str) -> Packages:
        """Return packages of the same content and a higher *version*, whose *conffile* has one more line."""
        (old,) = {file.name.split("_")[1] for file in self.files}
        folder.mkdir()
        found = []
        for file in self.files:
            tree = folder / file.stem
            subprocess.run(["dpkg-deb", "--raw-extract", str(file), str(tree)], check=True)
            control = tree / "DEBIAN" / "control"
            control.write_text(control.read_text().replace(old, version))
            if (tree / conffile.lstrip("/")).exists():
                with (tree / conffile.lstrip("/")).open("a") as text:
                    text.write("# a line that the newer package has\n")
            found.append(folder / file.name.replace(old, version))
            pack = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(found[-1])]
            subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
        return Packages(tuple(found))


def states(machine: Machine) -> dict[str, str]:
    """Return the state and the version of each package of ours that dpkg knows, by name."""
    form = "${Package} ${db:Status-Status} ${Version}\\n"
    said = machine.run(f"dpkg-query -W -f '{form}' 'trunkline*' 2>/dev/null")[1]
    lines = (line.partition(" ") for line in said.splitlines())
    return {name: state.strip() for name, _, state in lines if not state.startswith("not-installed")}
