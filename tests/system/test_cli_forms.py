"""What prints a list prints it as CSV and as names too; what prints none says so."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from dummy_chassis import Site, opened
from program import Done, refusal, trunkline

from trunkline.cli.main import trunkline as program
from trunkline.cli.option import LISTS
from trunkline.core.cookie import Subject, cookie
from trunkline.core.pipeline import Owner

pytestmark = pytest.mark.system

TYPED = {
    "network list": ("network list",),
    "network show": ("network show net1",),
    "port list": ("port list",),
    "port show": ("port show a", "port show a b"),
    "chassis list": ("chassis list",),
    "chassis show": ("chassis show c1",),
    "chassis state": ("chassis state",),
    "nb status": ("nb status",),
    "apply": ("apply -f MANIFEST --dry-run",),
    "status": ("status", "status --topology"),
    "check": ("check",),
    "plan": ("plan", "plan --chassis c1"),
    "prove": ("prove", "prove --chassis c1"),
    "flows": ("flows", "flows --port a", "flows --sort packets", "flows --chassis c1"),
    "explain": ("explain COOKIE",),
    "trace": ("trace --from a --to ff:ff:ff:ff:ff:ff",),
    "lab list": ("lab list",),
    "sync": ("sync",),
}
"""What to type of each command that has -o, in each of its forms."""

EMPTY = {"plan", "plan --chassis c1", "prove", "prove --chassis c1", "lab list"}
"""Lists that may be empty: there is nothing to do, no leak, and no lab but that of somebody else."""

NONE = {"sync", "status --topology", "trace --from a --to ff:ff:ff:ff:ff:ff"}
"""What is no list."""

NAMELESS = {"nb status"}

ELSEWHERE = {"probe"}
"""What needs two chassis: the tests of the probe have them."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A chassis with the ports a, which is up, and b, which has no VIF."""
    with opened() as started:
        started.network("net1", 101)
        for name in "ab":
            started.port(name)
        started.chassis().plug("a")
        started.await_up("a")
        started.sync()
        yield started


@pytest.fixture
def done(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runner:
    monkeypatch.setenv("OVS_RUNDIR", str(site.all[0].switch.rundir))
    return Runner(site, tmp_path)


class Runner:
    """Types commands on the chassis of *site*."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        manifest = folder / "net.yaml"
        manifest.write_text("{kind: Network, name: net2, network_type: flat, physical_network: physnet1}")
        key = self._key("a")
        self._words = {
            "MANIFEST": str(manifest),
            "COOKIE": f"{cookie(Owner.CLASSIFIER, Subject.PORT, key):#x}",
        }

    def _key(self, port: str) -> int:
        told = trunkline("port", "show", port, "-o", "json", nb=self._site.served.remote)
        return int(json.loads(told.out)["unique_key"])

    def __call__(self, command: str, output: str) -> Done:
        words = [self._words.get(word, word) for word in command.split()]
        return trunkline(*words, "-o", output, nb=self._site.served.remote)


def with_output(group: click.Group, *before: str) -> Iterator[str]:
    """Yield every command that has the option -o."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from with_output(command, *before, name)
            elif command is not None and any("-o" in each.opts for each in command.params):
                yield " ".join((*before, name))


def test_every_command_that_prints_in_several_forms_is_tried() -> None:
    assert {*with_output(program)} == TYPED.keys() | ELSEWHERE


@pytest.mark.parametrize("command", [each for typed in TYPED.values() for each in typed if each not in NONE])
def test_csv_has_a_head_and_a_line_for_each_item_and_names_are_its_first_column(
    command: str, done: Runner
) -> None:
    told = done(command, "csv")
    assert not told.err, told
    head, *rows = csv.reader(io.StringIO(told.out))
    assert len(set(head)) == len(head) > 1
    assert {len(row) for row in rows} <= {len(head)}
    assert rows or command in EMPTY
    for number, column in enumerate(head):
        values = [row[number] for row in rows]
        assert not any("{'" in value or "['" in value for value in values), (column, values)
    if command in NAMELESS:
        assert "-o name prints names, and this has none" in refusal(done(command, "name"), 2)
        return
    assert done(command, "name").out.splitlines() == [row[0] for row in rows]


@pytest.mark.parametrize("command", sorted(NONE))
@pytest.mark.parametrize("output", LISTS)
def test_what_is_no_list_is_no_csv_and_has_no_names(command: str, output: str, done: Runner) -> None:
    assert output in refusal(done(command, output), 2)


def test_what_a_list_of_flows_names_is_what_explain_takes(done: Runner) -> None:
    for name in done("flows --port a", "name").out.splitlines():
        assert done(f"explain {name}", "json").code == 0


def test_a_finding_is_a_line_with_its_code(done: Runner) -> None:
    told = done("check", "csv")
    assert told.code == 4
    (row,) = csv.DictReader(io.StringIO(told.out))
    assert (row["subject"], row["code"], row["severity"]) == ("port b", "T301", "warning")
