"""A write that a database server refuses: why, in words."""

from __future__ import annotations

from pathlib import Path

import ovs.poller
import pytest

from model.openflow_switch import running
from trunkline.ovsdb.replica import Outcome, Replica

pytestmark = pytest.mark.system

COLUMNS = {"Open_vSwitch": ["next_cfg"]}
SCHEMA = {
    "name": "Open_vSwitch",
    "tables": {"Open_vSwitch": {"columns": {"next_cfg": {"type": "integer"}}}},
}


def test_why_a_write_was_refused_is_said_in_words(tmp_path: Path) -> None:
    """RFC 7047 section 4.1.3: an error has a name and details. Operators see them in the fault `report`."""
    with running(tmp_path) as switch:
        replica = Replica(switch.remote, SCHEMA, COLUMNS)
        outcome = None
        while outcome is None:
            replica.run()
            if replica.is_connected and not replica.is_writing:
                transaction = replica.begin("a second row, where one is allowed")
                transaction.insert(replica.table("Open_vSwitch"))
                replica.commit(transaction)
            outcome = replica.outcome()
            poller = ovs.poller.Poller()
            replica.wait(poller)
            poller.timer_wait(1000)
            poller.block()
        replica.close()
    assert outcome is Outcome.FAILED
    assert replica.error is not None
    assert replica.error.startswith("constraint violation: ")
    assert "{" not in replica.error
