"""What `scripts/matrix-guest` does in the files that it is started in, with a kernel that lacks a module."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

SCRIPT = Path(__file__).parents[2] / "scripts" / "matrix-guest"

# The files of this machine, and over them what is written here; with a modprobe that knows no module.
# There is an /out of the script's if these tests run in its files.
STARTED = """
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
rm -rf "$1/root/out"
mkdir -p "$1/root/out" "$1/root/opt/venv/bin"
echo "KIND=tests DATAPATH=system MODULES='openvswitch veth'" >"$1/root/out/job"
printf '#!/bin/sh\\n! [ "$2" = openvswitch ]\\n' >"$1/root/opt/venv/bin/modprobe"
chmod +x "$1/root/opt/venv/bin/modprobe"
cp "$2" "$1/root/sbin/matrix-guest"
chroot "$1/root" /sbin/matrix-guest host
grep -H . "$1/root/out/summary" "$1/root/out/rc" | sed 's/.*out.//'
test ! -e "$1/root/out/log"
"""


def test_a_kernel_without_the_module_is_named_and_no_test_is_begun(tmp_path: Path) -> None:
    argv = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec", STARTED, "sh"]
    done = subprocess.run(
        [*argv, str(tmp_path), str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    kernel = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    assert done.stdout.splitlines()[1:] == [
        f"summary:the kernel, Linux {kernel}, has no module openvswitch",
        "rc:1",
    ]
