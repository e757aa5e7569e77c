"""What a database server refuses: a write, or the rows that it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ovs.poller
import pytest

from model.openflow_switch import running
from trunkline.ovsdb.replica import Replica
from trunkline.ovsdb.write import Outcome

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


def run_until(replica: Replica, is_so: Callable[[], bool]) -> None:
    """Run *replica* until *is_so*; a test that waits in vain is ended from outside."""
    replica.run()
    while not is_so():
        poller = ovs.poller.Poller()
        replica.wait(poller)
        poller.block()
        replica.run()


@pytest.mark.parametrize("is_connected", [False, True], ids=["at first", "later"])
def test_a_server_that_refuses_a_condition_is_a_misfit_and_is_asked_again(
    tmp_path: Path, is_connected: bool
) -> None:
    """The `ovs` package passes over the error, and from then on over every change as well."""
    with running(tmp_path) as switch:
        replica = Replica(switch.remote, SCHEMA, COLUMNS)
        if is_connected:
            run_until(replica, lambda: replica.is_connected)
        replica.restrict("Open_vSwitch", [["no_such_column", "==", 1]])
        replica.ask()
        run_until(replica, lambda: replica.misfit is not None)
        refused = replica.misfit
        assert refused is not None
        assert refused == (
            "its server refuses to send rows: unknown column: No column no_such_column in table Open_vSwitch."
        )
        # It stays one while the condition is refused again, and ends with the condition.
        session = replica.session
        seen: list[str | None] = []

        def have_ten_turns_passed() -> bool:
            seen.append(replica.misfit)
            return len(seen) > 10

        run_until(replica, have_ten_turns_passed)
        assert set(seen) == {refused}
        replica.restrict("Open_vSwitch", [True])
        run_until(replica, lambda: replica.is_connected and replica.are_conditions_met)
        assert replica.misfit is None
        assert replica.session != session
        assert len(replica.rows("Open_vSwitch")) == 1
        transaction = replica.begin("a change that has to arrive")
        (row,) = replica.rows("Open_vSwitch").values()
        row.next_cfg = 42
        replica.commit(transaction)
        run_until(replica, lambda: replica.outcome() is Outcome.DONE)
        assert row.next_cfg == 42
        replica.close()
