"""The length of a frame, as the MTUs of the interfaces that it passes count it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.path.sample import tags

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER_BYTES, _TAG_BYTES = 14, 4


def fault(interface: str, mtu: int | None, frame: bytes, vlans: Sequence[int]) -> str | None:
    """Return why *interface* does not pass *frame*, which has the tags *vlans* there; None if it does.

    An MTU counts neither the Ethernet header nor a first tag (IEEE 802.3 clause 3.2.7). A NIC refuses what is
    longer whether it sends or receives.

    >>> fault("eth1", 1500, bytes(1515), [101])
    'a packet of 1501 bytes is longer than the MTU of eth1, 1500; run: ip link set eth1 mtu 1501'
    >>> fault("eth1", 1500, bytes(1514), [101]), fault("eth1", None, bytes(9014), [])
    (None, None)
    """
    packet = len(frame) - _HEADER_BYTES - _TAG_BYTES * len(tags(frame)) + _TAG_BYTES * len(vlans[1:])
    if mtu is None or packet <= mtu:
        return None
    return (
        f"a packet of {packet} bytes is longer than the MTU of {interface}, {mtu}; "
        f"run: ip link set {interface} mtu {packet}"
    )
