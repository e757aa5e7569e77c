"""A refused flow takes out its network and nothing else: DESIGN.md section 6, rule 3."""

from __future__ import annotations

from uuid import UUID

from model import rows
from trunkline.agent.quarantine import Quarantine, network_of
from trunkline.core.model import AllowedPair, Network, Port, Uplink, Vif
from trunkline.core.pipeline import Subject
from trunkline.core.snapshot import CHASSIS, Changes, MacId, Snapshot

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
REFUSED = (Subject.PORT, PORTS[1].id)
REASON = "the switch refused a flow of it"


def isolated() -> tuple[Quarantine, Snapshot]:
    quarantine, snapshot = Quarantine(), rows.snapshot(ROWS)
    snapshot.refresh()
    withdrawn = quarantine.isolate({REFUSED: REASON}, snapshot)
    assert withdrawn == {
        (Subject.NETWORK, BAD.id),
        REFUSED,
        (Subject.MAC, MacId(BAD.id, 9)),
    }
    return quarantine, snapshot


def test_the_network_of_a_refused_flow_has_no_flows_and_a_fault_and_the_others_go_on() -> None:
    quarantine, snapshot = isolated()
    assert dict(quarantine.faults(snapshot)) == {"network bad": REASON}
    views = {subject: snapshot.view(subject) for subject in list(snapshot.subjects())}
    admitted = quarantine.admitted(views, snapshot)
    assert {subject for subject, view in admitted.items() if view is not None} == {
        CHASSIS,
        (Subject.NETWORK, GOOD.id),
        (Subject.PORT, PORTS[0].id),
    }


def test_a_network_is_tried_again_when_a_row_of_it_changes_and_not_before() -> None:
    quarantine, snapshot = isolated()
    quarantine.release(Changes(networks={GOOD.id: GOOD}, ports={PORTS[0].id: None}), snapshot)
    assert quarantine.reason_by_network == {BAD.id: REASON}
    assert snapshot.is_clean
    quarantine.release(Changes(ports={PORTS[1].id: PORTS[1]._replace(mac=4)}), snapshot)
    assert quarantine.reason_by_network == {}
    assert REFUSED in snapshot.refresh()


def test_a_refused_flow_of_the_chassis_itself_is_a_fault_of_the_pipeline() -> None:
    quarantine, snapshot = Quarantine(), rows.snapshot(ROWS)
    assert quarantine.isolate({CHASSIS: REASON}, snapshot) == {CHASSIS}
    assert dict(quarantine.faults(snapshot)) == {"pipeline": REASON}
    quarantine.clear(snapshot)
    assert dict(quarantine.faults(snapshot)) == {}


def test_a_network_that_is_gone_is_no_fault() -> None:
    quarantine, snapshot = isolated()
    snapshot.change(Changes(networks={BAD.id: None}, ports={PORTS[1].id: None}))
    assert dict(quarantine.faults(snapshot)) == {}


def test_every_subject_knows_its_network() -> None:
    snapshot = rows.snapshot(ROWS)
    wanted = {
        (Subject.NETWORK, BAD.id): BAD.id,
        (Subject.PORT, PORTS[0].id): GOOD.id,
        (Subject.PORT, UUID(int=99)): None,
        (Subject.MAC, MacId(BAD.id, 9)): BAD.id,
        (Subject.VIF, "g"): None,
        CHASSIS: None,
    }
    assert {subject: network_of(subject, snapshot) for subject in wanted} == wanted
