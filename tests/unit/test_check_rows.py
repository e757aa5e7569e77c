"""What a check finds by rows of the northbound alone: each code, and nothing at a healthy site."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from typing import Any

import click
import pytest

from trunkline.cli.column import in_options
from trunkline.cli.main import trunkline
from trunkline.health import check
from trunkline.health.cause import CAUSES
from trunkline.health.finding import Finding
from trunkline.health.fleet import Fleet, Times
from trunkline.health.port_check import disabled_finding
from trunkline.northbound.liveness import Asked
from trunkline.probe.duplicate import Kept
from trunkline.probe.record import Record, Wrong

NOW_MS = 1_800_000_000_000
NB_CFG = 7


def chassis(name: str, **columns: Any) -> dict[str, Any]:
    """Return the row of a chassis that has just answered."""
    return {
        "name": name,
        "nb_cfg": NB_CFG,
        "nb_cfg_heard": NB_CFG,
        "nb_cfg_timestamp": NOW_MS,
        "silent_at": None,
        "bridge_mappings": {"physnet1": "br-ex"},
        "version": "1.0",
        "faults": {},
        "external_ids": {},
        **columns,
    }


def network(name: str, **columns: Any) -> dict[str, Any]:
    return {
        "_uuid": name,
        "name": name,
        "physical_network": "physnet1",
        "segmentation_id": 101,
        "mtu": None,
        "external_ids": {},
        **columns,
    }


def port(name: str, number: int = 1, **columns: Any) -> dict[str, Any]:
    """Return the row of a port that c1 holds and that is up."""
    return {
        "name": name,
        "unique_key": number,
        "iface_id": None,
        "network": "blue",
        "mac": f"02:00:00:00:00:{number:02x}",
        "addresses": [f"192.0.2.{number}"],
        "enabled": None,
        "requested_chassis": None,
        "chassis": "c1",
        "up": True,
        "parent": None,
        "parent_vlan": None,
        "options": {},
        "external_ids": {},
        **columns,
    }


def fleet(
    *ports: dict[str, Any],
    hosts: Iterable[dict[str, Any]] = (chassis("c1"), chassis("c2")),
    networks: Iterable[dict[str, Any]] = (network("blue"),),
    nb_cfg: int = NB_CFG,
    probe: Record | None = None,
    duplicates: Iterable[Kept] = (),
) -> Fleet:
    hosts = list(hosts)
    asked = Asked(nb_cfg, frozenset(row["name"] for row in hosts), is_quiet=True)
    times, networks = Times(NOW_MS - 10, NOW_MS + 10), list(networks)
    probes = {} if probe is None else {networks[0]["_uuid"]: (probe,)}
    return Fleet(nb_cfg, hosts, networks, list(ports), asked, times, probes, list(duplicates))


def told(found: Iterable[Finding]) -> list[tuple[str, str, str, str | None]]:
    return [(each.code, each.severity, each.subject, each.chassis) for each in found]


def test_a_healthy_site_gives_no_finding() -> None:
    """One chassis alone, a network on one chassis, and numbered physical networks are healthy."""
    hosts = [
        chassis("c1", bridge_mappings={"physnet1": "br-ex", "physnet2": "br-b"}),
        chassis("c2", bridge_mappings={"physnet1": "br-ex", "physnet3": "br-c"}),
    ]
    networks = [network("blue"), network("red", physical_network="physnet2", mtu=9000)]
    ports = [
        port("vm1", 1, options={"announce": "false"}, external_ids={"trunkline-set": "default", "a": "b"}),
        port("vm2", 2, chassis="c2", requested_chassis="c2"),
        port("vm3", 1, network="red"),
        port("vm4", 4, enabled=False, chassis=None, up=None),
        port("vm5", 5, requested_chassis="c2,c1"),
        port("sub", 6, network="red", parent="vm1", parent_vlan=5),
        port("sub2", 7, network="red", parent="off", parent_vlan=6, chassis=None, up=None),
        port("off", 8, enabled=False, chassis=None, up=None),
    ]
    assert check.findings(fleet(*ports, hosts=hosts, networks=networks)) == []
    assert check.findings(fleet(port("vm1"), hosts=[chassis("c1")])) == []


def probed(fault: str, *, age_s: int) -> Record:
    """Return the record of a probe that has found one *fault* at c2."""
    wrong = Wrong(fault, ("c2",), "c2 alone", "allow VLAN 101 on the switch port of c2")
    return Record(time.time_ns() // 1_000_000 - age_s * 1000, (), frozenset(), {}, (wrong,))


def used(address: str, *, age_s: int, chassis: str = "c1") -> Kept:
    """Return what is kept of somebody who used an *address* of vm1 when it was on *chassis*."""
    found_ms = time.time_ns() // 1_000_000 - age_s * 1000
    return Kept(
        found_ms, "address", "vm1", chassis, address, "02:bb:00:00:00:99", "somebody uses it", "find him"
    )


SCENES: dict[str, tuple[Fleet, list[tuple[str, str, str, str | None]]]] = {
    "a probe has just found a loss": (
        fleet(port("vm1"), probe=probed("lost", age_s=60)),
        [("T216", "error", "network blue", "c2")],
    ),
    "a probe found a loss some time ago": (
        fleet(port("vm1"), probe=probed("lost", age_s=7200)),
        [("T216", "warning", "network blue", "c2")],
    ),
    "a probe found that large packets are lost": (
        fleet(port("vm1"), probe=probed("size", age_s=60)),
        [("T216", "warning", "network blue", "c2")],
    ),
    "somebody has just used an address of a port": (
        fleet(port("vm1"), duplicates=[used("192.0.2.1", age_s=60)]),
        [("T328", "error", "port vm1", "c1")],
    ),
    "somebody used an address of a port some time ago": (
        fleet(port("vm1"), duplicates=[used("192.0.2.1", age_s=7200)]),
        [("T328", "warning", "port vm1", "c1")],
    ),
    "somebody uses an address that a port, or where it was, no longer has": (
        fleet(
            port("vm1"),
            duplicates=[used("192.0.2.9", age_s=60), used("192.0.2.1", age_s=60, chassis="c2")],
        ),
        [],
    ),
    "unmapped here": (
        fleet(port("vm1"), hosts=[chassis("c1", bridge_mappings={}), chassis("c2")]),
        [("T202", "error", "network blue", "c1")],
    ),
    "unmapped where a port is requested": (
        fleet(
            port("vm1", chassis=None, up=None, requested_chassis="c1"),
            hosts=[chassis("c1", bridge_mappings={}), chassis("c2")],
        ),
        [("T202", "error", "network blue", "c1"), ("T301", "error", "port vm1", None)],
    ),
    "mapped nowhere": (
        fleet(port("vm1"), networks=[network("blue", physical_network="phsynet1")]),
        [("T204", "error", "network blue", None)],
    ),
    "mapped nowhere, and no port": (
        fleet(networks=[network("blue", physical_network="phsynet1")]),
        [("T204", "warning", "network blue", None)],
    ),
    "misspelt before anybody needs it": (
        fleet(port("vm1"), hosts=[chassis("c1"), chassis("c2", bridge_mappings={"phsynet1": "br-ex"})]),
        [("T210", "warning", "mapping phsynet1", "c2")],
    ),
    "unbound": (fleet(port("vm1", chassis=None, up=None)), [("T301", "warning", "port vm1", None)]),
    "held elsewhere": (
        fleet(port("vm1", requested_chassis="c2")),
        [("T313", "error", "port vm1", "c1")],
    ),
    "requested nowhere": (
        fleet(port("vm1", chassis=None, up=None, requested_chassis="c9")),
        [("T301", "error", "port vm1", None), ("T317", "error", "port vm1", None)],
    ),
    "held by nobody known": (fleet(port("vm1", chassis="c9")), [("T317", "error", "port vm1", "c9")]),
    "one IP twice": (
        fleet(port("vm1", 1), port("vm2", 2, addresses=["192.0.2.1"], chassis="c2")),
        [("T318", "error", "port vm1", "c1"), ("T318", "error", "port vm2", "c2")],
    ),
    "one IP twice, and one of them may": (
        fleet(
            port("vm1", 1), port("vm2", 2, addresses=["192.0.2.1"], options={"allow-duplicate-ip": "true"})
        ),
        [],
    ),
    "one MAC twice": (
        fleet(port("vm1", mac="02:00:00:00:00:AA"), port("vm2", 2, mac="02:00:00:00:00:aa")),
        [("T319", "error", "port vm1", "c1"), ("T319", "error", "port vm2", "c1")],
    ),
    "one iface-id twice": (
        fleet(port("vm1", 1, iface_id="09b1"), port("vm2", 2, iface_id="09b1", chassis=None, up=None)),
        [("T301", "warning", "port vm2", None), ("T327", "error", "port vm2", None)],
    ),
    "the name of one as iface-id of another": (
        fleet(port("vm2", 2), port("vm1", 1, iface_id="vm2")),
        [("T327", "error", "port vm1", "c1")],
    ),
    "no parent": (
        fleet(port("sub", parent="gone", parent_vlan=5)),
        [("T320", "error", "port sub", "c1")],
    ),
    "an option that is none": (
        fleet(port("vm1", options={"anounce": "false"})),
        [("T321", "warning", "port vm1", "c1")],
    ),
    "keys that mean nothing": (
        fleet(
            port("vm1", external_ids={"trunkline-sett": "x"}),
            hosts=[chassis("c1", external_ids={"trunkline-x": ""}), chassis("c2")],
            networks=[network("blue", external_ids={"trunkline-y": ""})],
        ),
        [
            ("T321", "warning", "network blue", None),
            ("T321", "warning", "port vm1", "c1"),
            ("T321", "warning", "chassis c1", "c1"),
        ],
    ),
    "down for no known reason": (fleet(port("vm1", up=False)), [("T322", "error", "port vm1", "c1")]),
    "a wide sub-port": (
        fleet(
            port("vm1"),
            port("sub", 2, network="red", parent="vm1", parent_vlan=5),
            networks=[network("blue", mtu=1500), network("red", mtu=9000)],
        ),
        [("T323", "warning", "port sub", "c1")],
    ),
    "silent": (
        fleet(port("vm1"), hosts=[chassis("c1", nb_cfg=3, nb_cfg_heard=3), chassis("c2")]),
        [("T501", "error", "chassis c1", "c1")],
    ),
    "behind": (
        fleet(port("vm1"), hosts=[chassis("c1", nb_cfg=3), chassis("c2")]),
        [("T502", "warning", "chassis c1", "c1")],
    ),
    "two versions": (
        fleet(hosts=[chassis("c1"), chassis("c2", version="0.9"), chassis("c3")]),
        [("T504", "warning", "chassis c2", "c2")],
    ),
    "a clock that is wrong": (
        fleet(hosts=[chassis("c1"), chassis("c2", nb_cfg_timestamp=NOW_MS - 60_000)]),
        [("T107", "warning", "chassis c2", "c2")],
    ),
}


@pytest.mark.parametrize("name", SCENES)
def test_what_is_wrong_is_found_and_nothing_else(name: str) -> None:
    seen, wanted = SCENES[name]
    found = check.findings(seen)
    assert sorted(told(found), key=str) == sorted(wanted, key=str)
    for each in found:
        assert each.text
        assert each.remedy


def is_taken(words: list[str]) -> bool:
    """Return whether `trunkline` takes *words* as a command line; raises what it says of wrong ones."""
    command: click.Command = trunkline
    context = click.Context(command, **command.context_settings)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    with command.make_context(command.name, words, context):
        return True


def remedies() -> list[str]:
    found = [each for seen, _ in SCENES.values() for each in check.findings(seen)]
    found.append(disabled_finding(port("vm1", enabled=False)))
    return sorted({in_options(each.remedy) for each in found})


def test_a_remedy_that_needs_an_option_is_a_command_that_this_program_takes() -> None:
    commands = 0
    for remedy in remedies():
        for part in remedy.split("; "):
            _, _, command = part.partition("trunkline ")
            assert "--" not in part or "--" in command, remedy
            if "--" in command:
                commands += is_taken(shlex.split(command))
    assert commands > 5


def test_a_chassis_that_was_not_reached_in_time_is_not_known_to_be_silent() -> None:
    seen = fleet(hosts=[chassis("c1", nb_cfg=3, nb_cfg_heard=3)])
    busy = Fleet(**{**vars(seen), "asked": Asked(NB_CFG, frozenset({"c1"}), is_quiet=False)})
    assert told(check.findings(busy)) == [("T503", "warning", "chassis c1", "c1")]


def test_a_chassis_that_was_not_reached_and_does_not_say_what_it_finds_is_one_finding() -> None:
    hosts = [chassis(name, nb_cfg=3, nb_cfg_heard=3) for name in ("c1", "c2")]
    seen = fleet(hosts=hosts)
    busy = Fleet(**{**vars(seen), "asked": Asked(NB_CFG, frozenset({"c1", "c2"}), is_quiet=False)})
    unsaid = Finding("T506", "warning", "chassis c1", "c1", None, "it did not answer", "run this again")
    assert told(check.merged([unsaid, *check.findings(busy)])) == [
        ("T506", "warning", "chassis c1", "c1"),
        ("T503", "warning", "chassis c2", "c2"),
    ]


def test_each_code_that_needs_no_chassis_to_be_asked_comes_from_rows_or_from_a_fault() -> None:
    """But for the servers of the northbound, a disabled port, and a chassis that was asked more."""
    from_rows = {code for _, wanted in SCENES.values() for code, *_ in wanted} | {"T503"}
    from_faults = {cause.code for cause in CAUSES} | {"T599"}
    assert from_rows | from_faults | {"T105", "T106", "T316", "T506"} == check.FROM_ROWS


# -- one cause is one finding --------------------------------------------------------------------------


def test_a_fault_and_a_row_that_say_the_same_are_one_finding() -> None:
    reason = "physical network physnet1 is not mapped to a bridge here; add physnet1:BRIDGE to x"
    host = chassis("c1", bridge_mappings={}, faults={"network blue": reason})
    found = check.findings(fleet(port("vm1", up=False), hosts=[host, chassis("c2")]))
    assert told(found) == [("T202", "error", "network blue", "c1")]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("vif vm1", "tap1 has no link; check its other end"),
        ("mapping physnet1", "nothing gets out of br-ex: eth1 has no link; check its other end"),
        (
            "switch",
            "no OpenFlow connection to br-int: refused; is ovs-vswitchd running, and does its log say more?",
        ),
    ],
)
def test_a_port_that_is_down_for_a_known_reason_has_no_finding_of_its_own(subject: str, reason: str) -> None:
    hosts = [chassis("c1", faults={subject: reason}), chassis("c2")]
    (found,) = check.findings(fleet(port("vm1", up=False), hosts=hosts))
    assert found.subject == subject


# -- what concerns one port ----------------------------------------------------------------------------

NO_LINK = {"mapping physnet1": "nothing gets out of br-ex: eth1 has no link; check its other end"}
STRAY = {"vif vm1x": "no port has iface-id vm1x; create it, or correct iface-id of tap1"}


def verdict(seen: Fleet, name: str = "vm1") -> check.Verdict:
    return check.of_port(check.findings(seen), seen, name)


def test_a_port_works_if_nothing_is_wrong_with_what_it_depends_on() -> None:
    hosts = [chassis("c1"), chassis("c2"), chassis("c3", faults=NO_LINK)]
    seen = fleet(port("vm1"), port("vm2", 2), port("vm3", 3, network="red", chassis="c3"), hosts=hosts)
    found = verdict(seen)
    assert (found.works, found.is_known, found.reasons) == (True, True, ())


def test_what_is_wrong_with_its_own_chassis_is_an_error_and_with_that_of_a_peer_a_warning() -> None:
    hosts = [chassis("c1"), chassis("c2", faults=NO_LINK)]
    seen = fleet(port("vm1"), port("vm2", 2, chassis="c2", up=False), hosts=hosts)
    here, there = verdict(seen), verdict(seen, "vm2")
    assert told(here.reasons) == [("T203", "warning", "mapping physnet1", "c2")]
    assert told(there.reasons) == [("T203", "error", "mapping physnet1", "c2")]
    assert here.works
    assert not there.works


def test_a_disabled_and_an_unbound_port_do_not_work() -> None:
    assert told(verdict(fleet(port("vm1", enabled=False))).reasons) == [("T316", "error", "port vm1", "c1")]
    unbound = verdict(fleet(port("vm1", chassis=None, up=None)))
    assert told(unbound.reasons) == [("T301", "error", "port vm1", None)]


def test_a_vif_without_a_port_may_be_that_of_an_unbound_port() -> None:
    hosts = [chassis("c1", faults=STRAY), chassis("c2")]
    bound, unbound = port("vm2", 2), port("vm1", chassis=None, up=None)
    seen = fleet(unbound, bound, hosts=hosts)
    assert told(verdict(seen).reasons) == [
        ("T301", "error", "port vm1", None),
        ("T302", "warning", "vif vm1x", "c1"),
    ]
    assert verdict(seen, "vm2").reasons == ()


def test_a_port_with_a_vif_is_not_what_an_iface_id_without_a_port_means() -> None:
    hosts = [chassis("c1", faults=STRAY), chassis("c2")]

    def remedy(*ports: dict[str, Any]) -> str:
        (stray,) = [each for each in check.findings(fleet(*ports, hosts=hosts)) if each.code == "T302"]
        return stray.remedy

    unbound = port("vm1", chassis=None, up=None)
    assert remedy(unbound).startswith("did you mean vm1? create it, or correct iface-id of ")
    assert remedy(port("vm1")).startswith("create it, or ")
    assert remedy({**unbound, "name": "database"}).startswith("create it, or ")


def test_a_port_whose_chassis_is_silent_is_not_known_to_work() -> None:
    seen = fleet(port("vm1"), hosts=[chassis("c1", nb_cfg=3, nb_cfg_heard=3), chassis("c2")])
    found = verdict(seen)
    assert not found.works
    assert not found.is_known
    assert told(found.reasons) == [("T501", "error", "chassis c1", "c1")]


def test_a_sub_port_does_not_work_if_the_vif_of_its_parent_has_no_link() -> None:
    hosts = [chassis("c1", faults={"vif vm1": "tap1 has no link; check its other end"}), chassis("c2")]
    sub = port("sub", 2, network="red", parent="vm1", parent_vlan=5, up=False)
    seen = fleet(port("vm1", up=False), sub, hosts=hosts, networks=[network("blue"), network("red")])
    assert told(verdict(seen, "sub").reasons) == [("T304", "error", "vif vm1", "c1")]


def test_what_concerns_a_chassis_or_a_network_alone_is_told() -> None:
    hosts = [chassis("c1", faults=NO_LINK), chassis("c2", faults=STRAY)]
    seen = fleet(port("vm1", up=False), hosts=hosts, networks=[network("blue"), network("red")])
    found = check.findings(seen)
    assert told(check.of_chassis(found, seen, "c2")) == [("T302", "error", "vif vm1x", "c2")]
    assert told(check.of_network(found, seen, "blue")) == [("T203", "error", "mapping physnet1", "c1")]
    assert told(check.of_network(found, seen, "red")) == [("T203", "error", "mapping physnet1", "c1")]


def test_a_port_is_warned_of_what_a_probe_found_at_a_peer_only_of_large_packets_too() -> None:
    """The port reaches that peer, and its large packets do not."""
    ports = (port("vm1"), port("vm2", 2, chassis="c2"))
    seen = fleet(*ports, probe=probed("size", age_s=60))
    assert told(verdict(seen).reasons) == [("T216", "warning", "network blue", "c2")]
    # Nobody on c2 is a peer.
    assert not verdict(fleet(port("vm1"), probe=probed("size", age_s=60))).reasons
