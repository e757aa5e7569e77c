"""What one event costs, in exact numbers, so that a slip in complexity fails without a stopwatch.

DESIGN.md section 7: one port in a network of 10,000 costs one port's work.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import pytest

from trunkline import apps
from trunkline.agent.plumbing import Plumbing
from trunkline.agent.pruning import AllowedVlans
from trunkline.bridge.migration import Migration
from trunkline.core import plan as planning
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, Subject, cookie
from trunkline.core.desired import Desired
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.core.outcome import Outcomes
from trunkline.core.pipeline import Owner
from trunkline.core.subject import SubjectId
from trunkline.openflow import message
from trunkline.openflow.bundle import Scope
from trunkline.openflow.bundles import Bundles
from trunkline.openflow.event import PacketIn
from trunkline.ovsdb import settings as chassis_settings
from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.ovsdb.way_out import WaysOut

CHASSIS = "chassis-a"
NETWORK = Network(UUID(int=1), "net", 7, "physnet1", 101)
LOCALS = 100

OPEN_AND_BARRIER = 24
"""The bytes of a bundle without a flow."""


class Counted(dict[Any, Any]):
    """A map that counts how often it is asked for a value."""

    asked = 0

    def __getitem__(self, key: Any) -> Any:
        self.asked += 1
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked += 1
        return super().get(key, default)

    def values(self) -> Any:
        self.asked += len(self)
        return super().values()

    def items(self) -> Any:
        self.asked += len(self)
        return super().items()


class Cost(NamedTuple):
    """What an event costs: port rows looked at, views and flows computed, messages and bytes sent."""

    rows: int
    views: int
    flows: int
    messages: int
    bytes_sent: int


BIND = Cost(rows=LOCALS + 7, views=3, flows=13, messages=10, bytes_sent=2664)
"""Views of VIF, port and network. The rows are those of the BUM list, the one thing that grows with the local
ports, and the port's own, for its seat, for its view and for the VIF's fault. Sent: 7 flows of a
local port, the new BUM list, and the 2 of the remote port that it was go."""

UNBIND = Cost(rows=LOCALS + 3, views=3, flows=8, messages=10, bytes_sent=2608)
REMOTE = Cost(rows=3, views=1, flows=2, messages=2, bytes_sent=296)

RETAGGED = (1000 - LOCALS) + 2 * LOCALS + 3
"""The remote ports' way out, the local ports' reflection guards (one goes, one comes), the network's own."""


def port(number: int) -> Port:
    return Port(
        UUID(int=1000 + number),
        f"p{number}",
        1 + number,
        NETWORK.id,
        0x020000000000 + number,
        is_secured=False,
    )


def vif(number: int) -> tuple[Vif, ...]:
    return (Vif(f"p{number}", f"tap{number}", 10 + number),)


class Chassis:
    """The pure part of an agent with *ports* ports in one network, of which `LOCALS` have a VIF here."""

    def __init__(self, ports: int) -> None:
        self.inventory = Inventory(CHASSIS)
        self.outcomes = Outcomes(self.inventory)
        self.desired: Desired[SubjectId] = Desired()
        self.installed: dict[bytes, bytes] = {}
        self.cost_of(
            Changes(
                networks={NETWORK.id: NETWORK},
                ports={port(number).id: port(number) for number in range(ports)},
                vifs={f"p{number}": vif(number) for number in range(LOCALS)},
                uplinks={"physnet1": Uplink("physnet1", "br-ex", 1)},
            )
        )

    def cost_of(self, changes: Changes) -> Cost:
        """Take *changes* in as the agent does, and return what that cost."""
        counted = self.inventory.ports = Counted(self.inventory.ports)
        self.inventory.change(changes)
        views = self.outcomes.refresh()
        encoded = {
            subject: [] if view is None else [message.encode(flow) for flow in apps.flows(view)]
            for subject, view in views.items()
        }
        plan = planning.plan(self.desired.body_by_key, self.installed, self.desired.replace(encoded))
        planning.advance(self.installed, plan)
        assert self.installed == self.desired.body_by_key
        sent = bytearray()
        bundles = Bundles(Scope(COOKIE_OURS, COOKIE_OURS_MASK), lambda _: 1, sent.extend)
        bundle_id = bundles.open()
        bundles.add(bundle_id, plan)
        bundles.close(bundle_id)
        flows = sum(len(pairs) for pairs in encoded.values())
        return Cost(counted.asked, len(views), flows, len(plan), len(sent))


