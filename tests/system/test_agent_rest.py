"""After every kind of event the loop comes to rest, and nothing is left to do (see `resting`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from dummy_chassis import mac_of, opened
from resting import Resting, in_slices

from trunkline.core import announcement
from trunkline.core.address import parse_port_mac
from trunkline.northbound import sync
from trunkline.northbound.client import PortSpec
from trunkline.northbound.operation import insert, update

pytestmark = pytest.mark.system

WAKING = announcement.frames(parse_port_mac(mac_of("m")), ())[0]


@contextmanager
def _loop(*, is_sliced: bool) -> Iterator[Resting]:
    with pytest.MonkeyPatch.context() as monkeypatch, opened() as site:
        chassis = site.chassis(physnets={"physnet1": "br-phys1", "physnet2": "br-phys2"}, is_running=False)
        site.network("net1", 101)
        site.network("net2", 102)
        site.port("a")
        chassis.plug("a")
        # With it there is more to do, and in an order.
        chassis.set(**{"trunkline-vlan-pruning": "true"})
        if is_sliced:
            in_slices(monkeypatch)
        loop = Resting(site, chassis, monkeypatch)
        try:
            loop.until_settled()
            yield loop
        finally:
            loop.agent.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[Resting]:
    with _loop(is_sliced=False) as loop:
        yield loop


@pytest.fixture(scope="module")
def sliced_loop() -> Iterator[Resting]:
    with _loop(is_sliced=True) as loop:
        yield loop


def _up(loop: Resting, port: str, *, is_up: bool = True) -> Callable[[], bool]:
    return lambda: loop.site.bindings()[port][1] is is_up


def start(loop: Resting) -> None:
    assert loop.rests


def a_vif_comes_and_goes(loop: Resting) -> None:
    loop.site.port("v")
    loop.chassis.plug("v")
    loop.until(_up(loop, "v"), "up")
    loop.chassis.unplug("v")
    loop.until(_up(loop, "v", is_up=False), "down")
    loop.chassis.plug("v")
    loop.until(_up(loop, "v"), "up again")
    loop.chassis.unplug("v")
    loop.site.nb.delete_ports(["v"])


def a_vif_without_a_port(loop: Resting) -> None:
    loop.chassis.plug("nobody")
    loop.until(lambda: "vif nobody" in loop.agent.standing.faults, "fault")
    loop.chassis.unplug("nobody")
    loop.until(lambda: "vif nobody" not in loop.agent.standing.faults, "no fault")


def the_first_port_of_a_network(loop: Resting) -> None:
    loop.site.port("w", "net2")
    loop.chassis.plug("w")
    loop.until(_up(loop, "w"), "up")
    loop.chassis.unplug("w")
    loop.until(_up(loop, "w", is_up=False), "down")
    loop.site.nb.delete_ports(["w"])


def a_port_is_set(loop: Resting) -> None:
    for columns in (
        {"mac": "02:00:00:00:aa:01"},
        {"enabled": False},
        {"enabled": True},
        {"allowed_address_pairs": ["02:00:00:00:bb:01"]},
        {"requested_chassis": "c1"},
        {"mac": mac_of("a"), "allowed_address_pairs": []},
    ):
        loop.site.nb.set_port("a", columns)
        loop.until_settled()
    loop.site.request("a", "c9")
    loop.until_settled()
    loop.site.nb.set_port("a", {"requested_chassis": None})
    loop.until_settled()


def a_network_is_set(loop: Resting) -> None:
    for columns in (
        {"segmentation_id": 103},
        {"physical_network": "physnet2"},
        {"physical_network": "nowhere"},
        {"physical_network": "physnet1"},
        {"mtu": 1400},
        {"remote_ports": "learned"},
        {"remote_ports": "explicit"},
        {"vlan_transparent": True},
        {"vlan_transparent": False, "segmentation_id": 101, "mtu": None},
    ):
        loop.site.nb.set_network("net1", columns)
        loop.until_settled()


def a_sub_port(loop: Resting) -> None:
    loop.site.port("s", "net2", parent="a", parent_vlan=7)
    loop.until(_up(loop, "s"), "up")
    loop.site.nb.delete_ports(["s"])
    loop.until_settled()


def a_migrating_port_wakes(loop: Resting) -> None:
    """Its network has no other port here, so that its VLAN has to be let through first."""
    loop.site.nb.transact([insert("Chassis", {"name": "c9"})])
    loop.site.port("m", "net2", requested_chassis="c9,c1")
    loop.chassis.plug("m")
    loop.until_settled()
    flows = loop.agent.forwarding.desired.body_by_key if loop.agent.forwarding is not None else {}
    asleep = len(flows)
    loop.chassis.receive("m", WAKING)
    loop.until(lambda: len(flows) > asleep and loop.agent.is_settled, "awake")
    loop.chassis.unplug("m")
    loop.site.nb.delete_ports(["m"])
    loop.until_settled()


def a_mapping_changes(loop: Resting) -> None:
    for mappings in ("physnet1:br-phys1", "physnet1:br-phys2", "physnet1:br-phys1,physnet2:br-phys2"):
        loop.chassis.set(**{"trunkline-bridge-mappings": mappings})
        loop.until_settled()
        assert loop.agent.settings is not None
        assert set(loop.agent.inventory.uplinks) == set(loop.agent.settings.bridge_by_physnet)


def pruning_is_set(loop: Resting) -> None:
    for value in (None, "true"):
        loop.chassis.set(**{"trunkline-vlan-pruning": value})
        loop.until_settled()


def a_provider_bridge_is_made_anew(loop: Resting) -> None:
    loop.chassis.switch.vsctl("del-br", "br-phys2")
    loop.until(lambda: "mapping physnet2" in loop.agent.standing.faults, "fault")
    loop.chassis.add_provider_bridge("br-phys2")
    loop.until(lambda: "physnet2" in loop.agent.inventory.uplinks and loop.agent.is_settled, "uplink")


def the_integration_bridge_is_made_anew(loop: Resting) -> None:
    loop.chassis.switch.vsctl("del-br", "br-int", *loop.chassis.bridge("br-int"))
    loop.until(lambda: not loop.site.bindings()["a"][1], "down")
    loop.chassis.plug("a")
    loop.until(_up(loop, "a"), "up")


def flows_are_changed_by_hand(loop: Resting) -> None:
    switch = loop.chassis.switch
    before = len(loop.chassis.flows())
    switch.ofctl("del-flows", "br-int", "table=50")
    loop.until(lambda: len(loop.chassis.flows()) == before, "repaired")
    switch.ofctl("del-flows", "br-int")
    loop.until(lambda: len(loop.chassis.flows()) == before, "repaired")


def patch_ports_are_changed_by_hand(loop: Resting) -> None:
    loop.chassis.switch.vsctl("del-port", "int-br-phys1")
    loop.until(lambda: "physnet1" in loop.agent.inventory.uplinks and loop.agent.is_settled, "uplink")
    loop.until(_up(loop, "a"), "up")
    for table, record, column, value in (
        ("Interface", "int-br-phys1", "options:peer", "nowhere"),
        ("Port", "phy-br-phys1", "trunks", "7"),
        ("Bridge", "br-int", "fail_mode", "standalone"),
    ):
        before = loop.chassis.get(table, record, column)
        loop.chassis.switch.vsctl("set", table, record, f"{column}={value}")
        loop.until(lambda: loop.chassis.get(table, record, column) == before, "put back")  # noqa: B023
        loop.until(_up(loop, "a"), "up")


def the_switch_restarts(loop: Resting) -> None:
    loop.chassis.switch.kill_vswitchd()
    loop.until(lambda: loop.agent.forwarding and not loop.agent.forwarding.is_connected, "gone")
    loop.chassis.switch.start_vswitchd()
    loop.until(lambda: loop.agent.is_settled, "back")


def the_switchs_database_restarts(loop: Resting) -> None:
    loop.chassis.switch.kill_ovsdb_server()
    loop.until(lambda: not loop.agent.switch.is_connected, "gone")
    loop.chassis.switch.start_ovsdb_server()
    loop.until(lambda: loop.agent.switch.is_connected and loop.agent.is_settled, "back")


def the_northbound_restarts(loop: Resting) -> None:
    loop.site.served.kill()
    loop.until(lambda: loop.agent.nb is not None and not loop.agent.nb.is_connected, "gone")
    loop.site.served.start()
    loop.site.reconnect()
    loop.until_settled()


def a_request_to_report(loop: Resting) -> None:
    before = loop.site.nb.chassis("c1")["nb_cfg"]
    sync.request(loop.site.nb)
    loop.until(lambda: loop.site.nb.chassis("c1")["nb_cfg"] > before, "reported")


def another_host_asks_for_the_name(loop: Resting) -> None:
    """Its claim comes while a report is being written, so the denial waits for the end of that write."""
    claims = [{"other": "host-b"}]

    def claim() -> None:
        if claims and loop.agent.nb is not None and loop.agent.nb.is_writing:
            loop.site.nb.transact([update("Chassis", ("name", "==", "c1"), row={"claims": claims.pop()})])

    def is_denied() -> bool:
        return not claims and bool(loop.site.nb.chassis("c1")["denied"])

    sync.request(loop.site.nb)
    loop.until(is_denied, "denied", each_turn=claim)
    loop.site.nb.transact([update("Chassis", ("name", "==", "c1"), row={"claims": {}})])
    loop.until(lambda: not loop.site.nb.chassis("c1")["denied"], "nobody denied")


def all_flows_are_audited(loop: Resting) -> None:
    """A new interval applies at once, and not when the one before it, of 60 s, is over."""
    loop.chassis.set(**{"trunkline-audit-interval": "1"})
    asked = loop.audits
    loop.until(lambda: loop.audits >= asked + 2, "audited twice", timeout_s=40)
    loop.chassis.set(**{"trunkline-audit-interval": None})
    loop.until_settled()


def a_flow_is_refused(loop: Resting) -> None:
    switch = loop.chassis.switch
    present = len([flow for flow in loop.chassis.flows() if "table=60," in flow])
    full = ("--", "--id=@t", "create", "Flow_Table", f"flow_limit={present}", "overflow_policy=refuse")
    switch.vsctl(*full, "--", "set", "Bridge", "br-int", "flow_tables:60=@t")
    loop.site.port("r", "net2")
    loop.chassis.plug("r")
    loop.until(lambda: "network net2" in loop.agent.standing.faults, "in quarantine")
    loop.until_settled()
    switch.vsctl("clear", "Bridge", "br-int", "flow_tables")
    loop.site.nb.set_network("net2", {"segmentation_id": 104})
    loop.until(_up(loop, "r"), "up")
    loop.chassis.unplug("r")
    loop.site.nb.delete_ports(["r"])
    loop.site.nb.set_network("net2", {"segmentation_id": 102})


def a_port_is_announced(loop: Resting) -> None:
    loop.site.port("n", options={})
    loop.chassis.plug("n")
    loop.until(_up(loop, "n"), "up")
    loop.chassis.unplug("n")
    loop.site.nb.delete_ports(["n"])


def many_ports_come_and_go(loop: Resting) -> None:
    names = [f"p{number}" for number in range(2500)]
    macs = (f"02:10:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(len(names)))
    ports = [PortSpec(name=name, network="net1", mac=mac) for name, mac in zip(names, macs, strict=True)]
    loop.site.nb.create(ports=ports)
    loop.until(lambda: len(loop.agent.inventory.ports) > len(names) and loop.agent.is_settled, "remote ports")
    assert len(loop.chassis.flows()) > 2 * len(names)
    loop.site.nb.delete_ports(names)
    loop.until(lambda: len(loop.agent.inventory.ports) < len(names) and loop.agent.is_settled, "gone")
    assert len(loop.chassis.flows()) < len(names)


def the_chassis_gets_another_name(loop: Resting) -> None:
    for name in ("c2", "c1"):
        loop.chassis.set(**{"system-id": name})
        loop.until(lambda name=name: loop.site.bindings()["a"] == (name, True), "renamed")  # type: ignore[misc]


EVENTS = (
    start,
    a_vif_comes_and_goes,
    a_vif_without_a_port,
    the_first_port_of_a_network,
    a_port_is_set,
    a_network_is_set,
    a_sub_port,
    a_migrating_port_wakes,
    a_mapping_changes,
    pruning_is_set,
    a_provider_bridge_is_made_anew,
    flows_are_changed_by_hand,
    patch_ports_are_changed_by_hand,
    the_switch_restarts,
    the_switchs_database_restarts,
    the_northbound_restarts,
    a_request_to_report,
    another_host_asks_for_the_name,
    a_flow_is_refused,
    a_port_is_announced,
    many_ports_come_and_go,
    all_flows_are_audited,
    the_chassis_gets_another_name,
    the_integration_bridge_is_made_anew,
)


@pytest.mark.parametrize("event", EVENTS)
def test_after_every_kind_of_event_nothing_is_left_to_do(
    event: Callable[[Resting], None], loop: Resting
) -> None:
    event(loop)
    loop.until_settled()


@pytest.mark.parametrize(
    "event",
    [
        start,
        a_vif_comes_and_goes,
        a_network_is_set,
        a_migrating_port_wakes,
        a_flow_is_refused,
        flows_are_changed_by_hand,
        the_switch_restarts,
        the_northbound_restarts,
        the_chassis_gets_another_name,
    ],
)
def test_nothing_is_left_to_do_if_each_turn_does_only_a_little(
    event: Callable[[Resting], None], sliced_loop: Resting
) -> None:
    event(sliced_loop)
    sliced_loop.until_settled()


@pytest.mark.parametrize(("rows", "views", "flows"), [(3, 50, 50), (50, 3, 50), (50, 50, 3)])
def test_a_large_change_takes_many_turns_and_all_of_it_takes_hold_at_once(
    sliced_loop: Resting, monkeypatch: pytest.MonkeyPatch, rows: int, views: int, flows: int
) -> None:
    """DESIGN.md section 6, rule 13, and section 7: flows of one update go in one bundle."""
    in_slices(monkeypatch, rows, views, flows)
    loop, forwarding = sliced_loop, sliced_loop.agent.forwarding
    assert forwarding is not None
    vlan_id = 200 + 10 * rows + flows
    names = [f"q{rows}-{views}-{number}" for number in range(60)]

    def held() -> dict[bytes, bytes]:
        return dict(forwarding.installed or {})

    def change(act: Callable[[], None], what: str) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Return what was installed before and after; at no turn it was anything else."""
        before, turns = held(), loop.turns
        seen: list[dict[bytes, bytes]] = []
        act()

        def is_done() -> bool:
            return loop.agent.is_settled and forwarding.applied > generation

        generation = forwarding.applied
        loop.until(is_done, what, each_turn=lambda: seen.append(held()))
        after = held()
        assert all(each in (before, after) for each in seen)
        # The row of the VLAN is but one, whose views and flows are many.
        assert loop.turns - turns > 5
        return before, after

    ports = [
        PortSpec(name=name, network="net1", mac=f"02:20:00:{rows:02x}:{views:02x}:{number:02x}")
        for number, name in enumerate(names)
    ]
    before, after = change(lambda: loop.site.nb.create(ports=ports), "ports made")
    assert len(after) >= len(before) + len(names)
    before, after = change(
        lambda: loop.site.nb.set_network("net1", {"segmentation_id": vlan_id}), "VLAN changed"
    )
    assert len(after) == len(before)
    assert len(after.items() - before.items()) > len(names)
    before, after = change(lambda: loop.site.nb.delete_ports(names), "ports gone")
    assert len(after) <= len(before) - len(names)
