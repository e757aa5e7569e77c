"""What all tests share. A test marked `system` that cannot run fails, and says what to do."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes is the machine's doing, and no reason to fail.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

collect_ignore = [] if importlib.util.find_spec("neutron_lib") else ["neutron"]
"""The tests on a real Neutron need it beside them: `scripts/test-neutron` installs it, and runs them."""
if "TRUNKLINE_ROOTS" not in os.environ:
    collect_ignore.append("packages")  # `scripts/test-packages` makes what they need

_PROGRAMS = ("ip", "ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl")


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
