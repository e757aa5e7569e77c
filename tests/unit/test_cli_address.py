"""Addresses as people write them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from trunkline.core.address import (
    AddressError,
    allowed_pair_text,
    mac_text,
    parse_allowed_pair,
    parse_ip,
    parse_mac,
    parse_port_mac,
    parse_prefix,
)


@pytest.mark.parametrize("text", ["02:00:00:00:00:0a", "02-00-00-00-00-0A", "02:00:00:00:00:0A"])
def test_a_mac_is_read_with_colons_or_dashes_in_any_case(text: str) -> None:
    assert mac_text(parse_mac(text)) == "02:00:00:00:00:0a"


@pytest.mark.parametrize(
    "text",
    ["", "zz", "02:00:00:00:00", "02:00-00:00:00:0a", "2:0:0:0:0:a", "02:00:00:00:00:0a\n", "020000000000"],
)
def test_what_is_no_mac_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mac(text)
    assert "\n" not in str(caught.value)
    assert "write it as 02:00:00:00:00:01" in str(caught.value)


@pytest.mark.parametrize("text", ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"])
def test_a_mac_that_no_station_has_is_no_ports(text: str) -> None:
    assert mac_text(parse_mac(text)) == text
    with pytest.raises(AddressError, match=f"{text} is"):
        parse_port_mac(text)


def test_an_ip_address_is_canonical() -> None:
    assert parse_ip("2001:DB8:0:0::1") == ip_address("2001:db8::1")


@pytest.mark.parametrize(
    "text", ["", "10.0.0.300", "10.0.0.1/24", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "::"]
)
def test_what_is_no_ports_ip_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_ip(text)


NOBODYS = {
    "0.1.2.3": 'an address of "this host"',
    "127.0.0.1": "a loopback address",
    "127.255.255.255": "a loopback address",
    "239.0.0.1": "a multicast address",
    "255.255.255.255": "the broadcast address",
    "::": "the unspecified address",
    "::1": "the loopback address",
    "::ffff:1.2.3.4": "an IPv4 address written as IPv6",
    "::1.2.3.4": "an IPv4 address written as IPv6",
    "ff02::1": "a multicast address",
}


@pytest.mark.parametrize("text", NOBODYS)
def test_an_address_that_no_station_has_is_no_ports_nor_any_pairs(text: str) -> None:
    for parse in (parse_ip, parse_prefix):
        with pytest.raises(
            AddressError, match=f"is {NOBODYS[text]}, which no port can have; give an address"
        ):
            parse(text)


@pytest.mark.parametrize("text", ["1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "240.0.0.1"])
def test_an_ipv4_address_beside_those_is_a_ports(text: str) -> None:
    assert str(parse_ip(text)) == text


@pytest.mark.parametrize("text", ["fe80::1", "169.254.0.1", "::1:0:0:1", "2001:db8::", "64:ff9b::1"])
def test_an_address_that_a_station_may_have_is_a_ports(text: str) -> None:
    assert str(parse_ip(text)) == text


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "192.0.0.0/2", "::/64"])
def test_a_prefix_that_holds_addresses_of_stations_besides_is_one(text: str) -> None:
    assert str(parse_prefix(text)) == text


@pytest.mark.parametrize("text", ["127.0.0.0/8", "224.0.0.0/4", "0.0.0.0", "ff00::/8", "::/96"])
def test_a_prefix_of_no_stations_addresses_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match=f"^{text} is .*, which no port can have; give an address"):
        parse_prefix(text)


def test_a_prefix_with_bits_beyond_its_length_is_refused_with_the_one_meant() -> None:
    assert parse_prefix("10.1.1.0/24") == ip_network("10.1.1.0/24")
    with pytest.raises(AddressError, match=r"write 10.1.1.0/24"):
        parse_prefix("10.1.1.7/24")


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "fe80::1%eth0", "fe80::%eth0/64", "x/8"])
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_prefix(text)


@pytest.mark.parametrize(
    "text", ["02:00:00:00:00:01", "02:00:00:00:00:01,10.0.0.0/8", "02:00:00:00:00:01,2001:db8::1"]
)
def test_an_allowed_pair_is_read_and_written(text: str) -> None:
    assert allowed_pair_text(*parse_allowed_pair(text)) == text


@pytest.mark.parametrize("text", ["", ",", "02:00:00:00:00:01,", "10.0.0.1", "ff:ff:ff:ff:ff:ff"])
def test_what_is_no_allowed_pair_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_allowed_pair(text)
