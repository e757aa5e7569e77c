"""A machine for packages: the files of a Debian release, in namespaces, with what it writes on top of them.

Its process 1 only reaps the others. When that ends, the kernel ends all that was started there.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

_TIMEOUT_S = 300.0

_PROCESS_1 = """
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$AT/upper,workdir=$AT/work" "$AT/root"
cd "$AT/root"
mount -t proc proc proc
mount -t sysfs sys sys
mount --rbind /dev dev
mount -t tmpfs run run
mount -t tmpfs tmp tmp
mkdir run/netns run/openvswitch
hostname c1
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
exec chroot . sh -c 'echo ready; sleep infinity; :'
"""


class Machine:
    """The files of *layers*, the topmost first, and *folder* for what is written here."""

    def __init__(self, folder: Path, *layers: Path) -> None:
        for name in ("upper", "work", "root"):
            (folder / name).mkdir(parents=True)
        self.upper = folder / "upper"
        self._shell = subprocess.Popen(
            [
                *("unshare", "--mount", "--net", "--uts", "--pid", "--ipc", "--fork", "--kill-child"),
                *("--propagation", "private", "sh", "-ec", _PROCESS_1),
            ],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LOWER": ":".join(map(str, layers)),
                "AT": str(folder),
            },
            stdout=subprocess.PIPE,
        )
        assert self._shell.stdout is not None
        assert self._shell.stdout.readline() == b"ready\n"
        self._pid = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children").read_text().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._shell.communicate()

    def path(self, inside: str) -> Path:
        """Return where this process finds the file *inside*."""
        return Path(f"/proc/{self._pid}/root{inside}")

    def run(self, script: str) -> tuple[int, str]:
        """Run *script* there as root, and return its exit code and what it printed to both streams.

        What it starts in the background goes on, if it does not write to these.
        """
        done = subprocess.run(
            [
                *("nsenter", "--target", self._pid, "--mount", "--net", "--uts", "--pid", "--ipc", "--root"),
                *("--wd", "sh", "-c", script),
            ],
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/root",
                "LANG": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        return done.returncode, done.stdout

    def do(self, script: str) -> str:
        """Run *script*, of which each command has to succeed; return what it printed."""
        code, said = self.run(f"set -e\n{script}")
        assert code == 0, f"{script}\nended with exit code {code}, and printed:\n{said}"
        return said
