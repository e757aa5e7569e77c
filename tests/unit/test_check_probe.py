"""What `check` makes of the records of probes: one thing that is wrong is one finding."""

from __future__ import annotations

import time

from trunkline.health import check
from trunkline.health.chassis_check import network_findings
from trunkline.health.fleet import Fleet
from trunkline.health.group import groups
from trunkline.probe.record import Record, Wrong


def fleet(**records: tuple[Wrong, ...]) -> Fleet:
    """Return a fleet with these networks, each with a port on c2, of which a probe found that."""
    hosts = [{"name": "c2", "bridge_mappings": {"physnet1": "br-ex"}}]
    network = {"physical_network": "physnet1", "external_ids": {}, "mtu": 1500}
    port = {"enabled": None, "parent": None, "iface_id": None, "up": True, "chassis": "c2"}
    now_ms = time.time_ns() // 1_000_000
    return Fleet(
        1,
        hosts,
        [{**network, "_uuid": name, "name": name} for name in records],
        [
            {**port, "name": f"of-{name}", "network": name, "mac": f"02:00:00:00:00:0{at}"}
            for at, name in enumerate(records)
        ],
        probes={name: (Record(now_ms, (), frozenset(), {}, wrong),) for name, wrong in records.items()},
    )


NATIVE = Wrong("native VLAN", ("c2",), "101 is the native VLAN", "set it", ("blue", "office"))
LOST = Wrong("lost", ("c2",), "c2 alone", "allow it", ("blue",))


def test_what_a_probe_found_of_two_networks_together_is_one_finding_that_both_have() -> None:
    """It is an error until what was lost has come in both."""
    # Rows come in any order.
    seen = fleet(
        red=(LOST._replace(networks=("red",)),), office=(NATIVE._replace(passed_s=1.0),), blue=(NATIVE, LOST)
    )
    found = list(network_findings(seen))
    assert [(each.code, each.severity, each.subjects, each.chassis) for each in found] == [
        ("T216", "error", ("network blue", "network office"), "c2"),
        ("T216", "error", ("network blue",), "c2"),
        ("T216", "error", ("network red",), "c2"),
    ]
    for name, count in (("blue", 2), ("office", 1), ("red", 1)):
        assert len(check.of_network(found, seen, name)) == count
    (reason,) = check.of_port(found, seen, "of-office").reasons
    assert reason.text.endswith(" found: 101 is the native VLAN")
    assert [(each.where, each.is_each) for each in groups(found)] == [
        ("networks blue, office on c2", False),
        ("networks blue, red on c2", True),
    ]


def test_two_things_that_a_probe_found_of_one_network_are_two_findings() -> None:
    """Though neither of them is at one chassis alone."""
    wrong = tuple(Wrong("one way", (one, "c3"), f"what {one} sends is lost", "look") for one in ("c1", "c2"))
    found = check.merged(network_findings(fleet(blue=wrong)))
    assert [(each.code, each.subject, each.chassis) for each in found] == [("T216", "network blue", None)] * 2


def test_of_the_other_direction_of_one_that_is_lost_nothing_follows() -> None:
    """The two do not reach one another. That is why they are on different islands, and no sign of a cut."""
    islands = (frozenset({"c1", "c3"}), frozenset({"c2"}), frozenset({"c4"}))
    record = Record(0, islands, frozenset({("c1", "c2"), ("c2", "c4"), ("c4", "c2")}), {}, ())
    asked = [("c1", "c2"), ("c2", "c1"), ("c1", "c3"), ("c4", "c2"), ("c1", "c4"), ("c1", "c9")]
    assert [record.is_reached(*each) for each in asked] == [False, None, True, False, False, None]
