"""`trunkline apply` and `export` as a person and a script use them, on a real northbound."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from applied import BLUE, applied, apply
from program import Done, trunkline

from trunkline.northbound.client import Northbound
from trunkline.northbound.operation import insert, select

if TYPE_CHECKING:
    from dummy_chassis import Site

    from trunkline.lab.northbound import Northbound as Served

pytestmark = pytest.mark.system


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def northbound(nb: Served, folder: Path) -> Iterator[Northbound]:
    with applied(nb) as connected:
        yield connected


def last(done: Done) -> str:
    return done.out.splitlines()[-1]


def test_a_second_run_has_nothing_to_do(northbound: Northbound) -> None:
    before = northbound.networks(), northbound.ports(), northbound.read(select("NB_Global"))
    done = apply(northbound, "--yes")
    assert (done.code, last(done)) == (0, "nothing to do")
    assert apply(northbound, "--dry-run").code == 0
    assert (northbound.networks(), northbound.ports(), northbound.read(select("NB_Global"))) == before
    assert {row["external_ids"]["trunkline-set"] for row in before[1]} == {"default"}


def test_a_dry_run_shows_the_difference_and_changes_nothing(northbound: Northbound) -> None:
    before = 101, northbound.read(select("NB_Global"))
    text = BLUE.replace("101", "121").replace("02:00:00:00:00:02", "02:00:00:00:00:07")
    done = apply(northbound, "--dry-run", text=text)
    assert done.code == 4
    assert done.out.splitlines() == [
        'set "default": 1 file, 1 network, 2 ports',
        "  ~ network blue  segmentation_id 101 → 121  re-tags 2 ports",
        "  ~ port vm2      mac 02:00:00:00:00:02 → 02:00:00:00:00:07",
        "0 to add, 2 to change, 0 to delete, 1 unchanged.",
    ]
    assert "\x1b" not in done.out
    assert apply(northbound, "--dry-run", "--yes", "--wait").code == 4
    assert (northbound.network("blue")["segmentation_id"], northbound.read(select("NB_Global"))) == before


def test_all_of_it_is_done_and_a_program_is_told(northbound: Northbound) -> None:
    text = BLUE.replace("101", "121").replace("vm2", "vm3")
    done = apply(northbound, "--yes", "--prune", "-o", "json", text=text)
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert told["counts"] == {"add": 1, "change": 1, "delete": 1, "unchanged": 1}
    assert [(each["verb"], each["name"], each["file"], each["line"]) for each in told["changes"]] == [
        ("add", "vm3", "blue.yaml", 14),
        ("change", "blue", "blue.yaml", 2),
        ("delete", "vm2", None, None),
    ]
    assert (told["version"], told["set"], told["applied"]) == (1, "default", True)
    assert [row["name"] for row in northbound.ports()] == ["vm1", "vm3"]
    assert json.loads(apply(northbound, "--dry-run", "-o", "json").out)["changes"] == []


def test_what_others_made_is_left_to_them(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    made = trunkline("port", "create", "vm9", "--network", "blue", "--mac", "02:00:00:00:00:09", nb=remote)
    assert made.code == 0
    text = BLUE + "---\nkind: Port\nname: vm9\nenabled: false\n"
    done = apply(northbound, "--yes", text=text)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "blue.yaml:21:10: port vm9: it is in no set, and its `enabled` differs; "
        "use --adopt to take it over, or leave it out",
        "nothing was applied",
    ]
    assert apply(northbound, "--yes", "--set", "other", "--prune").code == 1
    assert apply(northbound, "--yes", "--prune", text=BLUE).code == 0
    assert northbound.port("vm9")["enabled"] is None
    done = apply(northbound, "--yes", "--adopt", text=text)
    assert "~ port vm9  enabled yes → no  was in no set" in done.out
    assert apply(northbound, "--yes", "--prune", text=BLUE).code == 0
    assert [row["name"] for row in northbound.ports()] == ["vm1", "vm2"]


REFUSED = [
    ("segmentation_id: 101", "segmentation_id: 5000", 2, "blue.yaml:6:18: network blue: `segmentation_id` i"),
    ("kind: Network", "kind: Router", 2, 'blue.yaml:2:7: "Router" is not a kind; there are: Network, Port'),
    ("name: vm2", "name: vm2\nmtu: 5", 2, 'blue.yaml:16:1: port vm2: "mtu" is not a column'),
    ("00:02\n", "00:01\n", 2, "blue.yaml:17:6: port vm2: port 'vm1' already has MAC 02:00:00:00:00:01"),
    ("name: vm2\nnetwork: blue", "name: vm2\nnetwork: red", 1, "blue.yaml:16:10: port vm2: there is no netw"),
    ("name: vm2", "name: vm2\naddresses: [192.0.2.11]", 2, "blue.yaml:16:13: port vm2: port 'vm1' of the s"),
    ("name: vm2", "name: vm2\nrequested_chassis: c9", 1, "blue.yaml:16:20: port vm2: no chassis is called '"),
    ("name: vm2", "name: vm2\nparent: vm9\nparent_vlan: 5", 1, "blue.yaml:16:9: port vm2: port 'vm9' cannot"),
    ("name: vm2", "name: vm2\nparent: vm1\nparent_vlan: 5", 2, "blue.yaml:18:10: port vm2: port 'vm1' is in"),
    ("101", "101\nvlan_transparent: true\nphysical_network: b", 2, "blue.yaml:8:1: \"physical_network\" is "),
    (BLUE, "", 2, "trunkline: the files contain no document, so there is nothing to apply"),
    (BLUE, "kind: [\n", 2, "blue.yaml:2:1: this is not YAML: "),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "said"), REFUSED, ids=[said for *_, said in REFUSED])
def test_what_cannot_be_is_said_with_its_place_and_nothing_is_applied(
    northbound: Northbound, old: str, new: str, code: int, said: str
) -> None:
    before = northbound.networks(), northbound.ports()
    assert old in BLUE
    text = BLUE.replace(old, new)
    for how in ("--dry-run", "--yes"):
        done = apply(northbound, how, text=text)
        assert done.code == code, done
        first, *others = done.err.splitlines()
        assert first.startswith(said), done
        assert others == ["nothing was applied"]
    assert (northbound.networks(), northbound.ports()) == before


def test_ports_that_go_at_once_are_not_re_tagged(northbound: Northbound) -> None:
    """One of two stays in the network, as no chassis holds it yet."""
    text = BLUE[: BLUE.rindex("---")].replace("101", "121")
    done = apply(northbound, "--dry-run", "--prune", text=text)
    assert "~ network blue  segmentation_id 101 → 121  re-tags 1 port\n" in done.out, done
    assert "- port vm2" in done.out


EVERYTHING = """
kind: Network
name: blue
network_type: vlan
physical_network: physnet1
segmentation_id: 5000
---
kind: Port
name: vm1
netwrk: blue
---
kind: Port
name: vm3
network: blue
mac: 02:00:00:00:00:03
---
kind: Network
name: red
network_type: vlan
physical_network: physnet1
segmentation_id: 101
---
kind: Port
name: vm4
network: nowhere
mac: 02:00:00:00:00:04
---
kind: Port
name: vm5
network: blue
mac: 02:00:00:00:00:05
requested_chassis: c9
---
kind: Port
name: vm6
network: green
mac: 02:00:00:00:00:06
requested_chassis: c8
---
kind: Network
name: green
network_type: vlan
physical_network: physnet1
segmentation_id: 103
"""


def test_all_errors_are_told_at_once_in_the_order_of_the_file(northbound: Northbound) -> None:
    """Those of the form of documents, of rows that are in the way, and of what only the northbound checks."""
    before = northbound.networks(), northbound.ports()
    for how in ("--dry-run", "--yes"):
        done = apply(northbound, how, text=EVERYTHING)
        places = [":".join(line.split(":")[1:2]) for line in done.err.splitlines()[:-1]]
        assert (done.code, places) == (2, ["6", "10", "21", "25", "32", "38"]), done
        # What is right by itself is looked at in the same way, and this exit code says that it is.
        right = "---".join(
            part for part in EVERYTHING.split("---") if "5000" not in part and "netwrk" not in part
        )
        done = apply(northbound, how, text=right)
        lines = done.err.splitlines()
        assert (done.code, len(lines), lines[-1]) == (1, 5, "nothing was applied"), done
        for word in ("101", "nowhere", "c9", "c8"):
            assert sum(word in line for line in lines) == 1, done
    assert (northbound.networks(), northbound.ports()) == before


def test_of_ports_whose_network_is_wrong_it_is_not_said_that_they_have_none(northbound: Northbound) -> None:
    text = EVERYTHING.replace("name: blue", "name: new").replace("network: blue", "network: new")
    done = apply(northbound, "--yes", text=text)
    assert done.code == 2
    assert "no network 'new'" not in done.err
    done = apply(northbound, "--yes", text=text + "---\n{")
    assert (done.code, "there is no network" in done.err) == (2, False), done


def test_networks_and_ports_of_one_file_may_refer_to_each_other_in_any_order(
    northbound: Northbound,
) -> None:
    text = """
