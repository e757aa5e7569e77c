"""A refused flow takes out its network and nothing else: DESIGN.md section 6, rule 3."""

from __future__ import annotations

from uuid import UUID

from model import rows
from trunkline.bridge.quarantine import Quarantine, network_of
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import AllowedPair, Network, Port, Uplink, Vif
from trunkline.core.outcome import Outcomes, outcome
from trunkline.core.subject import CHASSIS, MacSubject, NetworkSubject, PortSubject, SubjectId, VifSubject

GOOD = Network(UUID(int=1), "good", 7, "physnet1", 101)
BAD = Network(UUID(int=2), "bad", 8, "physnet1", 102)
PORTS = [
    Port(UUID(int=10), "g", 42, GOOD.id, 2),
    Port(UUID(int=11), "b", 43, BAD.id, 3, allowed_pairs=(AllowedPair(9),)),
]
ROWS = rows.Rows(
    {net.id: net for net in (GOOD, BAD)},
    {port.id: port for port in PORTS},
    {"g": (Vif("g", "tap0", 10),), "b": (Vif("b", "tap1", 11),)},
    {"physnet1": Uplink("physnet1", "br-ex", 1)},
)
REFUSED = PortSubject(PORTS[1].id)
REASON = "the switch refused a flow of it"


def isolated() -> tuple[Quarantine, Inventory]:
    quarantine, inventory = Quarantine(), rows.inventory(ROWS)
    Outcomes(inventory).refresh()
    withdrawn = quarantine.isolate({REFUSED: REASON}, inventory)
    assert withdrawn == {
        NetworkSubject(BAD.id),
        REFUSED,
        MacSubject(BAD.id, 9),
    }
    return quarantine, inventory


def test_the_network_of_a_refused_flow_has_no_flows_and_a_fault_and_the_others_go_on() -> None:
    quarantine, inventory = isolated()
    assert dict(quarantine.faults(inventory)) == {"network bad": REASON}
    views = {subject: outcome(inventory, subject)[0] for subject in list(inventory.subjects())}
    admitted = quarantine.admitted(views, inventory)
    assert {subject for subject, view in admitted.items() if view is not None} == {
        CHASSIS,
        NetworkSubject(GOOD.id),
        PortSubject(PORTS[0].id),
    }


def test_a_network_is_tried_again_when_a_row_of_it_changes_and_not_before() -> None:
    quarantine, inventory = isolated()
    quarantine.release(Changes(networks={GOOD.id: GOOD}, ports={PORTS[0].id: None}), inventory)
    assert quarantine.reason_by_network == {BAD.id: REASON}
    assert inventory.is_clean
    quarantine.release(Changes(ports={PORTS[1].id: PORTS[1]._replace(mac=4)}), inventory)
    assert quarantine.reason_by_network == {}
    assert REFUSED in Outcomes(inventory).refresh()


def test_a_refused_flow_of_the_chassis_itself_is_a_fault_of_the_pipeline() -> None:
    quarantine, inventory = Quarantine(), rows.inventory(ROWS)
    assert quarantine.isolate({CHASSIS: REASON}, inventory) == {CHASSIS}
    assert dict(quarantine.faults(inventory)) == {"pipeline": REASON}
    quarantine.clear(inventory)
    assert dict(quarantine.faults(inventory)) == {}


def test_a_network_that_is_gone_is_no_fault() -> None:
    quarantine, inventory = isolated()
    inventory.change(Changes(networks={BAD.id: None}, ports={PORTS[1].id: None}))
    assert dict(quarantine.faults(inventory)) == {}


def test_every_subject_knows_its_network() -> None:
    inventory = rows.inventory(ROWS)
    wanted: dict[SubjectId, UUID | None] = {
        NetworkSubject(BAD.id): BAD.id,
        PortSubject(PORTS[0].id): GOOD.id,
        PortSubject(UUID(int=99)): None,
        MacSubject(BAD.id, 9): BAD.id,
        VifSubject("g"): None,
        CHASSIS: None,
    }
    assert {subject: network_of(subject, inventory) for subject in wanted} == wanted
