"""What people write, over anything that they could: it makes sense, or is refused by the error meant."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from trunkline.cli.output import cell, printable, table
from trunkline.core import address
from trunkline.core.address import AddressError
from trunkline.core.error import InvalidValueError
from trunkline.lab import TopologyError, topology
from trunkline.northbound.client import NetworkSpec, PortSpec
from trunkline.ovsdb import settings as chassis_settings
from trunkline.runtime.log import line

ANY = st.text(max_size=40)
NEAR_ADDRESS = st.text("0123456789abcdefABCDEF:.-/%, \n\u0661\u00df", max_size=44)
NEAR_YAML = st.text("{}[]:,-?&*!|>'\"%@`#\n\t a1~<=", max_size=60)

MACS = st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))
IPS = st.ip_addresses().map(str)
PREFIXES = st.tuples(st.ip_addresses(), st.integers(0, 130)).map(lambda pair: f"{pair[0]}/{pair[1]}")
ADDRESSES = st.one_of(ANY, NEAR_ADDRESS, MACS, IPS, PREFIXES)
PAIRS = st.one_of(ADDRESSES, st.tuples(MACS, st.sampled_from([",", " , ", ",,"]), ADDRESSES).map("".join))


@given(ADDRESSES)
@example("02:00:00:00:00:01\n")
def test_what_is_taken_for_a_mac_is_one_and_its_own_spelling_is_taken_again(text: str) -> None:
    with suppress(AddressError):
        mac = address.parse_mac(text)
        assert 0 <= mac < 1 << 48
        assert address.parse_mac(address.mac_text(mac)) == mac


@given(ADDRESSES)
@example("fe80::1%eth0")
@example("::ffff:1.2.3.4")
def test_what_is_taken_for_an_ip_is_one_and_its_own_spelling_is_taken_again(text: str) -> None:
    with suppress(AddressError):
        found = address.parse_ip(text)
        assert address.parse_ip(str(found)) == found
        assert not found.is_multicast


@given(ADDRESSES)
@example("fe80::1%eth0/64")
@example("1.2.3.4/255.255.255.0")
@example("1.2.3.0/0.0.0.255")
def test_what_is_taken_for_a_prefix_is_one_and_its_own_spelling_is_taken_again(text: str) -> None:
    with suppress(AddressError):
        found = address.parse_prefix(text)
        assert address.parse_prefix(address.prefix_text(found)) == found


@given(PAIRS)
def test_what_is_taken_for_an_allowed_pair_is_taken_again_as_it_is_written(text: str) -> None:
    with suppress(AddressError):
        found = address.parse_allowed_pair(text)
        assert address.parse_allowed_pair(address.allowed_pair_text(*found)) == found


NUMBERS = st.none() | st.integers(-(2**70), 2**70)


@given(ANY, st.sampled_from(["vlan", "flat", ""]) | ANY, ANY, NUMBERS, NUMBERS)
def test_a_network_is_refused_by_one_error_or_makes_sense(
    name: str, kind: str, physnet: str, vlan_id: int | None, mtu: int | None
) -> None:
    with suppress(InvalidValueError):
        spec = NetworkSpec(
            name=name, network_type=kind, physical_network=physnet, segmentation_id=vlan_id, mtu=mtu
        )
        assert spec.name.isprintable()
        assert spec.segmentation_id is None or 1 <= spec.segmentation_id <= 4094


@given(ANY, ADDRESSES, st.lists(ADDRESSES, max_size=3), st.lists(PAIRS, max_size=3), NUMBERS)
def test_a_port_is_refused_by_one_error_or_its_addresses_are_canonical(
    name: str, mac: str, ips: list[str], pairs: list[str], vlan_id: int | None
) -> None:
    with suppress(InvalidValueError):
        row = PortSpec(
            name=name,
            network="n",
            mac=mac,
            addresses=tuple(ips),
            allowed_address_pairs=tuple(pairs),
            parent=None if vlan_id is None else "p",
            parent_vlan=vlan_id,
        ).row()
        again = PortSpec(name=name, network="n", mac=row["mac"], addresses=tuple(row["addresses"])).row()
        assert (again["mac"], again["addresses"]) == (row["mac"], row["addresses"])


SETTING_KEYS = [
    "system-id",
    "trunkline-nb",
    "trunkline-bridge-mappings",
    "trunkline-integration-bridge",
    "trunkline-datapath-type",
    "trunkline-vlan-pruning",
    "trunkline-audit-interval",
    "trunkline-nb-identity",
]
SETTING_VALUES = ANY | st.text("physnet:br-,1 \n", max_size=40) | st.integers().map(str)


@given(st.dictionaries(st.sampled_from(SETTING_KEYS) | ANY, SETTING_VALUES))
@example({"system-id": "c", "trunkline-nb": "n", "trunkline-audit-interval": "\u00b2"})
@example({"system-id": "c", "trunkline-nb": "n", "trunkline-audit-interval": "9" * 5000})
def test_settings_of_any_kind_are_understood_or_said_to_be_missing(external_ids: dict[str, str]) -> None:
    with suppress(chassis_settings.SettingsError):
        found = chassis_settings.settings(external_ids)
        assert found.chassis
        assert found.nb_remotes
        assert found.audit_interval_s >= 0
        bridges = list(found.bridge_by_physnet.values())
        assert len(set(bridges)) == len(bridges)
        assert all(physnet and bridge for physnet, bridge in found.bridge_by_physnet.items())


NAMES = st.sampled_from(["p1", "red", "c1", "a", "", "x" * 50, "../..", "\u00e9"])
SCALARS = st.one_of(NAMES, st.none(), st.booleans(), st.integers(), st.floats(), ANY)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=6,
)


def item(*keys: str) -> st.SearchStrategy[Any]:
    """Return items of a topology's list that have some of *keys*, with values of any kind."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, VALUES)) | VALUES


