"""Nonsense from users and other writers (DESIGN.md section 6, rule 9): faults, and nothing held up."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from dummy_chassis import BROADCAST, DummyChassis, Site, ethernet, mac_of, opened, until

from trunkline.core.error import InvalidValueError
from trunkline.northbound.client import RefusedError

pytestmark = pytest.mark.system

A = mac_of("a")
HELLO = ethernet(BROADCAST, A)
NIC = "nic-br-phys1"
LONG = "x" * 10_000
ODD = 'tab\tnewline\nescape\x1b[31m quote" back\\ \u2028 \u00e9 \U0001f600 \x7f'


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One chassis with one port that works, for all of these tests: each takes out what it wrote."""
    with opened() as started:
        chassis = started.chassis()
        started.network()
        started.port("a")
        chassis.plug("a")
        started.await_up("a")
        yield started


@pytest.fixture
def chassis(site: Site) -> Iterator[DummyChassis]:
    chassis = site.all[0]
    yield chassis
    chassis.check()
    site.transact(
        {"op": "delete", "table": "Port", "where": [["name", "!=", "a"]]},
        {"op": "delete", "table": "Network", "where": [["name", "!=", "net1"]]},
    )
    vifs = set(chassis.switch.vsctl("list-ports", "br-int").split()) - {"a", "int-br-phys1"}
    for vif in vifs:
        chassis.unplug(vif)
    assert faults(site) == {}


def works(chassis: DummyChassis) -> bool:
    return chassis.receive("a", HELLO) == {NIC: [ethernet(BROADCAST, A, 101)]}


def network(name: str, key: int, **columns: object) -> dict[str, object]:
    row = {"name": name, "unique_key": key, "network_type": "vlan", "physical_network": "physnet1"}
    return {"op": "insert", "table": "Network", "uuid-name": f"n{key}", "row": row | columns}


def port(name: str, key: int, network: int, **columns: object) -> dict[str, object]:
    row = {
        "name": name,
        "unique_key": key,
        "network": ["named-uuid", f"n{network}"],
        "mac": f"02:00:00:00:99:{key % 256:02x}",
        "port_security": False,
        "options": ["map", [["announce", "false"]]],  # frames are compared meanwhile
    }
    return {"op": "insert", "table": "Port", "row": row | columns}


def faults(site: Site) -> dict[str, str]:
    site.sync()
    found: dict[str, str] = site.nb.chassis("c1")["faults"]
    return found


def test_a_physical_network_that_can_be_mapped_nowhere_is_a_fault_and_can_be_set_right(
    site: Site, chassis: DummyChassis
) -> None:
    """Names that the program refuses, written past it: such a row can still be changed."""
    site.transact(
        network("a, b", 5001, physical_network="phys:net1", segmentation_id=105), port("p", 5001, 5001)
    )
    chassis.plug("p")
    assert faults(site)["network a, b"] == (
        "physical network 'phys:net1' cannot be mapped on any chassis: a name with a comma, a colon or outer "
        "blanks does not fit into the list of mappings; set another `physical_network`"
    )
    site.nb.set_network("a, b", {"mtu": 1400})
    with pytest.raises(InvalidValueError, match="leave out the colon"):
        site.nb.set_network("a, b", {"physical_network": "phys:net2"})
    site.nb.set_network("a, b", {"physical_network": "physnet1"})
    site.await_up("p")
    assert "network a, b" not in faults(site)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "no segmentation_id"),
        ({"network_type": "flat", "segmentation_id": 105}, "it is flat and has segmentation_id 105"),
    ],
)
def test_a_network_that_contradicts_itself_is_a_fault_until_it_is_mended(
    site: Site, chassis: DummyChassis, columns: dict[str, object], said: str
) -> None:
    site.transact(network("bad", 5001, **columns), port("p", 5001, 5001))
    chassis.plug("p")
    assert said in faults(site)["network bad"]
    assert works(chassis)
    assert site.bindings()["p"][1] is False
    where = [["name", "==", "bad"]]
    right = {"network_type": "vlan", "segmentation_id": 106}
    site.transact({"op": "update", "table": "Network", "where": where, "row": right})
    site.await_up("p")
    assert faults(site) == {}
    frame = ethernet(BROADCAST, "02:00:00:00:99:89")
    assert chassis.receive("p", frame) == {NIC: [ethernet(BROADCAST, "02:00:00:00:99:89", 106)]}


