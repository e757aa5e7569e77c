"""The packages on clean machines of two Debian releases: installed, at work, upgraded, removed and purged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from built import NAMES, Packages, states
from site_at_work import Site

if TYPE_CHECKING:
    from machine import Machine
NEWER = "9.0"
_PACKAGING = Path(__file__).parents[2] / "packaging"
OPTIONS = "/etc/default/trunkline-nb"
OWN_OPTIONS = 'NB_OPTIONS="--remote punix:/run/trunkline/nb.sock --remote ptcp:6641:192.0.2.1"\n'

_KEPT = re.compile(
    "/var/lib/dpkg/|/var/lib/apt/|/var/cache/|/var/log/(apt|dpkg)|/opt/packages|.*openvswitch"
    # The user stays; these are the backups that are made when it is added.
    "|/etc/(passwd|group|shadow|gshadow)-$|/etc/.pwd.lock$"
)
"""What an installation writes that is not the packages' own."""


@pytest.fixture
def newer(packages: Packages, tmp_path: Path) -> Packages:
    return packages.newer(tmp_path / "newer", NEWER, OPTIONS)


def files(machine: Machine) -> set[str]:
    return {path for path in machine.do("find / -xdev").splitlines() if not _KEPT.match(path)}


def test_the_program_runs_and_has_its_manual_and_its_completion(machine: Machine) -> None:
    assert machine.do("trunkline --version").startswith("trunkline ")
    code, said = machine.run("trunkline port list")
    assert (code, said.count("\n")) == (1, 1), said
    assert "trunkline port create" in machine.do("man trunkline-port")
    for page in machine.do("dpkg -L trunkline | grep '/man1/.*gz'").splitlines():
        assert machine.do(f"man --warnings -l -Tutf8 {page} 2>&1 >/dev/null") == ""
    completed = "complete() { :; }; . /usr/share/bash-completion/completions/trunkline; compopt() { :; }"
    typed = 'COMP_LINE="trunkline net" COMP_POINT=13 COMP_WORDBREAKS=:= _trunkline_completion trunkline'
    assert machine.do(f"bash -c '{completed}; {typed}; echo $COMPREPLY'") == "network\n"
    assert machine.do("cd /; python3 -c 'import trunkline' 2>&1 || true").endswith("named 'trunkline'\n")


def test_the_alert_rules_and_the_dashboard_are_those_of_the_checkout(machine: Machine) -> None:
    for path in ("prometheus/trunkline.rules.yml", "grafana/trunkline.json"):
        there = machine.do(f"cat /usr/share/trunkline/{path}")
        assert there == (_PACKAGING / path).read_text(), path


def test_neither_service_is_started_nor_enabled_before_it_has_settings(machine: Machine) -> None:
    assert machine.do("find /etc/systemd -name 'trunkline*'") == ""
    assert machine.do("ls /run") == "netns\nopenvswitch\n"


def test_both_units_serve_a_chassis_whose_ports_come_up(site: Site) -> None:
    said = site.machine.do("trunkline port list --up -o name")
    assert said == "vm1\nvm2\n"
    site.machine.do("ip netns exec vm1 ping -q -c 1 -W 5 198.51.100.12")
    site.machine.do("ip netns exec vm1 ping -q -c 1 -W 5 198.51.100.1")
    for unit in (site.agent, site.nb):
        process = site.machine.do(f"cat /proc/{unit.pid()}/status")
        uid = site.machine.do("id -u trunkline").strip()
        assert re.search(rf"^Uid:\s{uid}\s{uid}", process, re.MULTILINE)
        assert re.search(r"^CapEff:\s0+$", process, re.MULTILINE)


