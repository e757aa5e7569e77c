"""The container image of packaging/container, built and run by buildah, without a network.

buildah runs it as chroot does, so this also works inside a container. What it shows is what the recipe makes:
its files, what starts by itself, and that this needs no capability and no more than its volumes.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_TIMEOUT_S = 300.0
_RECIPE = Path(__file__).parents[2] / "packaging" / "container" / "Containerfile"
_NAME = "trunkline"


class Image:
    """The image that the recipe makes of the files *root*, as its base, and of *packages*.

    All that buildah keeps is in *folder*.
    """

    def __init__(self, folder: Path, root: Path, packages: Iterable[Path]) -> None:
        self._buildah = [
            # What it mounts, and what it starts, ends with it.
            *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "buildah"),
            *("--root", f"{folder}/storage", "--runroot", f"{folder}/run", "--storage-driver", "overlay"),
        ]
        self._do("from", "--name", "base", "scratch")
        self._do("add", "--quiet", "base", str(root), "/")
        self._do("commit", "--quiet", "--rm", "base", "base")
        context = folder / "context"
        (context / "dist").mkdir(parents=True)
        for package in packages:
            shutil.copy(package, context / "dist")
        self._do(
            *("build", "--isolation", "chroot", "--build-arg", "BASE=localhost/base", "--tag", _NAME),
            *("--file", str(_RECIPE), str(context)),
        )

    def started(self, volumes: Mapping[Path, str], *words: str) -> list[str]:
        """Return what starts a container of it with *words*, and with *volumes*, by their places in it."""
        container = self._do("from", f"localhost/{_NAME}").strip()
        form = "{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}"
        entry = self._do("inspect", "--format", form, container).split()
        default = self._do("inspect", "--format", form.replace("Entrypoint", "Cmd"), container).split()
        mounts = (word for here, there in volumes.items() for word in ("--volume", f"{here}:{there}"))
        run = ("run", "--isolation", "chroot", "--cap-drop", "all", *mounts, container, "--")
        return [*self._buildah, *run, *entry, *(words or default)]

    def run(self, volumes: Mapping[Path, str], *words: str) -> str:
        """Run it to its end, which has to be a good one; return what it printed."""
        return _done(self.started(volumes, *words))

    @contextmanager
    def running(self, volumes: Mapping[Path, str], *words: str) -> Iterator[None]:
        """Run it for the length of the block."""
        with subprocess.Popen(self.started(volumes, *words), stdin=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.kill()

    def _do(self, *words: str) -> str:
        return _done([*self._buildah, *words])


def _done(argv: list[str]) -> str:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, (
        f"{argv}\nended with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
    )
    return done.stdout