@pytest.mark.parametrize(
    "columns",
    [
        {"mac": "zz:zz:zz:zz:zz:zz"},
        {"mac": "ff:ff:ff:ff:ff:ff"},
        {"mac": "00:00:00:00:00:00"},
        {"mac": "\n" * 17},
        {"mac": "02:00:00:00:AA:01"},
        {"mac": "02-00-00-00-aa-01"},
        {"addresses": "999.0.0.1"},
        {"addresses": ["set", ["10.0.0.1", "fe80::1%eth0", ""]]},
        {"allowed_address_pairs": "02:00:00:00:00:01,10.0.0.0/99"},
        {"allowed_address_pairs": ODD},
        {"parent": "nobody", "parent_vlan": 5},
        {"parent": "p", "parent_vlan": 5},
        {"parent": "a"},
        {"requested_chassis": " , ,"},
        {"requested_chassis": LONG},
        {"requested_chassis": ",".join("abcdefghijklmnopq")},
        {"options": ["map", [["announce", ODD]]]},
    ],
    ids=lambda columns: "-".join(columns),
)
def test_a_port_that_makes_no_sense_holds_up_nobody(
    site: Site, chassis: DummyChassis, columns: dict[str, object]
) -> None:
    rows = (network("n", 5001, segmentation_id=105), port("p", 5001, 5001, **columns), port("q", 5002, 5001))
    site.transact(*rows)
    chassis.plug("p")
    chassis.plug("q")
    site.await_up("q")
    site.sync()
    assert works(chassis)
    # If its VIF decides, it is a fault; if it is like any other port, it is up.
    assert (
        site.bindings()["p"][1]
        or any("p" in subject.split() for subject in faults(site))
        or "parent" in columns
    )
    site.nb.delete_ports(["p"])
    site.sync()
    assert [subject for subject in faults(site) if subject.startswith("port")] == []


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        (
            "addresses",
            [f"10.0.{n >> 8}.{n & 255}" for n in range(1, 1026)],
            "1025 addresses; a port may have 1024",
        ),
        (
            "allowed_address_pairs",
            [f"02:00:00:01:{n >> 8:02x}:{n & 255:02x}" for n in range(1025)],
            "1025 allowed address pairs; a port may have 1024",
        ),
    ],
)
def test_a_port_may_have_so_many_addresses_and_one_with_more_is_a_fault(
    site: Site, chassis: DummyChassis, column: str, values: list[str], said: str
) -> None:
    named = {"port_security": True, column: ["set", values]}
    site.transact(network("n", 5001, segmentation_id=105), port("p", 5001, 5001, **named))
    chassis.plug("p")
    assert said in faults(site)["port p"]
    assert site.bindings()["p"][1] is False
    assert works(chassis)
    with pytest.raises(InvalidValueError, match="give 1024 at most"):
        site.nb.set_port("p", {column: values})
    site.nb.set_port("p", {column: values[1:]})
    site.await_up("p")
    assert faults(site) == {}


def test_of_two_rows_with_one_mac_in_two_spellings_one_works_and_the_other_is_a_fault(
    site: Site, chassis: DummyChassis
) -> None:
    """The database compares text: to its index they are two, and a chassis may not have loaded both."""
    mac = "fa:16:3e:00:00:01"
    rows = (port("shout", 5001, 5001, mac=mac.upper()), port("say", 5002, 5001, mac=mac))
    site.transact(network("n", 5001, segmentation_id=105, remote_ports="learned"), *rows)
    chassis.plug("shout")
    chassis.plug("say")
    site.await_up("say")
    assert f"its MAC is written {mac.upper()}; write it as {mac}" in faults(site)["port shout"]
    assert "vif shout" not in faults(site)
    assert site.bindings()["shout"][1] is False
    assert chassis.receive(NIC, ethernet(mac, "02:ee:00:00:00:01", 105)).keys() == {"say"}
    with pytest.raises(RefusedError, match="port 'say' already has MAC"):
        site.nb.set_port("shout", {"mac": mac})
    site.nb.delete_ports(["say"])
    site.nb.set_port("shout", {"mac": mac.upper()})
    site.await_up("shout")
    assert chassis.receive(NIC, ethernet(mac, "02:ee:00:00:00:01", 105)).keys() == {"shout"}