@pytest.mark.parametrize("ports", [200, 1000, 2000])
def test_binding_a_port_costs_the_same_however_many_ports_its_network_has(ports: int) -> None:
    bound = Chassis(ports).cost_of(Changes(vifs={f"p{LOCALS}": vif(LOCALS)}))
    assert bound == BIND


@pytest.mark.parametrize("ports", [200, 1000, 2000])
def test_unbinding_a_port_costs_the_same_however_many_ports_its_network_has(ports: int) -> None:
    assert Chassis(ports).cost_of(Changes(vifs={"p0": ()})) == UNBIND


def test_a_remote_port_that_comes_costs_two_flows_and_no_look_at_other_rows() -> None:
    chassis = Chassis(1000)
    assert chassis.cost_of(Changes(ports={port(1000).id: port(1000)})) == REMOTE


def test_a_row_that_changes_in_nothing_that_concerns_flows_sends_nothing() -> None:
    """Every chassis hears of `up` and `chassis` of every port in its networks."""
    there = port(500)._replace(chassis="chassis-b", is_up=True)
    assert Chassis(1000).cost_of(Changes(ports={there.id: there}))[3:] == (0, OPEN_AND_BARRIER)


def test_a_new_vlan_id_costs_what_carries_the_tag_and_no_flow_of_local_delivery() -> None:
    retagged = NETWORK._replace(vlan_id=102)
    assert Chassis(1000).cost_of(Changes(networks={NETWORK.id: retagged})).messages == RETAGGED


class CountedWaysOut(WaysOut):
    """Ways out that count how often it is checked whether a network reaches its physical network."""

    checks: ClassVar[int] = 0

    def network_fault(self, network: Network) -> str | None:
        CountedWaysOut.checks += 1
        return super().network_fault(network)


def networks(count: int) -> list[Network]:
    return [NETWORK._replace(id=UUID(int=1 + number), vlan_id=1 + number) for number in range(count)]


@pytest.mark.parametrize("count", [10, 1000])
def test_a_network_that_changes_is_checked_alone_and_a_report_checks_none(count: int) -> None:
    plumbing = Plumbing(SwitchReplica("unix:/nonexistent"))
    plumbing.ways_out = CountedWaysOut({}, {}, {}, {}, {})
    for network in networks(count):
        plumbing.set_network(network.id, network, network)
    CountedWaysOut.checks = 0
    assert len(plumbing.faults) == 1, "they have one name, and are mapped nowhere"
    assert CountedWaysOut.checks == 0
    plumbing.set_network(NETWORK.id, NETWORK._replace(mtu=9000), NETWORK)
    assert CountedWaysOut.checks == 1
    plumbing.forget_all_but({NETWORK.id})
    assert CountedWaysOut.checks == 1
    plumbing.set_network(NETWORK.id, None, None)
    assert plumbing.faults == {}


def test_allowed_vlans_are_compared_once_however_often_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plumbing = Plumbing(SwitchReplica("unix:/nonexistent"))
    settings = chassis_settings.settings(
        {"system-id": CHASSIS, "trunkline-nb": "unix:/nonexistent", "trunkline-vlan-pruning": "true"}, None
    )
    compared, are_covered = [], AllowedVlans.are_covered

    def counted(allowed: AllowedVlans, live: Any) -> bool:
        compared.append(live)
        return are_covered(allowed, live)

    monkeypatch.setattr(AllowedVlans, "are_covered", counted)
    for turns, network in enumerate(networks(3), start=1):
        plumbing.set_network(network.id, network, network)
        for _ in range(10):
            plumbing.narrow_uplinks(settings)
        assert len(compared) == turns
    plumbing.set_network(network.id, network._replace(mtu=1400), network)
    plumbing.narrow_uplinks(settings)
    assert len(compared) == turns, "what is not of VLANs changes nothing of them"


@pytest.mark.parametrize("ports", [200, 2000])
def test_a_frame_that_wakes_a_port_costs_that_port_however_many_there_are(ports: int) -> None:
    chassis = Chassis(ports)
    inventory = chassis.inventory
    arriving = port(ports)._replace(chassis="chassis-b", requested_chassis=("chassis-b", CHASSIS))
    vifs = {arriving.name: vif(ports)}
    inventory.change(Changes(ports={arriving.id: arriving}, vifs=vifs))
    inventory.ports = seen = Counted(inventory.ports)
    inventory.seats.by_port = seats = Counted(inventory.seats.by_port)
    by = cookie(Owner.CLASSIFIER, Subject.PORT, arriving.key)
    Migration().on_packet_in(PacketIn(table=0, cookie=by, in_port=10 + ports, frame=b""), inventory)
    assert inventory.is_local(arriving.id)
    assert seats.asked + seen.asked < 10
