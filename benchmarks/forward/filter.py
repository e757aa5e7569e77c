"""What the kernel does to frames at a station's interface, by a few instructions of BPF.

A station behind the provider bridge speaks on a VLAN without a VLAN device, which not every kernel has, and
without a second switch, which would blur what the first one costs. Frames of a generator are counted and
thrown away on arrival, so that no station spends time on them. Sources: linux/bpf.h, linux/pkt_cls.h,
rtnetlink(7).
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct

from process import BenchError

from trunkline.lab.namespace import LinkEnd

DISCARD_TTL = 7
"""Frames with this IPv4 time to live, which no kernel chooses, end at the interface that gets them."""

_SYSCALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _PROG_TYPE_SCHED_CLS = 5, 3
_OK, _SHOT = 0, 2  # TC_ACT_OK, TC_ACT_SHOT
_VLAN_PUSH, _VLAN_POP = 18, 19
_TTL_AT = 14 + 8
_INGRESS, _EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
_RTM_NEWTFILTER, _REQUEST_ACK_CREATE = 44, 0x405
_ETH_P_ALL = 3


def discard(end: LinkEnd) -> None:
    """Throw away what arrives at *end* with `DISCARD_TTL`."""
    _attach(end, _INGRESS, _discarding(_answer(_OK)))


def discard_and_tag(end: LinkEnd, vlan_id: int) -> None:
    """Likewise, and take the tag of all else that arrives off; what the kernel sends by *end* gets *vlan_id*.

    What a packet socket sends past the queueing discipline goes as it is.
    """
    _attach(end, _INGRESS, _discarding(_call(_VLAN_POP)))
    tag = _set(2, socket.htons(0x8100)) + _set(3, vlan_id)
    _attach(end, _EGRESS, _instruction(0xBF, registers=0x16) + tag + _call(_VLAN_PUSH, keep=False))


def _instruction(operation: int, registers: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", operation, registers, offset, value)


def _set(register: int, value: int) -> bytes:
    return _instruction(0xB7, register, value=value)


def _answer(action: int) -> bytes:
    return _set(0, action) + _instruction(0x95)


def _call(number: int, *, keep: bool = True) -> bytes:
    """Return a call of the helper *number* for the packet, which register 6 holds (with *keep*), and OK."""
    packet = _instruction(0xBF, registers=0x61) if keep else b""
    return packet + _instruction(0x85, value=number) + _answer(_OK)


def _discarding(then: bytes) -> bytes:
    load_ttl = _instruction(0xBF, registers=0x16) + _instruction(0x30, value=_TTL_AT)
    return load_ttl + _instruction(0x55, offset=2, value=DISCARD_TTL) + _answer(_SHOT) + then


def _program(code: bytes) -> int:
    """Return a file descriptor of the program *code*; raises `BenchError` if the kernel refuses it."""
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise BenchError(f"no number known for bpf(2) on {platform.machine()}")
    held, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"Apache-2.0")
    said = ctypes.create_string_buffer(1 << 16)
    attributes = struct.pack(
        "=IIQQIIQ",
        _PROG_TYPE_SCHED_CLS,
        len(code) // 8,
        ctypes.addressof(held),
        ctypes.addressof(licence),
        1,
        len(said),
        ctypes.addressof(said),
    ).ljust(128, b"\0")
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = int(
        library.syscall(
            number, _PROG_LOAD, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes)
        )
    )
    if descriptor < 0:
        raise BenchError(f"bpf: {os.strerror(ctypes.get_errno())}: {said.value.decode()[-300:]}")
    return descriptor


def _attach(end: LinkEnd, parent: int, code: bytes) -> None:
    """Run *code* on the frames of *end* in the direction *parent* of its `clsact` queueing discipline."""
    program = _program(code)
    try:
        with end.namespace.entered():
            index = socket.if_nametoindex(end.name)
        options = _attribute(6, struct.pack("=I", program)) + _attribute(7, b"bench\0")
        options += _attribute(8, struct.pack("=I", 1))  # TCA_BPF_FLAG_ACT_DIRECT
        message = struct.pack("=BxHiIII", 0, 0, index, 0, parent, 1 << 16 | socket.htons(_ETH_P_ALL))
        message += _attribute(1, b"bpf\0") + _attribute(2, options)
        header = struct.pack("=IHHII", 16 + len(message), _RTM_NEWTFILTER, _REQUEST_ACK_CREATE, 1, 0)
        with end.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as route:
            route.send(header + message)
            refused = -struct.unpack_from("=i", route.recv(65536), 16)[0]
        if refused:
            raise BenchError(f"tc filter at {end.name}: {os.strerror(refused)}")
    finally:
        os.close(program)


def _attribute(kind: int, value: bytes) -> bytes:
    return (struct.pack("=HH", 4 + len(value), kind) + value).ljust(4 + (len(value) + 3) // 4 * 4, b"\0")