def test_an_address_that_rows_give_to_two_ports_is_a_fault_unless_it_is_meant(
    site: Site, chassis: DummyChassis
) -> None:
    same = {"addresses": ["set", ["192.0.2.1", "192.0.2.2"]]}
    rows = (port("p", 5001, 5001, addresses="192.0.2.1"), port("q", 5002, 5001, **same))
    site.transact(network("n", 5001, segmentation_id=105), *rows)
    for name in "pq":
        chassis.plug(name)
    site.await_up("p", "q")
    said = "another port of its network also has its address 192.0.2.1"
    found = faults(site)
    assert [said in found[f"port {name}"] for name in "pq"] == [True, True]
    site.nb.set_port("q", {"options": {"allow-duplicate-ip": "true"}})
    assert faults(site) == {}
    site.nb.set_port("q", {"addresses": ["192.0.2.2"], "options": {"allow-duplicate-ip": ""}})
    assert faults(site) == {}
    update = {"op": "update", "table": "Port", "where": [["name", "==", "p"]]}
    site.transact(update | {"row": {"addresses": "192.0.2.2"}})
    assert sorted(faults(site)) == ["port p", "port q"]
    chassis.unplug("q")
    site.await_up("q", is_up=False)
    assert sorted(faults(site)) == ["port p"], "it is told where the port is"
    site.nb.delete_ports(["q"])
    assert faults(site) == {}


@pytest.mark.parametrize("name", [LONG, ODD, " ", "a b", "=", "port a"], ids=ascii)
def test_names_of_any_kind_crash_nothing_and_stay_on_their_line(
    site: Site, chassis: DummyChassis, name: str
) -> None:
    site.transact(network(name, 5001, segmentation_id=105), port(name, 5001, 5001))
    chassis.plug(name, "vif1")
    until(lambda: site.bindings()[name] == ("c1", True), "up")
    site.sync()
    assert works(chassis)
    chassis.agent.ask("flows")
    json.loads(chassis.agent.ask("status"))
    chassis.switch.vsctl("set", "Interface", "vif1", f"external_ids:iface-id={json.dumps(name + '?')}")
    until(lambda: f"vif {name}?" in chassis.faults, "fault")
    assert f"vif {name}?" in faults(site)


def test_an_empty_iface_id_is_like_any_that_nobody_has(site: Site, chassis: DummyChassis) -> None:
    chassis.plug("", "vif1")
    site.sync()
    assert works(chassis)


def test_hundreds_of_faults_are_reported_and_withdrawn(site: Site, chassis: DummyChassis) -> None:
    words: list[str] = []
    for number in range(300):
        words += ["--", "add-port", "br-int", f"v{number}", "--", "set", "Interface", f"v{number}",
                  "type=dummy", f"external_ids:iface-id=nobody{number}"]  # fmt: skip
    # Where a device is not of the switch's kind, ovs-vsctl of Open vSwitch 4.0 fails if it waits for it.
    chassis.switch.vsctl("--no-wait", *words[1:])
    until(lambda: len(faults(site)) == 300, "all faults")
    chassis.switch.vsctl(*[word for number in range(300) for word in ("--", "del-port", f"v{number}")][1:])
    assert faults(site) == {}
    assert works(chassis)


@pytest.mark.parametrize("column", ["bridge_mappings", "hostname", "version"])
def test_what_others_write_into_its_row_the_agent_writes_over(
    site: Site, chassis: DummyChassis, column: str
) -> None:
    site.sync()
    before = site.nb.chassis("c1")[column]
    nonsense = ["map", [[ODD, ODD]]] if column == "bridge_mappings" else ODD
    site.transact({"op": "update", "table": "Chassis", "where": [], "row": {column: nonsense}})
    until(lambda: site.nb.chassis("c1")[column] == before, "mended")


def test_an_option_that_is_none_is_a_fault_and_the_port_works(site: Site, chassis: DummyChassis) -> None:
    for options, said in (
        ({"anounce": "false"}, "there is no option 'anounce'; did you mean announce?"),
        ({"announce": "maybe"}, "option announce is 'maybe'; use true or false"),
    ):
        row = {"options": ["map", [list(pair) for pair in options.items()]]}
        site.transact({"op": "update", "table": "Port", "where": [["name", "==", "a"]], "row": row})
        assert faults(site) == {"port a": said}
        assert (site.bindings()["a"], works(chassis)) == (("c1", True), True)
    # What is wrong already does not keep others from being set, and can be taken away.
    site.nb.set_port("a", {"options": {"control-frames": "false"}})
    site.nb.set_port("a", {"options": {"announce": ""}})
    assert faults(site) == {}
