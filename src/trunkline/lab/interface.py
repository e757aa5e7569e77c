"""A machine's network interface: frames sent from it and captured on it."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import time
from ctypes import addressof, create_string_buffer
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from trunkline.lab.error import WaitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trunkline.lab.namespace import LinkEnd, Namespace

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_AUXDATA = 8
_PACKET_IGNORE_OUTGOING = 23
_AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata of linux/if_packet.h
_TP_STATUS_VLAN_VALID = 1 << 4
_TP_STATUS_VLAN_TPID_VALID = 1 << 6
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17
_SENTINEL_TO = bytes.fromhex("0180c200000e")  # IEEE 802.1Q table 8-1: no bridge forwards it
_SENTINEL_TYPE = b"\x88\xb5"  # IEEE 802 local experimental EtherType 1


@dataclass(frozen=True)
class Interface:
    """The interface *name* in *namespace*; *peer* is the other end of its veth pair, at a switch."""

    namespace: Namespace
    name: str
    peer: LinkEnd

    def send(self, *frames: bytes) -> None:
        """Send *frames* exactly as they are: whole from the destination MAC on, without FCS.

        Raises OSError if the interface is down or a frame is longer than its MTU allows.
        """
        with _packet_socket(self.namespace, self.name, protocol=0) as sender:
            for frame in frames:
                sender.send(frame)

    def capture(self) -> Capture:
        """Return a capture of what arrives at the interface; it has begun when this returns."""
        return Capture(self.namespace, self.name, self.peer)

    def leave_checksums_to_software(self) -> None:
        """Have the kernel compute checksums: the userspace datapath forwards frames as it gets them."""
        value = create_string_buffer(struct.pack("=II", _ETHTOOL_STXCSUM, 0))
        request = struct.pack("=16sQ16x", self.name.encode(), addressof(value))
        with self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCETHTOOL, request)


class Capture:
    """The frames that arrive at an interface, from construction on; frames that it sends are not captured.

    `frames` waits for a sentinel, which it sends from the far end of the veth pair: all that a switch sent to
    the interface before arrives before it. A tag that the kernel took out of a frame is put back.

    >>> with vm.interface.capture() as capture:       # doctest: +SKIP
    ...     other.interface.send(frame)
    ...     lab.settle()
    ...     assert capture.frames() == [frame]
    """

    def __init__(self, namespace: Namespace, name: str, peer: LinkEnd) -> None:
        self._peer = peer
        self._socket = _packet_socket(namespace, name, _ETH_P_ALL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop capturing."""
        self._socket.close()

    def frames(self, *, chatter: bool = False, timeout_s: float = 5.0) -> list[bytes]:
        """Return the frames that have arrived since the last call, in their order.

        IPv6 multicast and IGMP, which kernels send by themselves (DAD, router solicitations, MLD), are left
        out unless *chatter* is true. Raises WaitError if the sentinel does not arrive.
        """
        token = _SENTINEL_TO + bytes.fromhex("020000000000") + _SENTINEL_TYPE + os.urandom(46)
        with _packet_socket(self._peer.namespace, self._peer.name, protocol=0) as sender:
            sender.send(token)
        found = self.until(lambda frame: frame == token, timeout_s=timeout_s)[:-1]
        return found if chatter else [frame for frame in found if not _is_chatter(frame)]

    def until(self, wanted: Callable[[bytes], bool], *, timeout_s: float = 5.0) -> list[bytes]:
        """Return the frames up to the first one for which *wanted* is true, and that one.

        Raises WaitError if none has come after *timeout_s* seconds.
        """
        found: list[bytes] = []
        deadline = time.monotonic() + timeout_s
        while not found or not wanted(found[-1]):
            ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise WaitError(
                    f"the expected frame did not arrive within {timeout_s:g} s; {len(found)} others did"
                )
            found.append(_frame(self._socket))
        return found


def _packet_socket(namespace: Namespace, name: str, protocol: int) -> socket.socket:
    # Protocol 0 receives nothing, so no frame from before the bind, of any interface, is queued.
    opened = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    opened.bind((name, protocol))
    return opened


def _frame(source: socket.socket) -> bytes:
    frame, ancillary, _, _ = source.recvmsg(65536, socket.CMSG_SPACE(_AUXDATA.size))
    for level, kind, data in ancillary:
        if level == _SOL_PACKET and kind == _PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = _AUXDATA.unpack(data[: _AUXDATA.size])
            if status & _TP_STATUS_VLAN_VALID:
                tpid = tpid if status & _TP_STATUS_VLAN_TPID_VALID else 0x8100
                frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


def _is_chatter(frame: bytes) -> bool:
    """Return whether *frame*, under any tags, is IPv6 multicast or IGMP."""
    at = 12
    while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    if frame[at : at + 2] == b"\x86\xdd":
        return frame[:2] == b"\x33\x33"
    return frame[at : at + 2] == b"\x08\x00" and frame[at + 11 : at + 12] == b"\x02"