kind: Port
name: sub
network: green
mac: 02:00:00:00:01:01
parent: trunk
parent_vlan: 7
---
kind: Port
name: trunk
network: red
mac: 02:00:00:00:01:02
---
kind: Network
name: red
network_type: flat
physical_network: physnet1
---
kind: Network
name: green
network_type: vlan
physical_network: physnet1
segmentation_id: 7
"""
    done = apply(northbound, "--yes", "--prune", text=text)
    assert (done.code, done.err) == (0, ""), done
    assert [row["name"] for row in northbound.networks()] == ["green", "red"]
    assert northbound.port("sub")["network"] == "green"
    # Re-tagged with another's tag, renamed, moved and deleted at once.
    text = text.replace("segmentation_id: 7", "segmentation_id: 8").replace("name: red", "name: pink")
    text = text.replace("network: red", "network: pink")
    done = apply(northbound, "--yes", "--prune", text=text)
    assert (done.code, done.err) == (0, ""), done
    assert "+ network pink " in done.out
    assert "takes the untagged network of physnet1 from network red" in done.out
    assert "~ port trunk " in done.out
    assert "network red → pink" in done.out
    assert northbound.port("trunk")["network"] == "pink"


def test_a_network_is_not_pruned_with_ports_of_others_in_it(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    trunkline("port", "create", "vm9", "--network", "blue", "--mac", "02:00:00:00:00:09", nb=remote)
    text = "kind: Network\nname: red\nnetwork_type: flat\nphysical_network: physnet1\n"
    for how in ("--dry-run", "--yes"):
        done = apply(northbound, how, "--prune", text=text)
        assert done.code == 1
        assert (
            "network 'blue' is in no file, but 1 port (vm9) would stay in it; add it to the files, or"
            in done.err
        )
    assert len(northbound.ports()) == 3


def test_a_parent_that_others_need_is_not_pruned(northbound: Northbound) -> None:
    text = "kind: Network\nname: red\nnetwork_type: flat\nphysical_network: physnet1\n"
    sub = "---\nkind: Port\nname: sub\nnetwork: red\nmac: 02:00:00:00:00:05\nparent: vm1\nparent_vlan: 5\n"
    assert apply(northbound, "--yes", "--set", "subs", text=text + sub).code == 0
    done = apply(northbound, "--yes", "--prune", text=BLUE[: BLUE.index("---")])
    assert done.code == 1
    assert "port 'vm1' has sub-ports; delete them with it, or before it" in done.err


def test_files_come_from_directories_and_standard_input(northbound: Northbound, folder: Path) -> None:
    (folder / "more").mkdir()
    for name, number in (("b.yaml", 5), ("a.yml", 4), ("c.txt", 6)):
        port = f"kind: Port\nname: vm{number}\nnetwork: blue\nmac: 02:00:00:00:00:0{number}\n"
        (folder / "more" / name).write_text(port)
    remote = northbound.rpc.remote
    done = trunkline("apply", "-f", "more", "-f", "blue.yaml", "--yes", nb=remote)
    assert done.out.startswith('set "default": 3 files, 1 network, 4 ports\n')
    with open("blue.yaml") as file:
        program = [sys.executable, "-m", "trunkline", "--nb", remote, "apply", "-f", "-", "--prune", "--yes"]
        run = subprocess.run(program, stdin=file, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert [row["name"] for row in northbound.ports()] == ["vm1", "vm2"]


def test_a_file_that_leads_to_itself_is_said_so(northbound: Northbound, folder: Path) -> None:
    (folder / "loop.yaml").symlink_to("loop.yaml")
    done = trunkline("apply", "-f", "loop.yaml", "--yes", nb=northbound.rpc.remote)
    assert done == (2, "", "loop.yaml: Too many levels of symbolic links\nnothing was applied\n")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("apply -f - --yes <&-", 2, "stdin: Bad file descriptor\nnothing was applied\n"),
        ("apply -f none.yaml --yes 2>&-", 2, ""),
        ("export >&-", 1, "trunkline: Bad file descriptor\n"),
        ("export >/dev/full", 1, "trunkline: No space left on device\n"),
        ("apply -f blue.yaml --dry-run 2>&- >&-", 1, ""),
    ],
)
def test_a_standard_stream_that_cannot_be_used_is_no_defect(
    northbound: Northbound, command: str, code: int, said: str
) -> None:
    program = f"{sys.executable} -m trunkline --nb {northbound.rpc.remote} {command}"
    run = subprocess.run(["sh", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (code, "", said)


def test_nobody_is_asked_where_nobody_can_answer(northbound: Northbound) -> None:
    for options in ((), ("-o", "json")):
        done = apply(northbound, *options, text=BLUE.replace("101", "121"))
        assert (done.code, done.out) == (2, "")
        assert "so apply cannot ask; give --yes, or --dry-run to look only" in done.err
    assert northbound.network("blue")["segmentation_id"] == 101


# --- waiting ---


def test_chassis_that_do_not_answer_in_time_are_named_and_it_is_committed(northbound: Northbound) -> None:
    northbound.transact([insert("Chassis", {"name": "c1"})])
    done = apply(northbound, "--yes", "--wait", "--timeout", "0.2", text=BLUE.replace("101", "121"))
    assert done.code == 3
    assert done.err.startswith("trunkline: committed; after 0.2 s these chassis have not applied 1: c1; ")
    assert northbound.network("blue")["segmentation_id"] == 121
    again = apply(northbound, "--yes", "--wait", "--timeout", "0.2")
    assert (again.code, "nothing to do" in again.out) == (3, True)


def test_wait_returns_when_the_switches_have_it(site: Site, folder: Path) -> None:
    chassis = site.chassis()
    text = BLUE.replace("mac:", "port_security: false\nmac:")
    done = apply(site.nb, "--yes", "--wait", text=text)
    assert (done.code, done.err) == (0, ""), done
    assert last(done).startswith("applied by 1 of 1 chassis after ")
    chassis.plug("vm1")
    site.await_up("vm1")
    done = apply(site.nb, "--yes", "--wait", text=text.replace("101", "121"))
    assert done.code == 0
    assert "segmentation_id 101 → 121  re-tags 2 ports on 1 chassis" in done.out
    assert "dl_vlan=121" in chassis.switch.ofctl("dump-flows", "br-int")
    assert "dl_vlan=101" not in chassis.switch.ofctl("dump-flows", "br-int")
    done = apply(site.nb, "--yes", "--wait", "--prune", text=text[: text.index("---")])
    assert "- port vm1      was up on c1" in done.out
    assert northbound_names(site.nb) == ["blue"]


def northbound_names(nb: Northbound) -> list[str]:
    return [row["name"] for row in (*nb.networks(), *nb.ports())]


# --- export ---


def test_what_is_exported_makes_the_same_rows_again(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    text = trunkline("export", nb=remote).out
    rows = northbound.networks(), northbound.ports()
    done = apply(northbound, "--yes", "--prune", text=text)
    assert last(done) == "nothing to do"
    northbound.delete_ports(["vm1", "vm2"])
    northbound.delete_networks(["blue"])
    assert apply(northbound, "--yes", text=text).code == 0

    def without_keys(rows: list[dict[str, object]]) -> list[dict[str, object]]:
        return [row | {"unique_key": 0} for row in rows]

    assert [*map(without_keys, (northbound.networks(), northbound.ports()))] == [*map(without_keys, rows)]


def test_a_set_and_a_network_can_be_exported_alone(northbound: Northbound) -> None:
    remote = northbound.rpc.remote
    for command in (
        "network create red --type flat --physical-network physnet1",
        "port create vm9 --network red --mac 02:00:00:00:00:09",
    ):
        assert trunkline(*command.split(), nb=remote).code == 0

    def names(*options: str) -> list[str]:
        out = trunkline("export", *options, nb=remote).out
        return [line.removeprefix("name: ") for line in out.splitlines() if line.startswith("name: ")]

    assert names() == ["blue", "red", "vm1", "vm2", "vm9"]
    assert names("--set", "default") == ["blue", "vm1", "vm2"]
    assert names("--network", "red") == ["red", "vm9"]
    done = trunkline("export", "--set", "defalt", nb=remote)
    assert (done.code, done.out) == (1, "")
    assert done.err == "trunkline: no row is in set 'defalt'; did you mean default?\n"
    done = trunkline("export", "--network", "x", nb=remote)
    assert (done.code, done.out) == (1, "")
    assert "no network is called 'x'" in done.err
