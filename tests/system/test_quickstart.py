"""The quickstart page does what it says: its `sh` blocks, run as one script."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from dummy_chassis import until

pytestmark = pytest.mark.system

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"
_NAMESPACE = "quickstart-vm1"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for the script's `mktemp`; what its daemons left of themselves is ended by pid."""
    directory = Path(tempfile.mkdtemp(prefix="tl-qs-"))
    try:
        yield directory
    finally:
        for pidfile in directory.rglob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(pidfile.read_text()), signal.SIGKILL)
        if Path(f"/run/netns/{_NAMESPACE}").exists():
            subprocess.run(["ip", "netns", "delete", _NAMESPACE], check=False)
        shutil.rmtree(directory)


def test_every_line_of_the_quickstart_works_and_prints_what_the_page_shows(directory: Path) -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    program = f'trunkline() {{ "{sys.executable}" -m trunkline "$@"; }}'
    done = subprocess.run(
        ["unshare", "--net", "bash", "-euo", "pipefail"],
        input=f"{program}\n{script}",
        env={key: value for key, value in os.environ.items() if not key.startswith("TRUNKLINE_")}
        | {"TMPDIR": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 packets transmitted, 3 received" in done.stdout
    for shown in re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        assert shown in done.stdout
    assert "push_vlan:0x8100" in done.stdout
    # The daemons of Open vSwitch answer `exit` before they do it.
    until(lambda: not list(directory.rglob("*.pid")), "every daemon is gone")
