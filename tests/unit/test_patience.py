"""How long a silent server is waited for."""

from __future__ import annotations

import socket
import time

import ovs.poller
import pytest

from trunkline.ovsdb.patience import LONGEST_MS, SHORTEST_MS, STEADY, Patience
from trunkline.ovsdb.replica import Replica

SCHEMA = {"name": "Sample", "version": "1.0.0", "tables": {"Row": {"columns": {"name": {"type": "string"}}}}}


def broken(patience: Patience, start_ms: int, times: int) -> int:
    """Have a connection come and break *times*, one second each; return the interval after that."""
    for number in range(times):
        patience.watch(start_ms + 2000 * number, is_connected=True)
        patience.watch(start_ms + 2000 * number + 1000, is_connected=False)
    return patience.interval_ms


def test_patience_grows_with_each_connection_that_does_not_hold_and_has_an_end() -> None:
    assert [broken(Patience(), 0, times) for times in range(3)] == [
        SHORTEST_MS,
        2 * SHORTEST_MS,
        4 * SHORTEST_MS,
    ]
    assert broken(Patience(), 0, 10) == LONGEST_MS


def test_patience_is_short_again_once_a_connection_holds() -> None:
    patience = Patience()
    assert broken(patience, 0, 10) == LONGEST_MS
    assert patience.watch(100_000, is_connected=True) == LONGEST_MS
    assert patience.watch(100_000 + STEADY * LONGEST_MS - 1, is_connected=True) == LONGEST_MS
    assert patience.watch(100_000 + STEADY * LONGEST_MS, is_connected=True) == SHORTEST_MS


@pytest.mark.parametrize(
    ("remotes", "interval_ms"),
    [("unix:/a.sock", 0), ("unix:/a.sock,unix:/b.sock", SHORTEST_MS), ("tcp:192.0.2.1:6641", SHORTEST_MS)],
)
def test_a_server_beside_is_not_asked_whether_it_is_there_unless_there_is_another(
    remotes: str, interval_ms: int
) -> None:
    replica = Replica(remotes, SCHEMA, {"Row": ["name"]})
    assert replica.probe_interval_ms == interval_ms
    replica.close()


def test_a_replica_has_more_patience_with_a_server_that_broke_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        replica = Replica(f"tcp:127.0.0.1:{server.getsockname()[1]}", SCHEMA, {"Row": ["name"]})
        assert replica.probe_interval_ms == SHORTEST_MS
        deadline = time.monotonic() + 10
        while replica.probe_interval_ms == SHORTEST_MS and time.monotonic() < deadline:
            replica.run()
            poller = ovs.poller.Poller()
            replica.wait(poller)
            poller.fd_wait(server, ovs.poller.POLLIN)
            poller.timer_wait(100)
            poller.block()
            try:
                server.accept()[0].close()
            except BlockingIOError:
                continue
        assert replica.probe_interval_ms == 2 * SHORTEST_MS
        replica.close()
