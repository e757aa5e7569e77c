"""What the demonstration chooses to show, and how it judges what it sees."""

from __future__ import annotations

from dataclasses import replace

from trunkline.lab import topology
from trunkline.lab.demonstration import Matrix, Series, series


def test_the_series_cross_chassis_and_reach_a_bare_metal_host_from_one_chassis() -> None:
    assert series(topology.default()) == [
        Series("blue1", "blue3", "c1"),
        Series("blue1", "router", "c1"),
    ]


def test_a_topology_on_one_chassis_still_has_the_series_to_the_host() -> None:
    default = topology.default()
    vms = tuple(vm for vm in default.vms if vm.chassis == "c1")
    assert series(replace(default, vms=vms)) == [Series("blue1", "router", "c1")]


def test_a_topology_without_machines_has_no_series() -> None:
    assert series(replace(topology.default(), vms=(), hosts=())) == []


def test_a_pair_that_is_reached_against_expectation_counts_as_differing() -> None:
    expected = {("a", "b"): True, ("b", "a"): False}
    assert Matrix(expected, expected).differing == []
    assert Matrix(expected, {("a", "b"): True, ("b", "a"): True}).differing == [("b", "a")]
    assert Matrix(expected, {("a", "b"): False, ("b", "a"): False}).differing == [("a", "b")]
