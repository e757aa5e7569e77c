"""A checkout, installed by pipx for somebody who wants the commands alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from trunkline import __version__

ROOT = Path(__file__).parents[2]
INSTALL = 'git -C "$ROOT" archive HEAD | tar -x && pipx install .'


def test_pipx_installs_the_program_of_a_checkout_and_takes_it_away_again(tmp_path: Path) -> None:
    checkout, home = tmp_path / "checkout", tmp_path / "home"
    checkout.mkdir()
    places = {
        "HOME": str(home),
        "PIPX_HOME": f"{home}/pipx",
        "PIPX_BIN_DIR": f"{home}/bin",
        "ROOT": str(ROOT),
    }
    env = os.environ | places

    def do(*argv: str, code: int = 0) -> str:
        done = subprocess.run(
            argv, env=env, cwd=checkout, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    do("sh", "-ec", INSTALL)
    assert sorted(path.name for path in (home / "bin").iterdir()) == ["trunkline", "trunkline-neutron"]
    program = str(home / "bin" / "trunkline")
    assert do(program, "--version") == f"trunkline {__version__}\n"
    assert "_trunkline_completion" in do(program, "completion", "bash")
    said = do(program, "--nb", f"unix:{tmp_path}/nowhere", "port", "list", code=1)
    assert said.count("\n") == 1, said
    do("pipx", "uninstall", "trunkline")
    assert not list((home / "bin").iterdir())
