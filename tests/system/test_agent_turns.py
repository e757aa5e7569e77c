"""How many turns of the loop an event costs (docs/adr/0036-what-asks-for-another-turn.md)."""

from __future__ import annotations

import pytest
from dummy_chassis import opened
from resting import Resting

pytestmark = pytest.mark.system


def test_a_vif_costs_no_turn_that_the_loop_asks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that follows is done in the turn that learns of it, or waits for a peer to answer."""
    with opened() as site:
        chassis = site.chassis(physnets={"physnet1": "br-phys1"}, is_running=False)
        site.network("net1", 101)
        for port in ("a", "b"):
            site.port(port)
        chassis.plug("a")
        loop = Resting(site, chassis, monkeypatch)
        try:
            loop.until_settled()
            before = loop.turns_asked_for
            chassis.plug("b")
            loop.until(lambda: site.bindings()["b"] == ("c1", True), "up")
            chassis.unplug("b")
            loop.until(lambda: site.bindings()["b"] == (None, False), "down")
            assert loop.turns_asked_for == before
        finally:
            loop.agent.close()
