"""Chaos: three chassis with traffic, and one fault after another (DESIGN.md section 6).

`TRUNKLINE_CHAOS_SECONDS` says for how long, `TRUNKLINE_CHAOS_SEED` in which order: the same
seed makes the same events one after the other.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from chaos_harm import Harm
from chaos_watch import Model, Watch
from dummy_chassis import until
from isolated import assert_isolated

from trunkline.lab import Lab, topology
from trunkline.lab.chassis import Chassis
from trunkline.northbound import sync

if TYPE_CHECKING:
    from conftest import LabFactory

pytestmark = pytest.mark.system

SECONDS = float(os.environ.get("TRUNKLINE_CHAOS_SECONDS", "25"))
SEED = int(os.environ.get("TRUNKLINE_CHAOS_SEED", "1"))
EVENTS_BETWEEN_CHECKS = 8


class Chaos(Harm):
    """Harm, and the check that nothing is left of it."""

    checks = 0
    proofs = 0

    # -- the check ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Mend what was left dead, wait until all is in place, and hold it against the model."""
        for chassis in self.lab.chassis.values():
            self._revive(chassis)
        with self.nb() as nb:
            sync.wait(nb, sync.request(nb), 20)
        for chassis in self.lab.chassis.values():
            self._check_flows(chassis)
        self.lab.wait_revalidated()
        model = self.watch.model
        expected = {
            (one, other): model.reaches(one, other)
            for one in model.machines
            for other in model.machines
            if one != other
        }

        def differing() -> list[str]:
            seen = self.watch.settled()
            return [
                f"{one}-{other}: {seen[one, other]}, should be {is_so}"
                for (one, other), is_so in expected.items()
                if seen[one, other] != (is_so, is_so)
            ]

        def is_as_expected() -> bool:
            # A cache of the physical switch, or of a provider bridge, may be older than what it learned last.
            found = differing()
            self.differing = found
            return not found

        try:
            until(is_as_expected, "everybody reaches whom they should", timeout_s=60)
        except AssertionError:
            pytest.fail("\n".join(self.differing))
        assert self.watch.breaches == []
        self.checks += 1

    def _check_flows(self, chassis: Chassis) -> None:
        """Hold the live flows of *chassis* against a fresh computation and a proof."""
        until(lambda: self.status(chassis)["settled"], f"{chassis.name} settled")
        total, _, differing = self.ask(chassis, "recompute").partition(" flows, ")
        assert differing == "0 differed", chassis.name
        until(lambda: self.status(chassis)["settled"], f"{chassis.name} settled")
        assert self.ask(chassis, "plan") == ""
        assert len(chassis.flows()) == int(total), chassis.name
        status = self.status(chassis)
        if status["northbound"] and not status["faults"]:
            assert_isolated(chassis.switch.remote, chassis.rundir)
            self.proofs += 1


LEAK = "cookie=0x5,priority=65000,actions=NORMAL"


def see_that_it_sees(running: Lab) -> None:
    """Hold the watch itself against a flow that lets everything through, and against one that it excuses."""
    with Watch(running, Model.of(running)) as watch:
        watch.settled()
        assert watch.breaches == []
        with watch.open("c2"):
            leak(running, watch, "c2")
        assert watch.breaches == []
        assert watch.excused
        with watch.open("c1"):
            leak(running, watch, "c2")
    kinds = {breach.partition(":")[0] for breach in watch.breaches}
    sent = {"c2 sent it on physnet2 with the tag None"}
    assert sent | {"blue3 heard what was for another", "blue3 heard a tag"} <= kinds, kinds
    with Watch(running, Model.of(running)) as watch:
        leak(running, watch, "c1")
    kinds = {breach.partition(":")[0] for breach in watch.breaches}
    heard = {"green1 heard another network", "blue1 heard what was for another", "blue2 heard a tag"}
    assert heard <= kinds, kinds


def leak(running: Lab, watch: Watch, chassis: str) -> None:
    """Let *chassis* be a plain switch while everybody sends to everybody."""
    switch = running.chassis[chassis].switch
    switch.ofctl("add-flow", "br-int", LEAK)
    running.wait_revalidated()
    watch.settled()
    switch.ofctl("del-flows", "br-int", "cookie=0x5/-1")
    running.wait_revalidated()


@pytest.mark.timeout(300 + SECONDS * 4)
def test_chaos_lets_no_frame_go_astray_and_ends_in_what_was_asked_for(lab: LabFactory) -> None:
    running = lab(topology.default())
    see_that_it_sees(running)
    log: list[str] = []
    with ExitStack() as stack:
        watch = stack.enter_context(Watch(running, Model.of(running)))
        chaos = Chaos(running, watch, SEED)
        chaos.check()
        start = time.monotonic()
        try:
            while time.monotonic() - start < SECONDS:
                for _ in range(chaos.random.randint(1, EVENTS_BETWEEN_CHECKS)):
                    log.append(f"{time.monotonic() - start:7.2f} s  {chaos.harm()}")
                    assert watch.breaches == []
                log.append("         check")
                chaos.check()
        finally:
            print(f"seed {SEED}, {chaos.events} events", *log, sep="\n")
    assert watch.breaches == []
    assert chaos.proofs
    print(
        f"figure: chaos: {chaos.events} events, {chaos.checks} checks, {chaos.proofs} proofs,"
        f" {watch.frames} frames, 0 astray in {time.monotonic() - start:.0f} s;"
        f" br-int open {len(chaos.open_s)} times,"
        f" {max(chaos.open_s, default=0) * 1000:.0f} ms at most, {watch.excused} frames seen there meanwhile"
    )
    for chassis in running.chassis.values():
        assert "Traceback" not in (chassis.rundir / "trunkline-agent.log").read_text()
