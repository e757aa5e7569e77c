"""Steps of several kinds in one transaction, and a client whose server goes and comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from trunkline.core.error import InvalidValueError, Place
from trunkline.northbound import transaction
from trunkline.northbound.client import (
    Change,
    ChangedError,
    Create,
    Delete,
    Merged,
    NetworkSpec,
    Northbound,
    NotFoundError,
    PortSpec,
    Put,
    RefusedError,
    UnreachableError,
)
from trunkline.northbound.operation import expect, insert, select, update
from trunkline.northbound.transaction import Guard

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served
    from trunkline.northbound.operation import Operation
    from trunkline.northbound.step import Step

pytestmark = pytest.mark.system


def a_network(name: str, **columns: Any) -> NetworkSpec:
    return NetworkSpec(**({"name": name, "network_type": "flat", "physical_network": name} | columns))


def a_port(number: int, network: str = "web", **columns: Any) -> PortSpec:
    row = {"name": f"port{number}", "network": network, "mac": f"02:00:00:00:00:{number:02x}"}
    return PortSpec(**(row | columns))


@pytest.fixture
def northbound(nb: Served) -> Iterator[Northbound]:
    with Northbound.connect(nb.remote) as connected:
        ports = [a_port(number, addresses=(f"192.0.2.{number}",)) for number in range(1, 9)]
        connected.create([a_network("web"), a_network("db")], ports)
        yield connected


def test_steps_of_every_kind_are_one_transaction(northbound: Northbound) -> None:
    northbound.write(
        [
            Create(a_network("app")),
            Create(a_port(20, "app")),
            Put(a_port(1, "app", addresses=("192.0.2.1",))),
            Put(a_port(21, "db")),
            Change("Port", "port2", {"network": "app", "enabled": False}),
            Change("Network", "web", {"mtu": 1400}),
            Delete("Port", "port3"),
            Delete("Port", "port4"),
        ]
    )
    networks = {row["name"]: row["network"] for row in northbound.ports()}
    assert networks == {
        **dict.fromkeys(("port1", "port2", "port20"), "app"),
        **dict.fromkeys(("port5", "port6", "port7", "port8"), "web"),
        "port21": "db",
    }
    assert northbound.network("web")["mtu"] == 1400
    assert northbound.port("port2")["enabled"] is False
    keys = [row["unique_key"] for row in northbound.ports()]
    assert len(set(keys)) == len(keys)


def test_of_the_steps_of_one_transaction_all_are_done_or_none(northbound: Northbound) -> None:
    before = northbound.ports(), northbound.networks()
    for last in (Delete("Port", "port99"), Change("Port", "port99", {"enabled": False}), Create(a_port(1))):
        with pytest.raises((NotFoundError, RefusedError)):
            northbound.write([Create(a_network("app")), Change("Network", "web", {"mtu": 1400}), last])
    assert (northbound.ports(), northbound.networks()) == before


def test_what_is_put_is_written_if_it_differs_and_can_be_put_again(northbound: Northbound) -> None:
    spec = a_port(1, addresses=("192.0.2.1", "192.0.2.77"), options={"announce": "false"})
    northbound.write([Put(spec), Put(a_network("web", mtu=1400))])
    row = northbound.port("port1")
    assert (row["addresses"], row["options"]) == (["192.0.2.1", "192.0.2.77"], {"announce": "false"})
    northbound.transact([update("Port", ("name", "==", "port1"), row={"up": True})])
    latest = northbound.read(select("NB_Global"))
    northbound.write([Put(spec), Put(a_network("web", mtu=1400))])
    assert northbound.port("port1") == row | {"up": True}
    assert northbound.read(select("NB_Global")) == latest, "no writer is beaten by what changes nothing"


def test_a_map_is_replaced_or_merged(northbound: Northbound) -> None:
    def write(ids: dict[str, str]) -> Any:
        northbound.write([Change("Port", "port1", {"external_ids": ids})])
        return northbound.port("port1")["external_ids"]

    assert write({"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert write(Merged({"a": "", "c": "3"})) == {"b": "2", "c": "3"}
    assert write({"d": "4"}) == {"d": "4"}


def test_a_change_of_what_its_author_has_not_seen_is_refused(northbound: Northbound) -> None:
    seen: dict[str, object] = {"external_ids": {}, "mtu": None}
    northbound.write([Change("Network", "web", {"mtu": 1400}, given=seen)])
    with pytest.raises(
        RefusedError, match="network 'web' has changed meanwhile: its `mtu` is 1400"
    ) as caught:
        northbound.write([Change("Network", "web", {"mtu": 1300}, given=seen)])
    assert caught.value.place == Place("Network", "web", "mtu")
    assert northbound.network("web")["mtu"] == 1400


def test_what_its_author_has_seen_may_be_the_network_of_a_port(northbound: Northbound) -> None:
    northbound.write([Change("Port", "port1", {"network": "db"}, given={"network": "web"})])
    with pytest.raises(ChangedError, match="port 'port1' has changed meanwhile: it is in another network"):
        northbound.write([Change("Port", "port1", {"network": "db"}, given={"network": "web"})])
    with pytest.raises(ChangedError, match="it is in another network"):
        northbound.write([Delete("Port", "port1", given={"network": "gone"})])
    northbound.write([Delete("Port", "port1", given={"network": "db", "addresses": ["192.0.2.1"]})])


@pytest.mark.parametrize("number", [1, 5])
def test_a_row_that_changes_before_it_is_deleted_is_kept(
    nb: Served, northbound: Northbound, number: int
) -> None:
    with Outrun.connect(nb.remote) as outrun:
        assert isinstance(outrun, Outrun)
        outrun.writes = [update("Port", ("name", "==", "port1"), row={"enabled": False})]
        with pytest.raises(ChangedError, match="port 'port1' has changed meanwhile: its `enabled` is False"):
            outrun.write(Delete("Port", f"port{n}", given={"enabled": None}) for n in range(1, number + 1))
    assert len(northbound.ports()) == 8


def test_options_that_take_the_place_of_others_leave_what_follows_from_columns(
    northbound: Northbound,
) -> None:
    northbound.transact([insert("Chassis", {"name": name}) for name in ("c1", "c2")])

    def options(columns: dict[str, Any]) -> Any:
        northbound.write([Change("Port", "port1", columns)])
        return northbound.port("port1")["options"]

    assert options({"options": {"announce": "false"}, "requested_chassis": "c1,c2"}) == {
        "announce": "false",
        "first-chassis": "c1",
    }
    assert options({"options": {}}) == {"first-chassis": "c1"}
    assert options({"options": {"announce": "true"}, "requested_chassis": "c2"}) == {"announce": "true"}


def test_a_rehearsal_raises_what_a_write_would_and_changes_nothing(northbound: Northbound) -> None:
    before = northbound.ports(), northbound.read(select("NB_Global"))
    northbound.rehearse(
        [Create(a_port(30)), Delete("Port", "port1"), Change("Network", "web", {"mtu": 1400})]
    )
    for step in (
        Create(a_port(30, requested_chassis="c9")),
        Create(a_port(30, addresses=("192.0.2.1",))),
        Change("Network", "web", {"mtu": 1400}, given={"mtu": 1300}),
        Delete("Port", "port99"),
    ):
        with pytest.raises((RefusedError, NotFoundError)):
            northbound.rehearse([step])
    assert (northbound.ports(), northbound.read(select("NB_Global"))) == before


def test_a_commit_is_made_inside_of_what_is_given_around_it(northbound: Northbound) -> None:
    said: list[bool] = []

    @contextmanager
    def around() -> Iterator[None]:
        said.append(any(row["name"] == "port30" for row in northbound.ports()))
        yield
        said.append(any(row["name"] == "port30" for row in northbound.ports()))

    northbound.write([Create(a_port(30))], around=around)
    assert said == [False, True]


class Outrun(Northbound):
    """A client before each of whose writes somebody else writes, as long as there is something to write."""

    writes: list[Operation]

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        if self.writes and any(each["op"] != "select" for each in operations):
            super().transact([self.writes.pop()])
        return super().transact(operations)


def test_what_changes_between_the_read_and_the_write_is_read_again(
    nb: Served, northbound: Northbound
) -> None:
    is_web = ("name", "==", "web")
    with Outrun.connect(nb.remote) as outrun:
        assert isinstance(outrun, Outrun)
        outrun.writes = [update("Network", is_web, row={"external_ids": {"by": name}}) for name in "ab"]
        outrun.write([Change("Network", "web", {"external_ids": Merged({"to": "c"})})])
        assert outrun.network("web")["external_ids"] == {"by": "a", "to": "c"}
        outrun.writes = [update("Network", is_web, row={"mtu": 1300})]
        with pytest.raises(RefusedError, match="its `mtu` is 1300 and not None"):
            outrun.write([Change("Network", "web", {"mtu": 1400}, given={"mtu": None})])


def test_a_guarded_transaction_of_a_programs_own_is_prepared_anew_when_its_guard_fails(
    nb: Served, northbound: Northbound
) -> None:
    with Outrun.connect(nb.remote) as outrun:
        assert isinstance(outrun, Outrun)
        outrun.writes = [insert("RBAC_Role", {"name": "other"})]

        def parts() -> list[Any]:
            (roles,) = outrun.read(select("RBAC_Role", ("name", "==", "other"), only=("name",)))
            guard = Guard(expect("RBAC_Role", ("name", "==", "other"), rows=roles, only=("name",)))
            return [guard, insert("RBAC_Role", {"name": f"beside {len(roles)}"})]

        transaction.write(outrun, parts)
    (roles,) = northbound.read(select("RBAC_Role", only=("name",)))
    assert "beside 1" in [role["name"] for role in roles]


WRONG: list[tuple[list[Step], str]] = [
    ([Change("Port", "port1", {}), Delete("Port", "port1")], "port 'port1' is asked for twice"),
    ([Put(a_port(1)), Change("Port", "port1", {"enabled": True})], "port 'port1' is asked for twice"),
    ([Create(a_port(30)), Put(a_port(30))], "port 'port30' is asked for twice"),
    ([Change("Network", "web", {}), Change("Network", "web", {})], "network 'web' is asked for twice"),
]


@pytest.mark.parametrize(("steps", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_row_has_one_step(northbound: Northbound, steps: list[Step], said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        northbound.write(steps)


TOGETHER: list[tuple[list[Step], str | None]] = [
    # An address goes from one port to another.
    (
        [
            Change("Port", "port1", {"addresses": []}),
            Change("Port", "port2", {"addresses": ["192.0.2.1"]}),
        ],
        None,
    ),
    ([Delete("Port", "port1"), Create(a_port(30, addresses=("192.0.2.1",)))], None),
    # And five of them, which are looked for otherwise.
    (
        [
            *(Delete("Port", f"port{number}") for number in range(1, 6)),
            Create(a_port(30, addresses=tuple(f"192.0.2.{number}" for number in range(1, 6)))),
        ],
        None,
    ),
    (
        [
            *(Delete("Port", f"port{number}") for number in range(1, 5)),
            Create(a_port(30, addresses=tuple(f"192.0.2.{number}" for number in range(1, 6)))),
        ],
        "port 'port5' of the same network already has 192.0.2.5",
    ),
    # Two get one at the same time.
    (
        [
            Change("Port", "port1", {"addresses": ["192.0.2.50"]}),
            Create(a_port(30, addresses=("192.0.2.50",))),
        ],
        "already has 192.0.2.50",
    ),
    (
        [
            Change("Port", "port1", {"addresses": ["192.0.2.50"]}),
            Create(a_port(30, addresses=tuple(f"192.0.2.{number}" for number in range(50, 55)))),
        ],
        "already has 192.0.2.50",
    ),
    # A sub-port leaves its trunk as that goes; another comes to one that goes.
    ([Change("Port", "sub", {"parent": None}), Delete("Port", "trunk")], None),
    ([Delete("Port", "trunk")], "port 'trunk' has sub-ports"),
    (
        [
            Delete("Port", "sub"),
            Delete("Port", "trunk"),
            Create(a_port(30, "db", parent="trunk", parent_vlan=7)),
        ],
        "port 'trunk' cannot be a parent",
    ),
    # A tag is free as its sub-port goes.
    ([Delete("Port", "sub"), Create(a_port(30, "db", parent="trunk", parent_vlan=5))], None),
    ([Create(a_port(30, "new", parent="trunk", parent_vlan=5)), Create(a_network("new"))], "with tag 5"),
    # A network becomes what its physical network allows as another one goes.
    (
        [
            Create(a_network("vlan", physical_network="db", network_type="vlan", segmentation_id=7)),
            Change("Network", "db", {"vlan_transparent": True}),
        ],
        "VLAN",
    ),
    ([Create(a_port(30, requested_chassis="c1,c9"))], "no chassis is called 'c9'"),
    ([Change("Port", "port1", {"requested_chassis": "c9"})], "no chassis is called 'c9'"),
    ([Change("Port", "port1", {"requested_chassis": "c1"})], None),
    ([Delete("Chassis", "c1"), Change("Port", "port1", {"requested_chassis": "c1"})], "no chassis"),
]


@pytest.mark.parametrize(("steps", "said"), TOGETHER)
def test_steps_are_held_to_what_there_is_when_all_are_done(
    northbound: Northbound, steps: list[Step], said: str | None
) -> None:
    northbound.transact([insert("Chassis", {"name": "c1"})])
    northbound.create(
        ports=[a_port(10, name="trunk"), a_port(11, "db", name="sub", parent="trunk", parent_vlan=5)]
    )
    if said is None:
        northbound.write(steps)
    else:
        with pytest.raises((RefusedError, NotFoundError), match=said):
            northbound.write(steps)


def test_a_client_outlives_its_server(nb: Served, northbound: Northbound) -> None:
    nb.stop()
    with pytest.raises(UnreachableError):
        northbound.networks()
    nb.start()
    assert [row["name"] for row in northbound.networks()] == ["db", "web"]
    nb.stop()
    nb.start()
    northbound.create(ports=[a_port(30)])
    assert northbound.port("port30")["network"] == "web"


class Lost(Northbound):
    """A client whose connection is lost after a request is sent."""

    sent = 0

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        if any(each["op"] == "insert" for each in operations):
            self.sent += 1
            rpc, receive = self.rpc, self.rpc._receive

            def lost(deadline: float) -> Any:
                receive(deadline)
                raise UnreachableError("lost")

            rpc._receive = lost  # type: ignore[method-assign]
        return super().transact(operations)


def test_a_transaction_whose_answer_was_lost_is_not_repeated(nb: Served, northbound: Northbound) -> None:
    with Lost.connect(nb.remote) as client:
        assert isinstance(client, Lost)
        with pytest.raises(UnreachableError):
            client.create(ports=[a_port(30)])
        assert client.sent == 1
        assert client.port("port30")["network"] == "web", "it was done, and the client goes on"
