"""`trunkline-neutron` where there is no Neutron, as for all tests but those on a real one."""

from __future__ import annotations

import subprocess
import sys


def typed(*words: str) -> tuple[int, str, str]:
    code = "from trunkline.cli.neutron import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_without_neutron_it_is_one_line_that_says_so() -> None:
    code, shown, said = typed("sync", "--dry-run")
    assert (code, shown, said.count("\n")) == (1, "", 1)
    assert said.startswith(f"trunkline-neutron: Neutron is not installed for {sys.executable}")


def test_help_and_usage_need_no_neutron() -> None:
    assert typed("sync", "--help")[0] == 0
    code, shown, said = typed("sync")
    assert (code, shown) == (2, "")
    assert said.startswith("trunkline-neutron sync: standard input is not a terminal")
