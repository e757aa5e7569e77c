"""Addresses from text: the fast way finds what `ipaddress` finds, and refuses what it refuses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.address import AddressError, parse_ip

_GROUPS = st.sampled_from(
    ["", "0", "1", "0001", "00001", "ffff", "FfFf", "10000", "g", "1.2.3.4", "1.2.3.04"]
)
_ODD = st.builds("".join, st.lists(st.one_of(_GROUPS, st.sampled_from([":", "::", "%1", "/64", " ", "\0"]))))
_SPELLED = st.builds(":".join, st.lists(_GROUPS, max_size=9))
_DOTTED = st.builds(".".join, st.lists(st.sampled_from(["0", "1", "01", "255", "256", "a"]), max_size=5))
_VALID = st.one_of(st.ip_addresses().map(str), st.ip_addresses(v=6).map(lambda each: each.exploded.upper()))


@given(st.one_of(_ODD, _SPELLED, _DOTTED, _VALID, st.text(max_size=9)))
def test_an_address_is_what_the_standard_library_takes_for_one(text: str) -> None:
    wanted: IPv4Address | IPv6Address | None
    try:
        wanted = ip_address(text)
    except ValueError:
        wanted = None
    try:
        assert parse_ip(text) == wanted
    except AddressError as error:
        assert ("is not an IP address" in str(error)) is (wanted is None)  # noqa: PT017
