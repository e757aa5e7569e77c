"""What keeps documents from being applied is told before any transaction, all of it, on a real northbound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from applied import BLUE, applied, apply
from program import trunkline

from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import select

if TYPE_CHECKING:
    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system


@pytest.fixture
def northbound(nb: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Northbound]:
    monkeypatch.chdir(tmp_path)
    with applied(nb) as connected:
        yield connected


ALL_OF_ONE = """
kind: Port
name: vm7
network: blue
mac: zz
iface_id: "a,b"
unknown_macs: true
addresses: [192.0.2.300, 192.0.2.11, 192.0.2.400]
allowed_address_pairs: [x]
requested_chassis: c9
parent: nobody
parent_vlan: 5000
macc: 1
external_ids: {a: 1, b: 2}
---
kind: Port
name: vm8
mac: 02:00:00:00:00:01
network: blue
iface_id: vm2
parent_vlan: 5
enabled: *here
"""


def test_all_errors_of_one_document_are_told_at_once(northbound: Northbound) -> None:
    """Whatever finds them: the form of documents, values, rules of a row, other rows, the chassis."""
    for how in ("--dry-run", "--yes"):
        done = apply(northbound, how, text=ALL_OF_ONE)
        places = [int(line.split(":")[1]) for line in done.err.splitlines()[:-1]]
        assert (done.code, done.out) == (2, ""), done
        assert sorted(places) == [2, 5, 6, 6, 8, 8, 8, 9, 10, 11, 12, 13, 14, 14, 16, 18, 20, 22], done
        assert "port 'vm1' already has MAC 02:00:00:00:00:01 in network 'blue'" in done.err


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            "mac: 02:00:00:00:00:02",
            "blue.yaml:5:6: port vm7: port 'vm2' already has MAC 02:00:00:00:00:02 in net",
        ),
        (
            "mac: 02:00:00:00:00:07\naddresses: [192.0.2.11]",
            "blue.yaml:6:13: port vm7: port 'vm1' of the sa",
        ),
        (
            "mac: 02:00:00:00:00:07\niface_id: vm2",
            "blue.yaml:6:11: port vm7: 'vm2' is the name of anothe",
        ),
        (
            "mac: 02:00:00:00:00:07\niface_id: id9",
            "blue.yaml:6:11: port vm7: port 'vm9' already has ifa",
        ),
        (
            "mac: 02:00:00:00:00:07\nparent: s1\nparent_vlan: 5",
            "blue.yaml:6:9: port vm7: port 's1' cannot ",
        ),
    ],
)
def test_what_an_existing_row_has_is_told_before_any_transaction(
    northbound: Northbound, columns: str, said: str
) -> None:
    """Few ports are asked for by name, so the others have to be looked for."""
    remote = northbound.rpc.remote
    for command in (
        "port create vm9 --network blue --mac 02:00:00:00:00:09 --iface-id id9",
        "network create red --type flat --physical-network physnet1",
        "port create s1 --network red --mac 02:00:00:00:00:01 --parent vm9 --parent-vlan 5",
    ):
        assert trunkline(*command.split(), nb=remote).code == 0
    text = f"\nkind: Port\nname: vm7\nnetwork: blue\n{columns}\n"
    log = northbound.read(select("NB_Global"))
    for how in ("--dry-run", "--yes"):
        done = apply(northbound, how, text=text)
        assert (done.code, done.err.splitlines()[0][: len(said)]) == (1, said), done
        assert done.err.count("\n") == 2
        assert "+ port vm7" not in done.out, "what is refused is not shown as if it would be done"
    assert northbound.read(select("NB_Global")) == log


def test_a_network_with_a_trunk_in_it_cannot_carry_its_vms_tags(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    for command in (
        "network create red --type flat --physical-network physnet1",
        "port create s1 --network red --mac 02:00:00:00:00:01 --parent vm1 --parent-vlan 5",
    ):
        assert trunkline(*command.split(), nb=remote).code == 0
    network = BLUE[: BLUE.index("---")] + "vlan_transparent: true\n"
    said = "network 'blue' cannot carry its VMs' tags: port 'vm1' in it has sub-ports"
    for how in ("--dry-run", "--yes"):
        for text in (network, BLUE.replace(BLUE[: BLUE.index("---")], network)):
            done = apply(northbound, how, text=text)
            assert (done.code, said in done.err) == (1, True), done
    assert trunkline("port", "delete", "s1", nb=remote).code == 0
    assert apply(northbound, "--yes", text=network).code == 0


def test_what_the_same_apply_frees_may_be_taken(northbound: Northbound) -> None:
    """Two ports exchange their MACs and addresses; what a pruned one had goes to another."""
    swapped = BLUE.replace("00:02\n", "00:XX\n").replace("00:01\n", "00:02\n").replace("00:XX\n", "00:01\n")
    swapped = swapped.replace("[192.0.2.11]", "[]") + "addresses: [192.0.2.11]\n"
    for text in (swapped, swapped.replace("vm2", "vm7")):
        assert apply(northbound, "--dry-run", "--prune", text=text).code == 4
        done = apply(northbound, "--yes", "--prune", text=text)
        assert (done.code, done.err) == (0, ""), done


def test_a_name_that_is_not_there_is_told_with_the_one_that_was_meant(northbound: Northbound) -> None:
    """But not with one that differs in digits alone: vm1 and vm9 are two ports."""
    remote = northbound.rpc.remote
    for command, said in (
        ("port show mv1", "no port is called 'mv1'; did you mean vm1?"),
        ("port set mv2 --disable", "no port is called 'mv2'; did you mean vm2?"),
        ("port delete vm9", "no port is called 'vm9'; see `trunkline port list`"),
        ("network show bleu", "no network is called 'bleu'; did you mean blue?"),
        (
            "port create x --network bule --mac 02:00:00:00:00:07",
            "no network is called 'bule'; did you mean blue?",
        ),
        ("export --network bule", "no network is called 'bule'; did you mean blue?"),
    ):
        done = trunkline(*command.split(), nb=remote)
        assert (done.code, done.err) == (1, f"trunkline: {said}\n"), command