PARTS = {
    "name": VALUES,
    "physnets": st.just(["p1"]) | VALUES,
    "networks": st.lists(item("name", "type", "physical_network", "segment"), max_size=2) | VALUES,
    "chassis": st.lists(item("name", "mappings"), max_size=2) | VALUES,
    "vms": st.lists(item("name", "chassis", "network", "ip", "mac"), max_size=2) | VALUES,
    "hosts": st.lists(item("name", "physnet", "vlan", "tagged", "ip", "mac"), max_size=2) | VALUES,
}


@given(st.fixed_dictionaries({}, optional=PARTS) | VALUES)
def test_a_topology_of_any_shape_is_understood_or_refused_with_its_key(document: Any) -> None:
    try:
        text = yaml.safe_dump(document)
    except yaml.YAMLError:
        return
    with suppress(TopologyError):
        assert topology.parse(text, "lab.yaml").name


@given(ANY | NEAR_YAML)
@example("name: \x00")
@example("2025-13-45")
@example("? [a]\n: b")
@example("name: !!python/object/apply:os.system [id]")
@example("[" * 500)
def test_a_topology_of_any_text_is_understood_or_refused(text: str) -> None:
    with suppress(TopologyError):
        topology.parse(text, "lab.yaml")


@given(ANY, st.dictionaries(st.just("key"), ANY | st.integers()))
def test_values_stay_on_the_one_line_of_the_log_in_ascii(value: str, more: dict[str, object]) -> None:
    said = line("constant text", {"value": value, **more})
    assert said.isascii()
    assert said.isprintable()
    quoted = said.partition("value=")[2].removesuffix(f" key={more.get('key')}")
    if not more:
        assert value == (json.loads(quoted) if quoted.startswith('"') else quoted)


@given(st.lists(st.lists(ANY | st.lists(ANY) | st.dictionaries(ANY, ANY), min_size=2, max_size=2)))
def test_a_table_shows_nothing_that_a_terminal_would_obey(rows: list[list[Any]]) -> None:
    shown = table(rows, ["one", "two"])
    assert all(char.isprintable() for char in shown.replace("\n", ""))
    assert shown.count("\n") == 1 + len(rows)
    assert all(cell(value).isprintable() for row in rows for value in row)


@pytest.mark.parametrize("text", ["\x1b[2J", "\u202e", "\u2028", "\x9b31m", "\x7f", "\ud800", "\r"])
def test_each_character_that_commands_a_terminal_is_escaped(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text).isascii()
