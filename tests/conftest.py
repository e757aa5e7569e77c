"""What all tests share. A test marked `system` that cannot run fails, and says what to do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from types import FrameType

# How long an example takes is the machine's doing, and no reason to fail.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

collect_ignore = [] if importlib.util.find_spec("neutron_lib") else ["neutron"]
"""The tests on a real Neutron need it beside them: `scripts/test-neutron` installs it, and runs them."""
if "TRUNKLINE_ROOTS" not in os.environ:
    collect_ignore.append("packages")  # `scripts/test-packages` makes what they need

_PROGRAMS = ("ip", "ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have kill(1) and timeout(1) end a run as Ctrl-C does, which ends what the tests have started.

    Either of them may tell the first process alone, which then tells the workers.
    """

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # timeout(1) tells all of them
        session.shouldstop = "ended by SIGTERM"  # should what runs now take the interrupt for a failure
        for child in psutil.Process().children():
            if "sys.stdin.readline" in " ".join(child.cmdline()):  # execnet
                child.terminate()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGTERM, end)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a system test that lacks root or Open vSwitch: a skipped one would look like one that holds."""
    if item.get_closest_marker("system") is None:
        return
    if os.geteuid() != 0:
        pytest.fail(
            "system tests need root; run scripts/test, or choose others with: pytest tests/unit", False
        )
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.fail(f"{', '.join(missing)} not installed; run scripts/test, which installs it", False)
