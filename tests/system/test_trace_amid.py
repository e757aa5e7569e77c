"""`trunkline trace` in a lab whose VMs send meanwhile: what was sent just now shows late in counters.

A wrong yes is the worst that it could say. So these tests ask while, or right after, frames are lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from dummy_chassis import until
from program import Done, trunkline

from trunkline.core.pipeline import Band
from trunkline.insight.connection import Connection
from trunkline.insight.waiting import finished
from trunkline.lab import Lab
from trunkline.lab.impairment import Impairment, Loss
from trunkline.openflow import tally
from trunkline.path.evidence import LAG_S

if TYPE_CHECKING:
    from conftest import LabFactory

pytestmark = pytest.mark.system

TOPOLOGY = """
physnets: [physnet1]
networks: [{name: blue, type: vlan, physical_network: physnet1, segment: 101}]
chassis: [{name: c1, mappings: {physnet1: br-ex}}, {name: c2, mappings: {physnet1: br-ex}}]
vms:
  - {name: vm1, chassis: c1, network: blue, ip: 10.0.0.11/24}
  - {name: vm2, chassis: c2, network: blue, ip: 10.0.0.12/24}
hosts: [{name: router, physnet: physnet1, vlan: 101, ip: 10.0.0.1/24}]
"""


@pytest.fixture(scope="module")
def shared(lasting_lab: LabFactory) -> Lab:
    return lasting_lab(TOPOLOGY)


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    until(lambda: shared.vm["vm1"].ping(shared.vm["vm2"].ip).received, "vm1 reaches vm2")
    yield shared
    shared.switch.mend()


@contextmanager
def sending(lab: Lab, gap_s: float, name: str = "vm1", address: str = "10.0.0.12") -> Iterator[None]:
    """Have *name* ping *address* every *gap_s* for the length of the block, whether it is answered or not."""
    pings = lab.machine[name].popen(["ping", "-n", "-q", "-i", str(gap_s), address])
    try:
        yield
    finally:
        pings.terminate()
        pings.communicate()


def lose(lab: Lab) -> None:
    """Have the physical switch no longer carry the VLAN to c2."""
    lab.switch.impair(lab.switch.trunk("physnet1", "c2"), Impairment(frozenset({101})))
    lab.switch.switch.wait_revalidated()


def silent_s(lab: Lab) -> float:
    """Return for how many whole seconds c2 has received nothing of the VLAN, as its counters say."""
    counts: list[tally.Count] = []
    rundir = lab.chassis["c2"].switch.rundir
    with Connection(rundir / "br-int.mgmt", versions=tally.VERSIONS) as bridge:
        finished(bridge.count(counts.extend))
    place = Band.UPLINK.table, Band.UPLINK.priority
    (count,) = [each for each in counts if (each.table, each.priority) == place]
    assert count.packets
    assert count.idle_s is not None
    return count.idle_s


def trace(lab: Lab) -> Done:
    return trunkline("trace", "--from", "vm1", "--to", "vm2", nb=lab.nb.remote)


def test_a_trace_amid_frames_that_have_just_begun_to_be_lost_does_not_say_delivered(lab: Lab) -> None:
    with sending(lab, 0.2):
        until(lambda: silent_s(lab) == 0, "frames come")
        lose(lab)
        until(lambda: silent_s(lab) >= 2, "frames are lost")
        done = trace(lab)
    assert done.code in (3, 4), done.out
    assert "the physical network loses VLAN 101" in done.out or "too early to tell" in done.out


def test_a_trace_right_after_one_frame_that_was_lost_does_not_say_delivered(lab: Lab) -> None:
    lose(lab)
    # What was lost of the VMs' own accord meanwhile may tell as well.
    until(lambda: silent_s(lab) > 2 * LAG_S, "nothing comes")
    assert not lab.vm["vm1"].ping(lab.vm["vm2"].ip, timeout_s=0.2).received
    done = trace(lab)
    assert done.code in (3, 4), done.out
    assert "the physical network loses VLAN 101" in done.out or "too early to tell" in done.out


def test_the_loss_of_what_one_chassis_sends_is_found_while_others_are_heard(lab: Lab) -> None:
    def said(command: str, *options: str) -> bool:
        lab.vm["vm1"].ping(lab.vm["vm2"].ip, timeout_s=0.2)
        done = trunkline(command, *options, nb=lab.nb.remote)
        return done.code == 4 and "the physical network loses VLAN 101" in done.out

    # The router asks for an address of nobody, and so is heard by all, again and again.
    with sending(lab, 1.0, "router", "10.0.0.99"):
        lab.switch.impair(lab.switch.trunk("physnet1", "c2"), Impairment(loses=Loss.SENT))
        lab.switch.switch.wait_revalidated()
        until(lambda: said("trace", "--from", "vm1", "--to", "vm2", "--both"), "trace finds the loss")
        until(lambda: said("check", "--port", "vm1"), "check finds the loss")
        lab.switch.mend()
        for command in (("check", "--port", "vm1"), ("trace", "--from", "vm2", "--to", "vm1")):
            until(lambda: not trunkline(*command, nb=lab.nb.remote).code, "nothing is lost")  # noqa: B023


@pytest.mark.parametrize("gap_s", [0.05, 0.2, 1.0, 1.7])
def test_a_trace_amid_frames_that_come_says_delivered(lab: Lab, gap_s: float) -> None:
    with sending(lab, gap_s):
        until(lambda: silent_s(lab) <= 1, "frames come")
        for _ in range(3):
            done = trace(lab)
            assert (done.code, done.err) == (0, ""), done
