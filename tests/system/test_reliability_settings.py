"""Invalid settings, while the agent runs: it goes on, and works when they are valid again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dummy_chassis import BROADCAST, Site, ethernet, mac_of, opened, until

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
OUT = {"nic-br-phys1": [ethernet(BROADCAST, A, 101)]}
ODD = "x\n\x1b[2J\"' \\ \u202e \u00e9"
LONG = "y" * 10_000

NONSENSE = {
    "trunkline-nb": [
        "nonsense",
        ",",
        "unix:",
        f"unix:/{LONG}",
        "tcp:",
        "tcp:999.1.1.1:99999",
        "tcp:127.0.0.1",
        f"tcp:{ODD}:1",
        "ssl:127.0.0.1:1",
        "punix:/tmp/x",
        ODD,
    ],
    "trunkline-bridge-mappings": [
        ODD,
        LONG,
        f"{LONG}:{LONG}",
        f"{ODD}:{ODD}",
        ":",
        "a:b:c",
        "physnet1:br-int",
    ],
    "trunkline-integration-bridge": [LONG, ODD, "a/b", "../x", "."],
    "trunkline-datapath-type": [ODD, LONG],
    "trunkline-audit-interval": ["-1", "1e9", "9" * 5000, "999999", ODD],
    "trunkline-nb-identity": [ODD, LONG],
    "trunkline-vlan-pruning": [ODD],
    "system-id": [ODD, LONG, " "],
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One chassis with one port, for all of these tests: each leaves it as it was."""
    with opened() as started:
        chassis = started.chassis()
        started.network()
        started.port("a")
        chassis.plug("a")
        started.await_up("a")
        yield started


@pytest.mark.parametrize("key", NONSENSE)
def test_rule_9_a_setting_of_any_kind_ends_no_agent(site: Site, key: str) -> None:
    """DESIGN.md, Lifecycle 9: one bad row, mapping entry or VIF never holds up the others."""
    chassis = site.all[0]
    before = chassis.get("Open_vSwitch", ".", f"external_ids:{key}").strip('"') or None
    for value in NONSENSE[key]:
        chassis.set(**{key: value})
        # Answers: it has taken the setting in, acted upon it, and lived on.
        for _ in range(5):
            chassis.agent.status()
    chassis.set(**{key: before})
    if key == "system-id":
        until(lambda: chassis.agent.status()["chassis"] == "c1", "its own name again")
        site.nb.delete_chassis([row["name"] for row in site.nb.all_chassis() if row["name"] != "c1"])
    until(lambda: chassis.agent.status()["settled"], "settled")
    until(lambda: not chassis.faults, "no faults")
    site.await_up("a")
    site.sync()
    assert chassis.receive("a", HELLO) == OUT
    chassis.check()
