"""A census on a real switch: flows are counted, and our port is unblocked, by whatever version there is."""

from __future__ import annotations

from collections.abc import Iterator

import ovs.poller
import pytest

from model.openflow_switch import Switch, running
from trunkline.openflow.census import Census

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    with running(tmp_path_factory.mktemp("census")) as switch:
        yield switch


def counted(switch: Switch, own_ofport: int | None) -> Census:
    census = Census(switch.target("br-int"))
    census.ask(own_ofport)
    while True:
        census.run()
        if not census.is_under_way:
            return census
        poller = ovs.poller.Poller()
        census.wait(poller)
        poller.timer_wait(5000)
        poller.block()


def blocked(switch: Switch, port: str) -> bool:
    """Return whether the switch says that *port* takes and gives no frames."""
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow14")
    config = switch.ofctl("show", "br-int").partition(f"({port})")[2].splitlines()[1]
    assert "config:" in config
    return "NO_RECV" in config or "NO_FWD" in config


@pytest.mark.parametrize("protocols", ["[]", "OpenFlow14", "OpenFlow15"])
@pytest.mark.parametrize("flags", [["no-receive"], ["no-receive", "no-forward"]], ids=",".join)
def test_the_port_that_is_ours_is_unblocked_and_no_other(
    switch: Switch, protocols: str, flags: list[str]
) -> None:
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow14")
    for port in ("p1", "p2"):
        for flag in flags:
            switch.ofctl("mod-port", "br-int", port, flag)
    switch.vsctl("set", "Bridge", "br-int", f"protocols={protocols}")
    census = counted(switch, 1)
    assert census.flows == 0
    assert census.unblocked is not None
    assert census.unblocked.words == ",".join(flags)
    assert not blocked(switch, "p1")
    assert blocked(switch, "p2")
    switch.vsctl("set", "Bridge", "br-int", f"protocols={protocols}")
    assert counted(switch, 1).unblocked is None


def test_a_bridge_that_describes_ports_otherwise_is_counted_and_left_as_it_is(switch: Switch) -> None:
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow14")
    switch.ofctl("mod-port", "br-int", "p1", "no-receive")
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow10,OpenFlow13")
    census = counted(switch, 1)
    assert (census.flows, census.unblocked) == (0, None)
    assert blocked(switch, "p1")
