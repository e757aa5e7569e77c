"""Delays: what is timed, from the turns of the loop alone."""

from __future__ import annotations

from trunkline.agent.delay import BOUNDS_S, MOST_CHANGES, Delays, Histogram
from trunkline.core.inventory import Inventory


def settle(delays: Delays, applied: int, began_s: float) -> None:
    delays.settle(Inventory("c1"), applied, began_s, is_complete=True)


def test_a_delay_as_long_as_a_bound_is_in_its_bucket() -> None:
    histogram = Histogram()
    for bound in BOUNDS_S:
        histogram.observe(bound)
    histogram.observe(BOUNDS_S[-1] + 1)
    assert histogram.counts == [1] * (len(BOUNDS_S) + 1)


def test_each_change_is_timed_until_its_own_revision_is_acknowledged() -> None:
    delays = Delays()
    delays.read(0, 1, 10.0)
    delays.read(1, 2, 11.0)
    settle(delays, 0, 11.0)
    assert sum(delays.convergence.counts) == 0
    settle(delays, 1, 12.0)
    assert (sum(delays.convergence.counts), delays.convergence.sum_s) == (1, 2.0)
    settle(delays, 2, 15.0)
    settle(delays, 2, 16.0)
    assert (sum(delays.convergence.counts), delays.convergence.sum_s) == (2, 6.0)


def test_a_change_that_needs_no_flows_is_not_timed() -> None:
    delays = Delays()
    delays.read(0, 1, 10.0)
    settle(delays, 1, 10.0)
    settle(delays, 1, 20.0)
    assert sum(delays.convergence.counts) == 0


def test_a_switch_that_acknowledges_nothing_costs_no_more_memory_with_time() -> None:
    delays = Delays()
    for number in range(10 * MOST_CHANGES):
        delays.read(number - 1, number, float(number))
        settle(delays, -1, float(number))
    settle(delays, 10 * MOST_CHANGES, 1e6)
    assert sum(delays.convergence.counts) == MOST_CHANGES
