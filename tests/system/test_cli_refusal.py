"""Every refusal is one line that says what is wrong and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from program import refusal, trunkline, typed

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound

pytestmark = pytest.mark.system


@pytest.fixture
def remote(nb: Northbound) -> str:
    """A northbound with the networks web (VLAN 101) and plain (flat) and the port web1."""
    for command in (
        "network create web --type vlan --physical-network physnet1 --segment 101",
        "network create plain --type flat --physical-network physnet1",
        "port create web1 --network web --mac 02:00:00:00:00:01 --ip 192.0.2.1",
    ):
        assert typed(command, nb.remote) == (0, "", "")
    return nb.remote


CREATE_PORT = "port create web2 --network web --mac 02:00:00:00:00:02"

LONG = "x" * 5_000

REFUSALS = [
    ("port set web1 --network=", 2, "a port is in a network; give --network"),
    (
        f"network create {LONG} --type flat --physical-network p",
        2,
        f"{'x' * 20!r}… cannot name a network; use 255 characters at most",
    ),
    (
        "network create a,b --type flat --physical-network p",
        2,
        "'a,b' cannot name a network; leave out the comma, which separates names",
    ),
    (
        "network create db --type flat --physical-network a:b",
        2,
        "'a:b' cannot name a physical network; leave out the colon, which ends it in a bridge mapping",
    ),
    (
        "network set web --physical-network a,b",
        2,
        "'a,b' cannot name a physical network; leave out the comma, which separates names",
    ),
    (
        "port create a,b --network web --mac 02:00:00:00:00:02",
        2,
        "'a,b' cannot name a port; leave out the comma, which separates names",
    ),
    (
        "network create db --type vlan --physical-network physnet1 --segment 101",
        1,
        "network 'web' already uses VLAN 101 on physnet1; pick another --segment",
    ),
    (
        "network create flat2 --type flat --physical-network physnet1",
        1,
        "network 'plain' is already the flat network of physnet1; "
        "pick another --physical-network, or --type vlan",
    ),
    (
        "network create web --type vlan --physical-network physnet1 --segment 102",
        1,
        "network 'web' already exists; pick another name, or use `set`",
    ),
    (
        "port create web2 --network web --mac 02-00-00-00-00-01",
        1,
        "port 'web1' already has MAC 02:00:00:00:00:01 in network 'web'; pick another --mac",
    ),
    (
        "port create web1 --network web --mac 02:00:00:00:00:02",
        1,
        "port 'web1' already exists; pick another name, or use `set`",
    ),
    ("network delete web", 1, "network 'web' still has 1 port (web1); delete it first"),
    (
        "port create web2 --network wbe --mac 02:00:00:00:00:02",
        1,
        "no network is called 'wbe'; did you mean web?",
    ),
    ("port list --network wbe", 1, "no network is called 'wbe'; did you mean web?"),
    ("port set web1 --network wbe", 1, "no network is called 'wbe'; did you mean web?"),
    ("network show wbe", 1, "no network is called 'wbe'; did you mean web?"),
    ("network delete plain wbe", 1, "no network is called 'wbe'; did you mean web?"),
    ("port show web9", 1, "no port is called 'web9'; see `trunkline port list`"),
    ("port set web9 --disable", 1, "no port is called 'web9'; see `trunkline port list`"),
    ("port delete web9", 1, "no port is called 'web9'; see `trunkline port list`"),
    ("chassis show c9", 1, "no chassis is called 'c9'; see `trunkline chassis list`"),
    ("chassis delete c9", 1, "no chassis is called 'c9'; see `trunkline chassis list`"),
    (
        f"{CREATE_PORT} --parent web9 --parent-vlan 5",
        1,
        "port 'web9' cannot be a parent: it does not exist, or is a sub-port itself",
    ),
    (f"{CREATE_PORT} --requested-chassis c9", 1, "no chassis is called 'c9'; see `trunkline chassis list`"),
    ("port set web1 --requested-chassis c9", 1, "no chassis is called 'c9'; see `trunkline chassis list`"),
    (
        f"{CREATE_PORT} --parent web1 --parent-vlan 5",
        1,
        "port 'web1' is in the same network; pick another --network or --parent",
    ),
    (f"{CREATE_PORT} --allowed-address 02:00:00:00:00:0e,192.0.2.0/33", 2, None),
    ("port set web1 --option announce", 2, None),
    ("port set web1 --option anounce=false", 2, "there is no option 'anounce'; did you mean announce?"),
    ("port set web1 --option announce=0", 2, "option announce is '0'; use true or false"),
    (
        "network set web --remote-ports learned --unknown-unicast drop",
        2,
        "with --remote-ports learned all remote MACs are unknown unicast; use --unknown-unicast forward",
    ),
    (
        "port create web2 --network web --mac zz",
        2,
        "'zz' is not a MAC address; write it as 02:00:00:00:00:01",
    ),
    (
        f"{CREATE_PORT} --ip 192.0.2.300",
        2,
        "'192.0.2.300' is not an IP address; write it as 192.0.2.1 or 2001:db8::1",
    ),
    (
        f"{CREATE_PORT} --ip 127.0.0.1",
        2,
        "127.0.0.1 is a loopback address, which no port can have; give an address that a VM can have",
    ),
    (
        f"{CREATE_PORT} --ip 192.0.2.7 --ip 192.0.2.1",
        1,
        "port 'web1' of the same network already has 192.0.2.1; "
        "pick another --ip, or use --allow-duplicate-ip",
    ),
    ("port set web1 --mac zz", 2, "'zz' is not a MAC address; write it as 02:00:00:00:00:01"),
    (
        "port set web1 --option control-frames=true",
        2,
        "--option control-frames=true needs port security off; add --no-port-security",
    ),
    (
        "port set web1 --unknown-macs",
        2,
        "--unknown-macs needs port security off; add --no-port-security",
    ),
    (
        "network set plain --segment 5",
        2,
        "a flat network has no VLAN id; leave out --segment, or use --type vlan",
    ),
    ("network set plain --type vlan", 2, "a vlan network needs a VLAN id; give --segment 1–4094"),
    (
        "network set plain --type vlan --segment 101",
        1,
        "network 'web' already uses VLAN 101 on physnet1; pick another --segment",
    ),
]


def add_chassis(remote: str, *names: str) -> None:
    """Write the rows that agents of chassis with these names would write."""
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import insert

    with Northbound.connect(remote) as northbound:
        northbound.transact([insert("Chassis", {"name": name}) for name in names])


def test_every_refusal_is_one_line_with_its_exit_code_and_nothing_is_half_written(remote: str) -> None:
    before = [trunkline(noun, "list", "-o", "json", nb=remote).out for noun in ("network", "port")]
    for command, code, line in REFUSALS:
        complaint = refusal(typed(command, remote), code)
        assert line is None or complaint == f"trunkline: {line}", command
    assert [trunkline(noun, "list", "-o", "json", nb=remote).out for noun in ("network", "port")] == before


@pytest.mark.parametrize("empty", ["--ip=", "--ip 192.0.2.2 --ip=", "--requested-chassis=", "--parent="])
def test_what_an_unset_variable_leaves_empty_creates_no_port(remote: str, empty: str) -> None:
    line = refusal(typed(f"{CREATE_PORT} {empty}", remote), 2)
    assert f"'{empty.rpartition('--')[2].rstrip('=')}'".replace("'", "'--", 1) in line
    assert "it is empty; give a value, or leave out the option" in line
    assert typed("port show web2", remote).code == 1


def test_a_tag_out_of_range_is_a_usage_error(remote: str) -> None:
    for tag in ("0", "4095", "x"):
        done = typed(f"network create db --type vlan --physical-network p --segment {tag}", remote)
        assert "'--segment'" in refusal(done, 2)


def test_an_ip_address_is_one_ports_of_a_network_unless_two_are_meant(remote: str) -> None:
    taken = "already has 192.0.2.1; pick another --ip, or use --allow-duplicate-ip"
    elsewhere = "port create plain1 --network plain --mac 02:00:00:00:00:02 --ip 192.0.2.1"
    assert typed(elsewhere, remote).code == 0
    assert taken in refusal(typed("port set plain1 --network web", remote), 1)
    assert typed(f"{CREATE_PORT} --ip 192.0.2.2", remote).code == 0
    assert taken in refusal(typed("port set web2 --ip 192.0.2.2 --ip 192.0.2.1", remote), 1)
    meant = "port set web2 --ip 192.0.2.1 --allow-duplicate-ip"
    assert typed(meant, remote) == typed("port set web2 --ip 192.0.2.1", remote) == (0, "", "")
    assert json.loads(trunkline("port", "show", "web2", "-o", "json", nb=remote).out)["options"] == {
        "allow-duplicate-ip": "true"
    }
    assert typed("port set web1 --disable --ip 192.0.2.1", remote) == (0, "", ""), "it had that before"
    assert taken in refusal(typed("port set web2 --no-allow-duplicate-ip", remote), 1)
    third = CREATE_PORT.replace("web2", "web3").replace(":02", ":03") + " --ip 192.0.2.1"
    assert taken in refusal(typed(third, remote), 1)
    assert typed(f"{third} --allow-duplicate-ip", remote) == (0, "", "")


def test_a_set_that_sets_nothing_is_a_usage_error(remote: str) -> None:
    assert "there is nothing to set" in refusal(trunkline("port", "set", "web1", nb=remote), 2)


def test_a_trunk_port_is_not_deleted_under_its_sub_ports(remote: str) -> None:
    sub_port = "port create sub --network plain --mac 02:00:00:00:00:03 --parent web1 --parent-vlan 5"
    assert typed(sub_port, remote).code == 0
    twin = sub_port.replace("sub --", "twin --").replace(":03", ":04")
    assert "already has a sub-port with tag 5" in refusal(typed(twin, remote), 1)
    sibling = twin.replace("-vlan 5", "-vlan 6")
    assert "already has a sub-port in that network" in refusal(typed(sibling, remote), 1)
    grandchild = "port create grand --network other --mac 02:00:00:00:00:05 --parent sub --parent-vlan 7"
    assert typed("network create other --type vlan --physical-network p --segment 5", remote).code == 0
    assert "is a sub-port itself" in refusal(typed(grandchild, remote), 1)
    assert "has a sub-port in that network" in refusal(typed("port set web1 --network plain", remote), 1)
    assert typed("port create solo --network other --mac 02:00:00:00:00:06", remote).code == 0
    nested = typed("port set web1 --parent solo --parent-vlan 5", remote)
    assert "has sub-ports, so it cannot be a sub-port" in refusal(nested, 1)
    assert "port 'web1' in it has sub-ports" in refusal(
        typed("network set web --vlan-transparent", remote), 1
    )
    assert typed("network set other --vlan-transparent", remote).code == 0
    hidden = "port create deep --network plain --mac 02:00:00:00:00:07 --parent solo --parent-vlan 7"
    assert "network 'other' carries its VMs' tags" in refusal(typed(hidden, remote), 1)
    assert "has sub-ports" in refusal(trunkline("port", "delete", "web1", nb=remote), 1)
    assert trunkline("port", "delete", "web1", "sub", nb=remote) == (0, "", "")


def test_the_database_itself_refuses_what_the_program_would(remote: str) -> None:
    """The ranges hold for anyone who writes to the database, and not for the commands alone."""
    from trunkline.northbound.client import Northbound, TransactionError
    from trunkline.northbound.operation import insert

    row = {
        "name": "x",
        "unique_key": 99,
        "network_type": "vlan",
        "physical_network": "p",
        "segmentation_id": 7,
    }
    with Northbound.connect(remote) as northbound:
        for wrong in (
            {"segmentation_id": 0},
            {"segmentation_id": 4095},
            {"network_type": "gre"},
            {"physical_network": ""},
            {"name": ""},
            {"unique_key": 0},
            {"unique_key": 1 << 24},
            {"mtu": 67},
        ):
            with pytest.raises(TransactionError, match="constraint violation"):
                northbound.transact([insert("Network", row | wrong)])
        northbound.transact([insert("Network", row)])


def test_a_port_moves_and_changes_and_what_is_cleared_is_empty(remote: str) -> None:
    add_chassis(remote, "c1", "c2")
    change = "port set web1 --network plain --mac 02:00:00:00:00:09 --requested-chassis c1,c2 --disable"
    assert typed(change, remote) == (0, "", "")
    assert trunkline("port", "set", "web1", "--ip", "", "--requested-chassis", "", nb=remote) == (0, "", "")
    shown = json.loads(trunkline("port", "show", "web1", "-o", "json", nb=remote).out)
    assert (shown["network"], shown["mac"], shown["enabled"]) == ("plain", "02:00:00:00:00:09", False)
    assert (shown["addresses"], shown["requested_chassis"]) == ([], None)


def test_options_are_added_one_by_one_and_an_empty_value_takes_one_away(remote: str) -> None:
    def options() -> dict[str, str]:
        shown: dict[str, dict[str, str]] = json.loads(typed("port show web1 -o json", remote).out)
        return shown["options"]

    assert typed("port set web1 --option announce=false --option first-chassis=a=b", remote) == (0, "", "")
    assert options() == {"announce": "false", "first-chassis": "a=b"}
    assert typed("port set web1 --option announce=", remote) == (0, "", "")
    assert options() == {"first-chassis": "a=b"}
    assert typed(f"{CREATE_PORT} --option announce=false --option x=", remote).code == 0
    assert json.loads(typed("port show web2 -o json", remote).out)["options"] == {"announce": "false"}


def test_a_network_changes_its_type_and_back(remote: str) -> None:
    assert typed("network set web --type flat --physical-network physnet2", remote).code == 0
    shown = json.loads(trunkline("network", "show", "web", "-o", "json", nb=remote).out)
    assert (shown["network_type"], shown["segmentation_id"]) == ("flat", None)
    assert typed("network set web --type vlan --segment 4094 --mtu 9000", remote).code == 0
    assert trunkline("network", "set", "web", "--mtu", "", nb=remote).code == 0
    shown = json.loads(trunkline("network", "show", "web", "-o", "json", nb=remote).out)
    assert (shown["segmentation_id"], shown["mtu"], shown["unique_key"]) == (4094, None, 1)


def test_lists_are_in_the_order_of_names(remote: str) -> None:
    for number in (3, 2):
        typed(f"port create a{number} --network web --mac 02:00:00:00:01:0{number}", remote)
    listed = json.loads(trunkline("port", "list", "-o", "json", nb=remote).out)
    assert [port["name"] for port in listed] == ["a2", "a3", "web1"]
    assert [line.split()[0] for line in trunkline("port", "list", nb=remote).out.splitlines()[2:]] == [
        "a2",
        "a3",
        "web1",
    ]
