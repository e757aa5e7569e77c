"""The breakages of docs/troubleshooting.md: each is made in a lab, found by a command, and mended as it says.

The page has a table of them: the command, what it says, and the remedy. A test reads its row, so the page
says what happens. The ports work before and afterwards, and then nothing is found.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from dummy_chassis import until
from program import Done, trunkline

from model import page
from trunkline.lab import Lab
from trunkline.lab.impairment import Impairment

if TYPE_CHECKING:
    from conftest import LabFactory

pytestmark = pytest.mark.system

PAGE = page.ROOT / "docs" / "troubleshooting.md"

TOPOLOGY = """
physnets: [physnet1]
networks: [{name: blue, type: vlan, physical_network: physnet1, segment: 101}]
chassis: [{name: c1, mappings: {physnet1: br-ex}}, {name: c2, mappings: {physnet1: br-ex}}]
vms:
  - {name: vm1, chassis: c1, network: blue, ip: 10.0.0.11/24}
  - {name: vm2, chassis: c2, network: blue, ip: 10.0.0.12/24}
"""
TRACE = "trunkline trace --from vm1 --to vm2"


class Row(NamedTuple):
    """A row of the page's table: what to look for in what the command prints."""

    command: str
    says: str
    remedy: str


def rows() -> dict[str, Row]:
    """Return the rows of the table, by what is broken."""
    section = PAGE.read_text().partition("| what is wrong |")[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines()[2:]]
    return {what: Row(typed.split("`")[1], says, remedy) for what, typed, says, remedy in cells}


Act = Callable[[Lab], object]


def at_c1(text: str) -> Act:
    """Return what runs the command *text* on the host of vm1."""
    return lambda lab: run(lab, text)


def in_vm1(text: str) -> Act:
    return lambda lab: [lab.vm["vm1"].run(shlex.split(each)) for each in text.split("; ")]


def run(lab: Lab, text: str) -> str:
    on = lab.chassis["c1"]
    return on.namespace.run(["sh", "-c", text], env=on.switch.env)


@dataclass(frozen=True)
class Breakage:
    """What is broken: how it comes, what goes on meanwhile, and what to do if the remedy is no command.

    *subject* is what the finding is about, or the verdict of a trace. With *is_cut_off*, vm1 does not reach
    vm2 meanwhile.
    """

    make: Act
    subject: str
    mend: Act | None = None
    is_cut_off: bool = True


def seconded(lab: Lab) -> None:
    """Plug in another VIF for vm1, as a VM that was started twice has."""
    run(lab, "ip link add twin type veth peer name twin1 && ip link set twin up && ip link set twin1 up")
    run(lab, "ovs-vsctl add-port br-int twin -- set interface twin external_ids:iface-id=vm1")


BREAKAGES = {
    "the VM has another MAC": Breakage(
        in_vm1("ip link set eth0 address 02:00:00:00:00:99"),
        "port vm1",
        lambda lab: lab.vm["vm1"].run(["ip", "link", "set", "eth0", "address", lab.vm["vm1"].mac]),
    ),
    "the VM has another IP address": Breakage(
        in_vm1("ip address flush dev eth0; ip address add 10.0.0.99/24 dev eth0"),
        "port vm1",
        in_vm1("ip address flush dev eth0; ip address add 10.0.0.11/24 dev eth0"),
    ),
    "the VIF has another `iface-id`": Breakage(
        at_c1("ovs-vsctl set interface tap-vm1 external_ids:iface-id=vm11"),
        "vif vm11",
        at_c1("ovs-vsctl set interface tap-vm1 external_ids:iface-id=vm1"),
    ),
    "two VIFs have one `iface-id`": Breakage(seconded, "vif vm1", is_cut_off=False),
    "the VIF is set down": Breakage(at_c1("ip link set tap-vm1 down"), "vif vm1"),
    "the NIC is set down": Breakage(at_c1("ip link set eth0 down"), "mapping physnet1"),
    "the NIC is missing": Breakage(at_c1("ovs-vsctl del-port br-ex eth0"), "mapping physnet1"),
    "the provider bridge has no flows": Breakage(
        at_c1("ovs-vsctl set-fail-mode br-ex secure && ovs-ofctl del-flows br-ex"), "mapping physnet1"
    ),
    "the physical network is misspelt": Breakage(
        at_c1("ovs-vsctl set Open_vSwitch . external_ids:trunkline-bridge-mappings=phsynet1:br-ex"),
        "network blue",
        at_c1("ovs-vsctl set Open_vSwitch . external_ids:trunkline-bridge-mappings=physnet1:br-ex"),
    ),
    "the physical switch does not carry the VLAN": Breakage(
        lambda lab: lab.switch.impair(lab.switch.trunk("physnet1", "c2"), Impairment(frozenset({101}))),
        "NOT DELIVERED",
        lambda lab: lab.switch.mend(),
    ),
    "the NIC has a smaller MTU": Breakage(
        at_c1("ip link set eth0 mtu 1400"), "network blue", is_cut_off=False
    ),
    "the agent is dead": Breakage(
        lambda lab: lab.chassis["c1"].kill_agent(),
        "chassis c1",
        lambda lab: lab.chassis["c1"].start_agent(),
        is_cut_off=False,
    ),
}


