"""How a port that migrates here wakes: DESIGN.md sections 5 and 6."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from model import rows
from trunkline import apps
from trunkline.bridge.migration import Migration
from trunkline.core.cookie import Subject, cookie
from trunkline.core.flow import Action, Resubmit
from trunkline.core.inventory import Changes, Inventory
from trunkline.core.model import Network, Port, Uplink, Vif
from trunkline.core.outcome import outcome
from trunkline.core.pipeline import Band, Owner, Table
from trunkline.openflow import message
from trunkline.openflow.event import PacketIn

NET = Network(UUID(int=1), "net", 7, "physnet1", 101)
PORT = Port(
    UUID(int=10), "m", 42, NET.id, 2, chassis="main", requested_chassis=("main", rows.CHASSIS), is_up=True
)
ROWS = rows.Rows(
    {NET.id: NET},
    {PORT.id: PORT},
    {"m": (Vif("m", "tap", 10),)},
    {"physnet1": Uplink("physnet1", "br-ex", 1)},
)
FRAME = b"\xff" * 12 + b"\x80\x35" + bytes(46)


@dataclass
class Recorder:
    """What a session is to the migration."""

    is_ready: bool = True
    sent: list[tuple[bytes, tuple[Action, ...], int | None]] = field(default_factory=list)

    def packet_out(self, frame: bytes, actions: tuple[Action, ...], in_port: int | None = None) -> None:
        self.sent.append((frame, actions, in_port))


def packet_in(
    port_key: int = PORT.key, subject: Subject = Subject.PORT, in_port: int | None = 10
) -> PacketIn:
    return PacketIn(table=0, cookie=cookie(Owner.CLASSIFIER, subject, port_key), in_port=in_port, frame=FRAME)


def bands(inventory: Inventory) -> set[Band]:
    """Return the bands of table 0 that the port has flows in."""
    views = [outcome(inventory, subject)[0] for subject in list(inventory.subjects())]
    flows = [flow for view in views if view is not None for flow in apps.flows(view)]
    return {flow.band for flow in flows} & {Band.VIF, Band.SLEEPING}


def installed(inventory: Inventory) -> dict[bytes, bytes]:
    views = [outcome(inventory, subject)[0] for subject in list(inventory.subjects())]
    return dict(message.encode(flow) for view in views if view is not None for flow in apps.flows(view))


def test_a_frame_of_a_sleeping_vif_wakes_its_port_and_goes_on_when_the_flows_are_in_place() -> None:
    inventory, migration, session = rows.inventory(ROWS), Migration(), Recorder()
    assert bands(inventory) == {Band.SLEEPING}
    before = inventory.revision
    migration.on_packet_in(packet_in(), inventory)
    assert bands(inventory) == {Band.VIF}
    to: Any = session
    migration.run(before, to)
    assert session.sent == []
    migration.run(inventory.revision, to)
    migration.run(inventory.revision + 1, to)
    assert session.sent == [(FRAME, (Resubmit(Table.CLASSIFY),), 10)]


def test_a_frame_waits_for_a_switch_that_is_away() -> None:
    inventory, migration, session = rows.inventory(ROWS), Migration(), Recorder(is_ready=False)
    to: Any = session
    migration.on_packet_in(packet_in(), inventory)
    migration.run(inventory.revision, to)
    assert session.sent == []
    session.is_ready = True
    migration.run(inventory.revision, to)
    assert len(session.sent) == 1


def test_a_frame_of_another_port_or_flow_wakes_nobody() -> None:
    inventory, migration, session = rows.inventory(ROWS), Migration(), Recorder()
    for event in (packet_in(43), packet_in(subject=Subject.NETWORK), packet_in(in_port=None)):
        migration.on_packet_in(event, inventory)
    to: Any = session
    migration.run(9, to)
    assert bands(inventory) == {Band.SLEEPING}
    assert session.sent == []


def test_a_port_whose_flows_are_installed_is_awake_and_one_whose_are_not_sleeps_on() -> None:
    woken = rows.inventory(ROWS)
    woken.wake(PORT.id)
    for flows, expected in ((installed(woken), Band.VIF), (installed(rows.inventory(ROWS)), Band.SLEEPING)):
        inventory = rows.inventory(ROWS)
        Migration().recover(flows, inventory)
        assert bands(inventory) == {expected}


def test_a_port_sleeps_again_after_a_migration_that_was_called_off() -> None:
    inventory = rows.inventory(ROWS)
    inventory.wake(PORT.id)
    for requested, expected in (
        (("main",), set()),
        (("main", rows.CHASSIS), {Band.SLEEPING}),
        ((rows.CHASSIS,), {Band.VIF}),
    ):
        inventory.change(Changes(ports={PORT.id: PORT._replace(requested_chassis=requested)}))
        assert bands(inventory) == expected
