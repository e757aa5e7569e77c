"""The values in frames, compared with those of scapy."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from scapy.utils6 import in6_mactoifaceid

from trunkline.core.address import mac_text
from trunkline.core.frame import link_local


@pytest.mark.parametrize("mac", [0x000000000001, 0x020000000001, 0xFEFFFFFFFFFF, 0x525400123456])
def test_the_link_local_address_of_a_mac_is_that_of_eui_64(mac: int) -> None:
    """RFC 4291, appendix A."""
    assert link_local(mac) == IPv6Address(f"fe80::{in6_mactoifaceid(mac_text(mac))}")