def test_an_upgrade_keeps_options_and_loses_no_frame(site: Site, newer: Packages) -> None:
    machine = site.machine
    machine.path(OPTIONS).write_text(OWN_OPTIONS)
    before = site.agent.pid()
    for name, to in (("inside", "198.51.100.12"), ("outside", "198.51.100.1")):
        machine.do(
            f"ip netns exec vm1 ping -n -i 0.02 {to} >/tmp/{name} 2>&1 & echo $! >/tmp/{name}.pid\n"
            f"timeout 60 sh -c 'until grep -q icmp_seq=9 /tmp/{name}; do sleep 0.1; done'"
        )
    machine.do(f"apt-get -q -y -o Dpkg::Options::=--force-confold install {newer.bring(machine)}")
    assert states(machine) == dict.fromkeys(NAMES, f"installed {NEWER}")
    site.agent.stop()  # as the package has systemd do
    site.agent.start()
    machine.do("trunkline sync --wait --timeout 60\ntrunkline status --check")
    assert site.agent.pid() != before
    for name in ("inside", "outside"):
        said = machine.do(
            f"before=$(wc -l </tmp/{name})\n"
            f"timeout 60 sh -c 'until [ $(wc -l </tmp/{name}) -gt '$before' ]; do sleep 0.1; done'\n"
            f"pid=$(cat /tmp/{name}.pid); kill -INT $pid; tail --pid=$pid -f /dev/null; cat /tmp/{name}"
        )
        # The last one may still be on its way; two threads of a switch may turn two about.
        answered = sorted(int(number) for number in re.findall(r"bytes from .* icmp_seq=(\d+) ", said))
        assert answered == list(range(1, len(answered) + 1)), said
    assert machine.path(OPTIONS).read_text() == OWN_OPTIONS
    assert machine.path(f"{OPTIONS}.dpkg-dist").exists()


@pytest.mark.parametrize("how", ["unpacked", "one of three", "killed"])
def test_a_half_finished_upgrade_can_be_finished(machine: Machine, newer: Packages, how: str) -> None:
    paths = newer.bring(machine)
    match how:
        case "unpacked":
            machine.do(f"dpkg --unpack {paths}")
        case "one of three":
            machine.do(f"dpkg --force-depends --unpack {paths.split()[-1]}")
        case "killed":
            # With the first package half unpacked.
            unpack = f"dpkg --unpack {paths} 2>&1"
            machine.run(f"{unpack} | sed -u '/^Unpacking/{{s/.*/now/;q}}' | grep -q now; pkill -KILL -x dpkg")
    assert set(states(machine).values()) != {f"installed {NEWER}"}
    machine.do(f"dpkg --install {paths}")
    assert states(machine) == dict.fromkeys(NAMES, f"installed {NEWER}")
    machine.do("trunkline --version")
    assert machine.do("dpkg --audit") == ""


@pytest.mark.parametrize("path", ["/usr/local/bin/trunkline", "/etc/systemd/system/trunkline-agent.service"])
def test_beside_an_installation_of_a_checkout_one_line_refuses_and_nothing_is_left(
    bare: Machine, packages: Packages, path: str
) -> None:
    paths = packages.bring(bare)
    bare.do(f"echo >{path}")
    before = files(bare)
    code, said = bare.run(f"apt-get -q -y install {paths}")
    assert code != 0
    ours = {line for line in said.splitlines() if "checkout" in line}
    assert f"trunkline: Trunkline is installed from a checkout; remove {path} and try again" in ours
    assert states(bare) == {}
    assert files(bare) == before
    bare.do(f"rm {path}")
    packages.install(bare)


def test_a_purge_leaves_nothing_but_the_user(bare: Machine, packages: Packages) -> None:
    before = files(bare)
    packages.install(bare)
    site = Site.start(bare)
    site.agent.stop()
    site.nb.stop()
    bare.do("apt-get -q -y remove trunkline")
    assert set(states(bare)) == {"trunkline-agent", "trunkline-nb"}
    assert bare.path(OPTIONS).exists()
    assert bare.path("/var/lib/trunkline/nb.db").exists()
    bare.do("apt-get -q -y purge trunkline-agent trunkline-nb")
    assert states(bare) == {}
    assert files(bare) - before == set()
    assert before - files(bare) == set()
    assert bare.do("getent passwd trunkline").startswith("trunkline:")