@pytest.fixture(scope="module")
def lab(lasting_lab: LabFactory) -> Lab:
    running = lasting_lab(TOPOLOGY)
    running.nb.trunkline("network", "set", "blue", "--mtu", "1500")
    running.nb.sync()
    return running


def asked(lab: Lab, typed: str) -> Done:
    """Run *typed*, which begins with `trunkline`."""
    return trunkline(*shlex.split(typed)[1:], nb=lab.nb.remote)


def reaches(lab: Lab, timeout_s: float = 2.0) -> bool:
    return lab.vm["vm1"].ping(lab.vm["vm2"].ip, timeout_s=timeout_s).received == 1


def await_health(lab: Lab) -> None:
    """Wait until vm1 reaches vm2, and until nothing is found, by any command."""
    until(lambda: reaches(lab), "vm1 reaches vm2")
    for typed in ("trunkline check --port vm1", "trunkline check --deep", TRACE):
        seen = [Done(1, "", "")]

        def is_fine(typed: str = typed, seen: list[Done] = seen) -> bool:
            # A mended VM that is quiet may keep a warning: which frame was its last one is not known.
            reaches(lab)
            seen.append(asked(lab, typed))
            return seen[-1].code == 0

        try:
            until(is_fine, typed, 30)
        except AssertionError:
            pytest.fail(f"{typed} says of a healthy lab: {seen[-1]}")


def findings(printed: str) -> list[tuple[str, str]]:
    """Return what `check` or `trace` printed: each finding, or the verdict, with its remedy."""
    lines = printed.splitlines()
    found = [
        (line.strip(), after.strip().removeprefix("→ "))
        for line, after in pairwise(lines)
        if re.match(r" [✗!] ", line)
    ]
    verdicts = [at for at, line in enumerate(lines) if re.match(r"[A-Z ]{6,}", line)]
    return found + [(lines[at], " ".join(lines[at + 1 :]).strip()) for at in verdicts]


def is_shown(shape: str, text: str) -> bool:
    """Whether *text* has what the page says, without its backticks; … stands for anything."""
    return re.search(".*".join(map(re.escape, shape.replace("`", "").split("…"))), text) is not None


def test_the_table_has_a_row_for_each_breakage_and_no_other() -> None:
    assert list(rows()) == list(BREAKAGES)


@pytest.mark.parametrize("what", BREAKAGES)
def test_a_breakage_is_found_and_mended_as_the_page_says(lab: Lab, what: str) -> None:
    breakage, row = BREAKAGES[what], rows()[what]
    await_health(lab)
    breakage.make(lab)
    if breakage.is_cut_off:
        until(lambda: not reaches(lab, 0.5), "cut off")

    def is_found() -> list[tuple[str, str]]:
        reaches(lab, 0.5)  # somebody goes on trying
        done = asked(lab, row.command)
        if done.code != 4:
            return []
        return [
            each for each in findings(done.out) if is_shown(row.says, each[0]) and breakage.subject in each[0]
        ]

    ((_, remedy),) = until(is_found, f"{row.command} says {row.says}", 30)
    assert is_shown(row.remedy, remedy)
    if breakage.mend is not None:
        breakage.mend(lab)
    else:
        (typed,) = re.findall(r"`([^`]*)`", row.remedy)
        run(lab, typed.replace("NIC", "eth0"))
    await_health(lab)
