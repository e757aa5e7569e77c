"""A large change goes to the switch while it is computed: the agent's forwarding against a real switch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import ovs.poller
import pytest

from model.example import NETWORK, PORT, REMOTE
from model.openflow_switch import Switch, connected, installed, running
from trunkline.bridge.forwarding import LARGE_UPDATE, Forwarding
from trunkline.core.subject import NetworkSubject, PortSubject, SubjectId
from trunkline.core.view import View
from trunkline.openflow.event import Event, FlowsRead

pytestmark = pytest.mark.system

LOCAL: SubjectId = PortSubject(UUID(int=2))
Views = dict[SubjectId, View | None]


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    with running(tmp_path) as switch:
        yield switch


@pytest.fixture
def forwarding(switch: Switch) -> Iterator[Forwarding]:
    """Forwarding that has read the empty switch."""
    forwarding = Forwarding(switch.target("br-int"))
    turn_until(forwarding, lambda: forwarding.is_connected)
    yield forwarding
    forwarding.close()


def remote(number: int) -> SubjectId:
    return PortSubject(UUID(int=1000 + number))


def many() -> Views:
    """A network with a local port and remote ones, enough of them to be sent while they are computed."""
    views: Views = {NetworkSubject(UUID(int=1)): NETWORK, LOCAL: PORT}
    for number in range(LARGE_UPDATE):
        views[remote(number)] = REMOTE._replace(key=1000 + number, mac=REMOTE.mac + number)
    return views


def turn_until(forwarding: Forwarding, is_done: Callable[[], bool], kind: type[Event] | None = None) -> None:
    """Do as the agent's loop does until *is_done*, and, with *kind*, such an event came with it."""
    for _ in range(1000):
        events = forwarding.run()
        if is_done() and (kind is None or any(isinstance(event, kind) for event in events)):
            return
        poller = ovs.poller.Poller()
        forwarding.wait(poller)
        poller.timer_wait(1000)
        poller.block()
    raise AssertionError("not done in 1,000 turns")


def on_switch(switch: Switch) -> dict[bytes, bytes]:
    with connected(switch) as other:
        return installed(other)


def applied(forwarding: Forwarding) -> Callable[[], bool]:
    return lambda: forwarding.is_applied


def test_nothing_of_a_large_change_takes_hold_before_it_is_sent_as_a_whole(
    switch: Switch, forwarding: Forwarding
) -> None:
    """DESIGN.md, Lifecycle 3: a change is one atomic bundle, however it went to the switch."""
    forwarding.update(many(), 1)
    forwarding.run()
    assert on_switch(switch) == {}
    forwarding.send()
    turn_until(forwarding, applied(forwarding))
    assert on_switch(switch) == forwarding.desired.body_by_key == forwarding.installed


def test_a_change_of_mind_before_a_large_change_is_sent_is_what_the_switch_gets(
    switch: Switch, forwarding: Forwarding
) -> None:
    views = many()
    forwarding.update(views, 1)
    gone, changed = remote(1), remote(2)
    forwarding.update({gone: None, changed: REMOTE._replace(key=5, mac=REMOTE.mac + 70_000)}, 2)
    forwarding.update({LOCAL: PORT._replace(is_secured=not PORT.is_secured)}, 3)
    before = set(forwarding.desired.body_by_key)
    forwarding.send()
    turn_until(forwarding, applied(forwarding))
    assert set(on_switch(switch)) == before
    assert on_switch(switch) == forwarding.desired.body_by_key == forwarding.installed
    forwarding.update(dict.fromkeys(views), 4)
    forwarding.send()
    turn_until(forwarding, applied(forwarding))
    assert on_switch(switch) == forwarding.installed == {}


def test_flows_are_read_anew_amid_a_large_change_and_none_of_it_is_lost(
    switch: Switch, forwarding: Forwarding
) -> None:
    forwarding.update(many(), 1)
    forwarding.update({remote(1): None}, 2)
    forwarding.read_flows()
    turn_until(forwarding, lambda: forwarding.is_connected, FlowsRead)
    forwarding.send()
    turn_until(forwarding, applied(forwarding))
    assert on_switch(switch) == forwarding.desired.body_by_key == forwarding.installed


def test_a_switch_that_goes_amid_a_large_change_gets_it_when_it_is_back(
    switch: Switch, forwarding: Forwarding
) -> None:
    forwarding.update(many(), 1)
    switch.kill_vswitchd()
    turn_until(forwarding, lambda: forwarding.installed is None)
    switch.start_vswitchd()
    turn_until(forwarding, lambda: forwarding.is_connected)
    forwarding.send()
    turn_until(forwarding, applied(forwarding))
    assert forwarding.installed == forwarding.desired.body_by_key
    assert set(on_switch(switch)) == set(forwarding.desired.body_by_key)


def test_a_large_change_that_the_switch_gave_up_waiting_for_is_sent_again(
    switch: Switch, forwarding: Forwarding
) -> None:
    """If an uplink is long in coming, Open vSwitch drops the open bundle (ovs-vswitchd.conf.db(5))."""
    switch.vsctl("set", "Open_vSwitch", ".", "other_config:bundle-idle-timeout=1")
    forwarding.update(many(), 1)
    forwarding.run()
    poller = ovs.poller.Poller()
    forwarding.wait(poller)
    # The next that the switch says is that the bundle is gone.
    poller.block()
    forwarding.run()
    assert on_switch(switch) == {}

    def is_whole() -> bool:
        forwarding.send()
        return forwarding.is_applied

    turn_until(forwarding, is_whole)
    assert on_switch(switch) == forwarding.desired.body_by_key == forwarding.installed
