"""The frames of a probe: what a chassis sends to find out what the physical network carries.

A frame names its sender by a number that only the members of the session can read, says in which network
it was sent, and ends with a code that only they can make. Layout after the EtherType, numbers big-endian: the
header of a RARP packet (28 bytes), `_MAGIC` (4), session (8), kind (1), round (1), size (2), sender (4),
network key (4), and the first 16 bytes of the HMAC-SHA256 (RFC 2104) of the frame's two MACs and of all that
from `_MAGIC` on: nobody else can send it from another MAC, or to one. Zeros follow, up to the frame's length.

The header is for switches: it has the fields by which `FRAMES` tells these frames from all others, whatever
MAC they go to. No flow could see what follows an EtherType that Open vSwitch does not parse.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from enum import IntEnum
from typing import NamedTuple

from trunkline.core.field import Field, Term
from trunkline.core.frame import ETH_IPV4, ETH_RARP, RARP

GROUP = 0x03_74_6C_70_72_62
"""The group MAC to which beacons go: a locally administered one. No switch has a table of its members."""

_EXPERIMENT = 24
"""The ARP operation OP_EXP1, which is left to experiments (RFC 5494)."""

_TARGET = 0xF4_74_6C_70
"""The address that a frame is about: of a range in which nobody has one (RFC 1112 section 4)."""

FRAMES: tuple[Term, ...] = (RARP, Field.ARP_OP(_EXPERIMENT), Field.ARP_TPA(_TARGET))
"""What matches the frames of probes, and no others."""

SESSION_BYTES = 8
KEY_BYTES = 16

_header = struct.Struct(">HHBBH6sI6sI")
_SENDER = 0xC0_00_02_01
"""An address for documentation (RFC 5737), which nobody has. A bridge that suppresses ARP would keep back a
frame from 0.0.0.0, or one that is about its own sender."""

_MAGIC = b"tlp1"
_payload = struct.Struct(">4s8sBBHII")
_HMAC_BYTES = 16
_TAGS = (0x8100, 0x88A8)
_MACS_BYTES = 12

LEAST_SIZE = _header.size + _payload.size + _HMAC_BYTES
"""The least size of a packet, as an MTU counts it: 68 bytes, also the least MTU of IPv4 (RFC 791)."""


class Kind(IntEnum):
    """What a frame is for.

    A BEACON goes to all, and each chassis that hears it sends an ANSWER to its sender alone. SIZED is a frame
    of a certain size to one chassis, which says by SIZE_HEARD that it has come.
    """

    BEACON = 1
    ANSWER = 2
    SIZED = 3
    SIZE_HEARD = 4


class Probe(NamedTuple):
    """What a frame says: *sender* has sent it in the network with *network_key*, in one *round* of a session.

    *size* is that of the packet, as an MTU counts it, of `SIZED` and `SIZE_HEARD`; else 0.
    """

    kind: Kind
    round: int
    size: int
    sender: int
    network_key: int


class Arrival(NamedTuple):
    """A frame of the session: what it says, the MAC that sent it, and its tag (None: untagged)."""

    probe: Probe
    source: int
    vlan_id: int | None


class Secret(NamedTuple):
    """What the members of a session share: its random *id*, and the random *key* of its frames."""

    id: bytes
    key: bytes


def member_id(secret: Secret, chassis: str) -> int:
    """Return the number by which frames of the session name *chassis*; nobody else can tell whose it is."""
    return int.from_bytes(hmac.digest(secret.key, b"member" + chassis.encode(), "sha256")[:4])


def frame(secret: Secret, probe: Probe, source: int, destination: int) -> bytes:
    """Return the untagged frame that says *probe*; of kind SIZED, its packet has `probe.size` bytes."""
    head = _payload.pack(_MAGIC, secret.id, *probe)
    macs = destination.to_bytes(6, "big") + source.to_bytes(6, "big")
    packet = _rarp(source) + head + _code(secret, macs, head)
    length = probe.size if probe.kind is Kind.SIZED else 0
    return macs + ETH_RARP.to_bytes(2, "big") + packet.ljust(length, b"\0")


def _code(secret: Secret, macs: bytes, head: bytes) -> bytes:
    return hmac.digest(secret.key, macs + head, "sha256")[:_HMAC_BYTES]


def _rarp(source: int) -> bytes:
    """Return the header of a RARP packet that is as `FRAMES` says."""
    sender = source.to_bytes(6, "big"), _SENDER
    return _header.pack(1, ETH_IPV4, 6, 4, _EXPERIMENT, *sender, bytes(6), _TARGET)


def arrival(secret: Secret, data: bytes) -> Arrival | None:
    """Return what the frame *data* says; None if it is not of this session, or was not made by a member.

    >>> secret = Secret(bytes(8), b"key")
    >>> said = Probe(Kind.BEACON, 1, 0, 7, 42)
    >>> arrival(secret, frame(secret, said, 0x020000000001, GROUP)).probe == said
    True
    >>> arrival(Secret(bytes(8), b"other"), frame(secret, said, 0x020000000001, GROUP)) is None
    True
    """
    at, vlan_id = _MACS_BYTES, None
    if int.from_bytes(data[at : at + 2]) in _TAGS:
        # A priority tag is no tag.
        vlan_id = int.from_bytes(data[at + 2 : at + 4]) & 0xFFF or None
        at += 4
    source, packet = int.from_bytes(data[6:_MACS_BYTES]), data[at + 2 :]
    if int.from_bytes(data[at : at + 2]) != ETH_RARP or len(packet) < LEAST_SIZE:
        return None
    header, said = packet[: _header.size], packet[_header.size : LEAST_SIZE]
    if header != _rarp(source):
        return None
    head, code = said[: _payload.size], said[_payload.size :]
    magic, id_, kind, *rest = _payload.unpack(head)
    if (magic, id_) != (_MAGIC, secret.id) or kind not in Kind.__members__.values():
        return None
    if not hmac.compare_digest(code, _code(secret, data[:_MACS_BYTES], head)):
        return None
    round_, size, sender, network_key = rest
    if kind == Kind.SIZED and len(packet) != max(LEAST_SIZE, size):
        return None
    return Arrival(Probe(Kind(kind), round_, size, sender, network_key), source, vlan_id)


def chassis_mac(chassis: str) -> int:
    """Return the MAC by which *chassis* sends if no port of its own is there: always the same one."""
    return 0x02 << 40 | int.from_bytes(hashlib.sha256(chassis.encode()).digest()[:5])
