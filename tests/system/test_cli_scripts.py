"""What a script may run twice: `--may-exist` and `--if-exists`; and the notes that it leaves in rows."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from program import refusal, trunkline, typed

from trunkline.northbound.client import Delete, Ensure, NetworkSpec, Northbound, RefusedError
from trunkline.northbound.operation import insert, select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system

NETWORK = "network create blue --type vlan --physical-network p --segment 101"
PORT = "port create vm1 --network blue --mac 02-00-00-00-00-01 --ip 192.0.2.2 --ip 192.0.2.1 --enable"


@pytest.fixture
def remote(nb: Served) -> str:
    """A northbound with the network blue and the port vm1."""
    for command in (NETWORK, PORT):
        assert typed(command, nb.remote) == (0, "", "")
    return nb.remote


@pytest.fixture
def northbound(remote: str) -> Iterator[Northbound]:
    with Northbound.connect(remote) as connected:
        yield connected


def rows(northbound: Northbound) -> list[Any]:
    return northbound.read(*(select(table) for table in ("Network", "Port", "NB_Global")))


@pytest.mark.parametrize(
    "command",
    [
        *(NETWORK, PORT, "port create vm1 --network blue --mac 02:00:00:00:00:01"),
        *(f"{NETWORK} --remote-ports explicit", f"{PORT} --port-security --no-unknown-macs"),
    ],
)
def test_what_exists_as_it_is_asked_for_is_left_as_it_is(northbound: Northbound, command: str) -> None:
    """What is not asked for may be otherwise, and an address or a default may be spelt otherwise."""
    remote = northbound.rpc.remote
    assert typed("port set vm1 --option announce=false --external-id owner=ops", remote).code == 0
    before = rows(northbound)
    assert typed(f"{command} --may-exist", remote) == (0, "", "")
    assert rows(northbound) == before


def test_what_does_not_exist_is_created(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    command = "port create vm2 --network blue --mac 02:00:00:00:00:02 --may-exist"
    for _ in range(2):
        assert typed(command, remote) == (0, "", "")
    assert northbound.port("vm2")["unique_key"] == 2


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (NETWORK.replace("101", "102"), "its --segment is 101 and not 102"),
        ("network create blue --type flat --physical-network p", "its --type is vlan and not flat"),
        (f"{NETWORK} --mtu 1400", "its --mtu is empty and not 1400"),
        (f"{NETWORK} --remote-ports learned", "its --remote-ports is explicit and not learned"),
        (PORT.replace("00-01", "00-02"), "its --mac is 02:00:00:00:00:01 and not 02:00:00:00:00:02"),
        (
            PORT.replace("192.0.2.2", "192.0.2.3"),
            "its --ip is 192.0.2.1, 192.0.2.2 and not 192.0.2.1, ",
        ),
        (PORT.replace("--enable", "--disable"), "its --enable is true and not false"),
        (f"{PORT} --external-id owner=ops", "its --external-id is empty and not owner=ops"),
    ],
)
def test_what_exists_otherwise_is_refused_and_not_changed(
    northbound: Northbound, command: str, what: str
) -> None:
    before = rows(northbound)
    line = refusal(typed(f"{command} --may-exist", northbound.rpc.remote), 1)
    name = "network 'blue'" if command.startswith("network") else "port 'vm1'"
    assert line.startswith(f"trunkline: {name} exists already, and {what}")
    assert line.endswith("; change it by `set`, or pick another name")
    assert rows(northbound) == before


def test_a_port_in_another_network_is_refused(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    assert typed(NETWORK.replace("blue", "red").replace("101", "102"), remote).code == 0
    line = refusal(typed(PORT.replace("blue", "red") + " --may-exist", remote), 1)
    assert "port 'vm1' exists already, and it is in another network; " in line
    gone = typed(PORT.replace("blue", "green") + " --may-exist", remote)
    assert "no network is called 'green'" in refusal(gone, 1)


@pytest.mark.parametrize("segment", [101, 102])
def test_a_row_that_another_writer_creates_first_is_seen(nb: Served, segment: int) -> None:
    """Both have seen that there is none; the second one looks again."""
    with Northbound.connect(nb.remote) as first, Northbound.connect(nb.remote) as second:
        spec = NetworkSpec(name="blue", network_type="vlan", physical_network="p", segmentation_id=101)
        other = NetworkSpec(name="blue", network_type="vlan", physical_network="p", segmentation_id=segment)
        commits = 0

        @contextmanager
        def after_the_other() -> Iterator[None]:
            nonlocal commits
            commits += 1
            if commits == 1:
                second.create([other])
            yield

        steps = [Ensure(spec, ("segmentation_id",))]
        if segment == 101:
            first.write(steps, around=after_the_other)
        else:
            with pytest.raises(RefusedError, match="its `segmentation_id` is 102 and not 101"):
                first.write(steps, around=after_the_other)
        assert commits == 1
        assert first.network("blue")["segmentation_id"] == segment


@pytest.mark.parametrize("noun", ["network", "port", "chassis"])
def test_what_is_gone_already_is_passed_over(northbound: Northbound, noun: str) -> None:
    remote = northbound.rpc.remote
    northbound.transact([insert("Chassis", {"name": "c1"})])
    assert typed("network create red --type flat --physical-network p", remote).code == 0
    there = {"network": "red", "port": "vm1", "chassis": "c1"}[noun]
    before = rows(northbound)
    assert typed(f"{noun} delete no-such --if-exists", remote) == (0, "", "")
    assert rows(northbound) == before
    assert f"no {noun} is called 'no-such'" in refusal(typed(f"{noun} delete no-such {there}", remote), 1)
    assert typed(f"{noun} delete no-such {there} {there} --if-exists", remote) == (0, "", "")
    assert there not in typed(f"{noun} list", remote).out


def test_a_row_that_another_writer_deletes_first_is_passed_over(northbound: Northbound) -> None:
    with Northbound.connect(northbound.rpc.remote) as second:

        @contextmanager
        def after_the_other() -> Iterator[None]:
            second.delete_ports(["vm1"])
            yield

        northbound.write([Delete("Port", "vm1", may_be_gone=True)], around=after_the_other)


def test_a_network_with_ports_is_not_deleted_for_all_that(northbound: Northbound) -> None:
    line = refusal(typed("network delete blue --if-exists", northbound.rpc.remote), 1)
    assert "still has 1 port" in line


def notes(remote: str, what: str) -> Any:
    return json.loads(typed(f"{what} -o json", remote).out)["external_ids"]


@pytest.mark.parametrize("noun", ["network", "port"])
def test_notes_are_added_and_removed_one_by_one(remote: str, noun: str) -> None:
    create = {
        "network": "network create red --type flat --physical-network p",
        "port": "port create red --network blue --mac 02:00:00:00:00:09",
    }[noun]
    assert typed(f"{create} --external-id owner=ops --external-id a=b=c --external-id x=", remote).code == 0
    assert notes(remote, f"{noun} show red") == {"owner": "ops", "a": "b=c"}
    change = f"{noun} set red --external-id owner= --external-id ticket=17 --external-id unknown="
    assert typed(change, remote) == (0, "", "")
    assert notes(remote, f"{noun} show red") == {"a": "b=c", "ticket": "17"}
    shown = typed(f"{noun} show red", remote).out
    assert "a: b=c" in shown
    assert "ticket: 17" in shown


def test_two_that_add_notes_at_once_both_do(northbound: Northbound) -> None:
    from trunkline.northbound.client import Change, Merged

    with Northbound.connect(northbound.rpc.remote) as second:
        commits = 0

        @contextmanager
        def after_the_other() -> Iterator[None]:
            nonlocal commits
            commits += 1
            if commits == 1:
                second.write([Change("Port", "vm1", {"external_ids": Merged(b="2")})])
            yield

        northbound.write([Change("Port", "vm1", {"external_ids": Merged(a="1")})], around=after_the_other)
    assert northbound.port("vm1")["external_ids"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize("command", [PORT.replace("vm1", "vm2"), "port set vm1", "network set blue"])
def test_keys_of_our_own_are_not_set_by_hand(remote: str, command: str) -> None:
    for value in ("prod", ""):
        line = refusal(trunkline(*command.split(), "--external-id", f"trunkline-set={value}", nb=remote), 2)
        assert "'trunkline-set' is not yours to set" in line
        assert "`trunkline apply --set NAME --adopt`" in line
    assert "'owner' is not KEY=VALUE" in refusal(typed(f"{command} --external-id owner", remote), 2)
