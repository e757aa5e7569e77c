"""A host of Neutron's Open vSwitch agent, beside chassis of Trunkline and taken over in place."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from mixed_site import Mixed, mixed_opened, typed
from neutron_bus import SWITCH_AGENT
from neutron_server import BIN, until
from neutron_site import used

from model import page
from trunkline.lab.ping import PingSeries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neutron_site import Site

    from trunkline.lab.vm import Vm

pytestmark = pytest.mark.timeout(1800)
"""Setting all of it up takes minutes on a busy machine."""

INTERVAL_S = 0.02
VLANS = count(301)
"""A pair has a VLAN of its own. Neutron's agent may see in one turn that the last VIF of a network goes and
the first of another one comes. It sets up the flows of the new one, then deletes those of the old VLAN."""
PAGE = page.ROOT / "docs" / "migrate-from-neutron-ovs-agent.md"


@pytest.fixture(scope="module")
def mixed() -> Iterator[Mixed]:
    with mixed_opened() as mixed:
        yield mixed


class Pair(NamedTuple):
    """A VM on each host, on one network, with their ports."""

    ports: tuple[Any, Any]
    vms: tuple[Vm, Vm]

    def pings(self) -> list[PingSeries]:
        """Return pings that are under way from each to the other one."""
        one, other = self.vms
        return [
            PingSeries(source.namespace, str(to.ip), interval_s=INTERVAL_S, timeout_s=5)
            for source, to in ((one, other), (other, one))
        ]


@pytest.fixture
def pair(mixed: Mixed) -> Iterator[Pair]:
    with used(mixed.site) as site:
        network, _ = site.network(vlan=next(VLANS))
        ports = (site.port(network, "c1"), site.port(network, "c2"))
        vms = (site.vm(ports[0], "c1", plugs=False), site.vm(ports[1], "c2", plugs=False))
        for vm, port in zip(vms, ports, strict=True):
            # As os-vif does: the Open vSwitch agent only looks at VIFs that come with all of these.
            ids = (f"iface-id={port.id}", f'attached-mac="{port.mac_address}"', "iface-status=active")
            vm.chassis.switch.vsctl(
                *("add-port", "br-int", vm.vif, "--", "set", "Interface", vm.vif),
                *(f"external_ids:{each}" for each in ids),
            )
        for port in ports:
            site.await_status(port, "ACTIVE")
        # Neutron's agent says ACTIVE before its flows let frames through.
        until(lambda: vms[0].ping(vms[1].ip, count=1).lost == 0, "the first frame between them")
        yield Pair(ports, vms)
        mixed.give_back()


def drivers(site: Site, port: Any) -> str:
    return site.neutron.sql(
        f"select concat(host, ' ', driver) from neutron.ml2_port_binding_levels where port_id = '{port.id}'"
    ).strip()


def test_each_driver_binds_the_ports_of_its_hosts_and_their_vms_reach_each_other(
    mixed: Mixed, pair: Pair
) -> None:
    site = mixed.site
    assert [drivers(site, port) for port in pair.ports] == ["c1 openvswitch", "c2 trunkline"]
    assert [row["name"] for row in site.nb.ports()] == [pair.ports[1].id]
    one, other = pair.vms
    assert one.ping(other.ip, count=5).lost == 0
    assert other.ping(one.ip, count=5).lost == 0


def test_a_switch_is_not_taken_over_before_its_agent_has_stopped_and_its_ports_are_handed_over(
    mixed: Mixed, pair: Pair
) -> None:
    before = {bridge: mixed.flows(bridge) for bridge in ("br-int", "br-phys1", "br-phys2")}
    code, said = mixed.agent("--take-over", "--dry-run")
    assert code == 4
    assert "br-phys1: no controller any more; it becomes a plain switch" in said
    assert "in the way: Neutron's Open vSwitch agent runs (it listens at tcp:127.0.0.1:6633)" in said
    code, said = mixed.agent("--take-over")
    assert (code, f"{pair.vms[0].vif} of port {pair.ports[0].id} would be cut off" in said) == (1, True)
    assert {bridge: mixed.flows(bridge) for bridge in before} == before
    assert pair.vms[0].ping(pair.vms[1].ip, count=3).lost == 0


def test_a_host_is_taken_over_in_place_with_its_vms(mixed: Mixed, pair: Pair) -> None:
    site, (port, _) = mixed.site, pair.ports
    chassis = site.lab.chassis["c1"]
    vsctl = chassis.switch.vsctl
    chassis.configure(site.lab.nb.remote)
    code, said = mixed.adopt("--chassis", "c1", "--dry-run")
    assert (code, "1 port of c1 from openvswitch to trunkline." in said) == (4, True)
    pings = pair.pings()
    mixed.agents.end(SWITCH_AGENT)
    assert mixed.adopt("--chassis", "c1", "--yes")[0] == 0
    assert drivers(site, port) == "c1 trunkline"

    # If the switch refuses, all is as before.
    bridges = ("br-int", "br-phys1", "br-phys2")
    before = {bridge: mixed.flows(bridge) for bridge in bridges}
    vsctl("--", "--id=@t", "create", "Flow_Table", "flow_limit=12", "overflow_policy=refuse",
          "--", "set", "Bridge", "br-int", "flow_tables:0=@t")  # fmt: skip
    code, said = mixed.agent("--take-over")
    assert (code, "br-int refused: " in said, "all is as before" in said) == (1, True, True), said
    assert {bridge: mixed.flows(bridge) for bridge in bridges} == before
    assert vsctl("get", "Port", "phy-br-phys1", "trunks").strip() == "[]"
    assert pair.vms[0].ping(pair.vms[1].ip, count=3).lost == 0
    vsctl("clear", "Bridge", "br-int", "flow_tables")

    before_it = [series.sent for series in pings]
    code, said = mixed.agent("--take-over")
    meanwhile = [series.sent - count for series, count in zip(pings, before_it, strict=True)]
    assert (code, "done; frames were held for" in said) == (0, True), said
    after = pair.pings()
    assert vsctl("get", "Bridge", "br-int", "fail_mode").strip() == "secure"
    for bridge in ("br-phys1", "br-phys2"):
        assert mixed.flows(bridge) == ["priority=0 actions=NORMAL"]
        assert vsctl("get", "Bridge", bridge, "fail_mode", "controller").split() == ["[]", "[]"]
    assert "nothing to do" in mixed.agent("--take-over")[1]
    flows = mixed.flows("br-int")
    chassis.start_agent()
    site.await_status(port, "ACTIVE")
    until(lambda: ("Trunkline agent", "c1") in mixed.alive(), "the chassis")
    assert mixed.flows("br-int") == flows
    assert [series.stop().lost for series in after] == [0, 0]
    results = [series.stop() for series in pings]
    # The frames are held for a moment of it. A quick host may hold them between two pings, and lose none.
    lost = [result.lost for result in results]
    assert all(count <= most for count, most in zip(lost, meanwhile, strict=True)), (results, meanwhile)


def test_the_commands_of_the_page_take_a_host_over_and_back(mixed: Mixed, pair: Pair) -> None:
    site, (port, _) = mixed.site, pair.ports
    chassis = site.lab.chassis["c1"]
    chassis.configure(site.lab.nb.remote)
    controller = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "OS_AUTH_TYPE": "none",
        "OS_ENDPOINT": site.neutron.controllers[0].url,
        "TRUNKLINE_NB": site.lab.nb.remote,
    }
    files = " ".join(site.neutron.config_files())

    def do(command: page.Command) -> None:
        if "--through" in command.text:
            # It does all of the others; the next test gives it a way to the host.
            return
        text = f"{command.text} {files}" if command.text.startswith("trunkline-neutron") else command.text
        if command.host == "c1":
            code, said = mixed.on_host(text)
        else:
            code, said = typed(["bash", "-c", text], controller)
        assert code == (4 if command.text.endswith("--dry-run") else 0), f"{command.text}: {said}"

    before, back = (page.commands(part) for part in PAGE.read_text().split("## Back"))
    for command in before:
        do(command)
        if command.text.endswith("trunkline-agent"):
            site.await_status(port, "ACTIVE")
            until(lambda: ("Trunkline agent", "c1") in mixed.alive(), "the chassis")
    assert drivers(site, port) == "c1 trunkline"
    assert pair.vms[1].ping(pair.vms[0].ip, count=5, timeout_s=5).lost == 0
    assert ("Open vSwitch agent", "c1") not in mixed.alive()

    for command in back:
        do(command)
    assert drivers(site, port) == "c1 openvswitch"
    until(lambda: pair.vms[1].ping(pair.vms[0].ip, count=1).lost == 0, "the VM to be served again")
    site.await_status(port, "ACTIVE")


def test_a_host_goes_over_as_a_whole_by_one_command_and_back(mixed: Mixed, pair: Pair) -> None:
    site, (port, _) = mixed.site, pair.ports
    site.lab.chassis["c1"].configure(site.lab.nb.remote)
    done: list[str] = []

    with mixed.through(done.append) as through:
        words = ("--chassis", "c1", "--through", through)
        code, said = mixed.adopt(*words, "--dry-run")
        # The host is only asked.
        assert (code, [line.split()[0] for line in done]) == (4, ["ovs-vsctl", "trunkline"]), said
        assert "c1: trunkline agent --take-over" in said.splitlines()
        assert "Neutron: 1 port from openvswitch to trunkline" in said.splitlines()

        code, said = mixed.adopt("--chassis", "c1", "--through", through, "--yes")
        assert (code, said.splitlines()[-1]) == (0, "done: 1 port handed over, and the host with them"), said
        # Each step is shown once, when it is done.
        assert said.splitlines().count("c1: trunkline agent --take-over") == 1
        assert drivers(site, port) == "c1 trunkline"
        until(lambda: ("Trunkline agent", "c1") in mixed.alive(), "the chassis")
        site.await_status(port, "ACTIVE")
        assert pair.vms[0].ping(pair.vms[1].ip, count=3, timeout_s=5).lost == 0
        # It went over before: the agent that works there keeps anything from being done.
        before = len(done)
        code, said = mixed.adopt(*words, "--yes")
        assert (code, "an agent is running here" in said, said.strip().endswith("all is as before")) == (
            *(1, True, True),
        ), said
        assert all("systemctl" not in line for line in done[before:])

        code, said = mixed.adopt("--back", "--through", through, "--yes")
        assert (code, drivers(site, port)) == (0, "c1 openvswitch"), said
    until(lambda: pair.vms[1].ping(pair.vms[0].ip, count=1).lost == 0, "the VM to be served again")
    site.await_status(port, "ACTIVE")


@pytest.mark.parametrize(
    "failing",
    ["systemctl disable --now neutron", "trunkline agent --take-over", "systemctl enable --now trunkline"],
)
def test_a_host_that_cannot_go_over_as_a_whole_stays_with_the_agent_that_it_had(
    mixed: Mixed, pair: Pair, failing: str
) -> None:
    site, (port, _) = mixed.site, pair.ports
    site.lab.chassis["c1"].configure(site.lab.nb.remote)

    def instead(line: str) -> int | None:
        return 1 if line.startswith(failing) and not line.endswith("--dry-run") else None

    with mixed.through(instead) as through:
        code, said = mixed.adopt("--chassis", "c1", "--through", through, "--yes")
    assert (code, said.strip().endswith("; all is as before")) == (1, True), said
    assert f"`{failing}" in said
    assert drivers(site, port) == "c1 openvswitch"
    assert [row["name"] for row in site.nb.all_chassis()] == ["c2"]
    assert [row["name"] for row in site.nb.ports()] == [pair.ports[1].id]
    assert mixed.agents.runs(SWITCH_AGENT)
    until(lambda: pair.vms[1].ping(pair.vms[0].ip, count=1).lost == 0, "the VM to be served again")
    site.await_status(port, "ACTIVE")


def test_a_command_that_leads_to_another_host_is_told_of(mixed: Mixed, pair: Pair) -> None:
    for how in ("--yes", "--dry-run"):
        code, said = mixed.adopt("--chassis", "c1", "--through", "echo c2 '#'", how)
        assert (code, "that is the chassis 'c2 # " in said, drivers(mixed.site, pair.ports[0])) == (
            *(1, True, "c1 openvswitch"),
        ), said


def test_what_a_host_says_of_a_failure_is_told_with_what_ssh_says_after_it(mixed: Mixed, pair: Pair) -> None:
    fails = "sh -c 'echo the reason >&2; echo goodbye >&2; exit 255'"
    code, said = mixed.adopt("--chassis", "c1", "--through", fails, "--dry-run")
    assert (code, "said: the reason / goodbye" in said) == (1, True), said


def test_a_dry_run_tells_what_keeps_the_host_from_going_over(mixed: Mixed, pair: Pair) -> None:
    chassis = mixed.site.lab.chassis["c1"]
    chassis.configure(mixed.site.lab.nb.remote)
    chassis.switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "trunkline-nb")
    with mixed.through(lambda _: None) as through:
        code, said = mixed.adopt("--chassis", "c1", "--through", through, "--dry-run")
    assert (code, "trunkline-nb is not set for this chassis" in said) == (1, True), said
