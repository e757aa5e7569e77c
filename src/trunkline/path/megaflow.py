"""Megaflows: what the datapath has cached (`dpctl/dump-flows`), compared with what the flows do.

The datapath does the same with all frames that a megaflow matches. So these frames are followed through the
flows, and each has to leave just there. What a provider bridge does is its own affair: it may keep a frame.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from trunkline.core.field import Field
from trunkline.path.translation import Output, outputs, parts
from trunkline.proof.example import example
from trunkline.proof.space import ALL, PRESENT, READ_TAGS, TAGGED, UNTAGGED, Cube, both, cube, open_holes
from trunkline.proof.switch import LOCAL, Rule
from trunkline.proof.table import Table, tables
from trunkline.proof.way import Way, ways

_OWN = -1
"""The tag that a frame came with, whatever its VLAN id is."""

_FIELDS = {
    "eth": {"src": Field.ETH_SRC, "dst": Field.ETH_DST},
    "vlan": {"vid": Field.VLAN_VID},
    "arp": {
        "sip": Field.ARP_SPA,
        "tip": Field.ARP_TPA,
        "op": Field.ARP_OP,
        "sha": Field.ARP_SHA,
        "tha": Field.ARP_THA,
    },
    "ipv4": {"src": Field.IPV4_SRC, "dst": Field.IPV4_DST, "proto": Field.IP_PROTO, "frag": Field.IP_FRAG},
    "ipv6": {"src": Field.IPV6_SRC, "dst": Field.IPV6_DST, "proto": Field.IP_PROTO, "frag": Field.IP_FRAG},
    "udp": {"src": Field.UDP_SRC, "dst": Field.UDP_DST},
    "tcp": {"src": Field.TCP_SRC, "dst": Field.TCP_DST},
    "icmpv6": {"type": Field.ICMPV6_TYPE, "code": Field.ICMPV6_CODE},
    "nd": {"target": Field.ND_TARGET, "sll": Field.ND_SLL, "tll": Field.ND_TLL},
}
_NOT_FOLLOWED = frozenset(
    {
        "recirc_id",
        "in_port",
        "packet_type",
        "skb_priority",
        "skb_mark",
        "dp_hash",
        "icmp",
        "sctp",
        "tcp_flags",
    }
    | {"ct_state", "ct_zone", "ct_mark", "ct_label"}
)
"""What no flow of Trunkline looks at."""

_FRAGMENTS = {"no": 0, "first": 1, "later": 3}
_CALL = re.compile(r"([a-z_0-9]+)\((.*)\)", re.DOTALL)
_BRIDGE = re.compile(r"  (\S+):")
_PORT = re.compile(r"    (\S+) (\d+)/\S+: ")
_ELSEWHERE = ("recirc(", "userspace(")
"""Actions after which somebody else decides: another megaflow, or ovs-vswitchd by its flows."""


class Megaflow(NamedTuple):
    """The frames that come by *device* and are done with alike: *sent*, with the tags that they have then.

    They are those of all cubes of *frames*.
    """

    text: str
    device: str
    frames: tuple[Cube, ...]
    is_tagged: bool
    sent: tuple[Output, ...]


class Unlike(NamedTuple):
    """A *megaflow* that does with *frame* what no flow does, which leaves it by *wanted*."""

    megaflow: Megaflow
    frame: bytes
    wanted: tuple[Output, ...]


class Place(NamedTuple):
    """Where a device is: the *bridge* that it is a port of, and its number there."""

    bridge: str
    ofport: int


def places(text: str) -> dict[str, Place]:
    """Return where the devices are, by what `dpif/show` says.

    >>> places("dummy@ovs-dummy: hit:0 missed:0\\n  br-int:\\n    tap1 4/5: (dummy)")
    {'tap1': Place(bridge='br-int', ofport=4)}
    """
    found, bridge = {}, ""
    for line in text.splitlines():
        if head := _BRIDGE.fullmatch(line):
            bridge = head[1]
        elif port := _PORT.match(line):
            found[port[1]] = Place(bridge, int(port[2]))
    return found


def megaflow(line: str) -> Megaflow | None:
    """Return the megaflow in *line* of the list; None if it cannot be said what it does by itself.

    >>> megaflow("recirc_id(0),in_port(a),eth_type(0x88b5), packets:0, bytes:0, used:never, actions:b").sent
    (Output(device='b', vlan_ids=()),)
    """
    head, _, actions = line.partition(", actions:")
    items = dict(map(_call, parts(head.partition(", packets:")[0])))
    if items.get("recirc_id", "0") not in ("0", "0x0") or any(each in actions for each in _ELSEWHERE):
        return None
    is_tagged = "vlan" in items
    beginnings: tuple[Cube, ...] = (TAGGED,) if is_tagged else (UNTAGGED,)
    if is_tagged:
        items.pop("eth_type", None)
        inside = dict(map(_call, parts(items.pop("encap", ""))))
        if "vlan" in inside:
            beginnings = _with_two_tags(inside.get("eth_type", ""))
        else:
            items |= inside
    frames = tuple(filter(None, (_frames(items, each) for each in beginnings)))
    if not frames or "in_port" not in items:
        return None
    sent = tuple(outputs(actions.partition(", dp-extra-info")[0], (_OWN,) if is_tagged else ()))
    return Megaflow(line, items["in_port"], frames, is_tagged, sent)


def _with_two_tags(inner: str) -> tuple[Cube, ...]:
    """Return the frames with a tag behind the first one, of the type *inner*, or of either if that is 0.

    The kernel reads two tags. Flows see the second one as a type of Ethernet alone, since `vlan-limit` is 1.
    """
    wanted = _one(Field.ETH_TYPE, inner)
    if wanted is None:
        return ()
    return tuple(both(TAGGED, tag) for tag in READ_TAGS if wanted.value in (0, tag.value))


def _frames(items: Mapping[str, str], beginning: Cube) -> Cube | None:
    """Return those frames of *beginning* that a match has, None if a part of it is not understood."""
    frames: Cube | None = beginning
    for name, words in items.items():
        met = _matched(name, words)
        frames = None if met is None or frames is None else frames.meet(met)
    return frames


def _call(words: str) -> tuple[str, str]:
    found = _CALL.fullmatch(words)
    return (words, "") if found is None else (found[1], found[2])


def _matched(name: str, words: str) -> Cube | None:
    """Return the frames that a part of a match has, None if it is not understood."""
    if name in _NOT_FOLLOWED or not name:
        return ALL
    if name == "eth_type":
        return _one(Field.ETH_TYPE, words)
    if name not in _FIELDS:
        return None
    found: Cube | None = ALL
    for each in parts(words):
        key, _, value = each.partition("=")
        field = _FIELDS[name].get(key)
        met = ALL if field is None else _one(field, value)
        found = None if found is None or met is None else found.meet(met)
    return found


def _one(field: Field, words: str) -> Cube | None:
    value, _, mask = words.partition("/")
    try:
        full = (1 << (12 if field is Field.VLAN_VID else field.bits)) - 1
        return cube(field, _number(value), _mask(value, mask, full) if mask else full)
    except ValueError:
        return None


def _number(words: str) -> int:
    if words in _FRAGMENTS:
        return _FRAGMENTS[words]
    if words.count(":") == 5 and "::" not in words:
        return int(words.replace(":", ""), 16)
    return int(ip_address(words)) if ":" in words or "." in words else int(words, 0)


def _mask(value: str, mask: str, full: int) -> int:
    is_prefix = mask.isdecimal() and (":" in value or "." in value)
    return full & ~(full >> int(mask)) if is_prefix else _number(mask)


class Comparison:
    """Compares megaflows with *rules*, the flows of *bridge*; *uplinks* are ofports by provider bridge."""

    def __init__(
        self, rules: Sequence[Rule], bridge: str, uplinks: Mapping[str, int], where: Mapping[str, Place]
    ) -> None:
        self._tables: Mapping[int, Table] = tables(rules)
        self._bridge = bridge
        self._uplinks = uplinks
        self._where = where
        self._bridge_by_ofport = {ofport: name for name, ofport in uplinks.items()}
        self._device_by_ofport = {
            place.ofport: device for device, place in where.items() if place.bridge == bridge
        }

    def unlike(self, each: Megaflow) -> Unlike | None:
        """Return what *each* does that no flow does, None if it does what they do."""
        place = self._where.get(each.device)
        if place is None:
            return None
        is_from_wire = place.bridge in self._uplinks
        if not is_from_wire and place.bridge != self._bridge:
            return None
        in_port = self._uplinks[place.bridge] if is_from_wire else place.ofport
        own_bridge = place.bridge if is_from_wire else None
        sent = Counter(self._ends(each.sent, own_bridge))
        for way in self._ways(each, in_port):
            wanted = tuple(self._leaving(way, in_port))
            if _agree(sent, Counter(wanted), self._uplinks, may_keep=is_from_wire):
                continue
            if way.space.frame() is not None:
                return Unlike(each, example(way.space, each.is_tagged, (), ()), wanted)
        return None

    def _ways(self, each: Megaflow, in_port: int) -> Iterator[Way]:
        for frames in each.frames:
            holes = open_holes(frames, () if each.is_tagged else READ_TAGS)
            if holes is None:
                continue
            start = Way(frames, holes, {Field.IN_PORT: in_port}, (None,) if each.is_tagged else ())
            for _, way in ways(self._tables, 0, start):
                # Whether frames match a flow that looks at another field is not known.
                if all(rule.is_sure for rule in way.rules) and not way.is_told:
                    yield way

    def _ends(self, sent: Sequence[Output], own_bridge: str | None) -> Iterator[Output]:
        """Yield where frames are *sent*: a device of the bridge, or which provider bridge."""
        for device, vlan_ids in sent:
            bridge = self._where[device].bridge if device in self._where else None
            if bridge == self._bridge:
                yield Output(device, vlan_ids)
            elif bridge in self._uplinks and bridge is not None and bridge != own_bridge:
                yield Output(bridge, vlan_ids)

    def _leaving(self, way: Way, in_port: int) -> Iterator[Output]:
        for copy in way.copies:
            vlan_ids = tuple(_OWN if tag is None else tag & ~PRESENT for tag in copy.tags)
            ofport = copy.ofport
            device = self._bridge_by_ofport.get(ofport) or self._device_by_ofport.get(ofport)
            if ofport == LOCAL:
                device = self._bridge
            # What is sent to a number that no port has goes nowhere.
            if ofport != in_port and device is not None:
                yield Output(device, vlan_ids)


def _agree(
    sent: Counter[Output], wanted: Counter[Output], uplinks: Mapping[str, int], *, may_keep: bool
) -> bool:
    """Return whether frames are *sent* as *wanted*; provider bridges may keep them."""
    for end in sent.keys() | wanted.keys():
        if end.device in uplinks:
            if not wanted[end]:
                return False
        elif sent[end] > wanted[end] or (sent[end] < wanted[end] and not may_keep):
            return False
    return True


def compared(lines: Sequence[str], comparison: Comparison) -> tuple[list[Unlike], int]:
    """Return which megaflows of *lines* do what no flow does, and how many could not be compared."""
    found, passed_over = [], 0
    for line in lines:
        each = megaflow(line)
        if each is None:
            passed_over += 1
            continue
        unlike = comparison.unlike(each)
        if unlike is not None:
            found.append(unlike)
    return found, passed_over
