"""The names of what flows of other programs do, and no flow of Trunkline: as `ovs-ofctl` has them.

What is in parentheses is whole unless it ends in an ellipsis. Types: OpenFlow 1.4.0, sections 7.2.4 and
7.2.5; those of Open vSwitch: `enum ofp_raw_action_type` in its `ofp-actions.c`.
"""

from __future__ import annotations

import struct

from trunkline.openflow.oxm import Foreign

PORT_NAMES = {
    0xFFF8: "IN_PORT",
    0xFFF9: "TABLE",
    0xFFFA: "NORMAL",
    0xFFFB: "FLOOD",
    0xFFFC: "ALL",
    0xFFFD: "CONTROLLER",
    0xFFFE: "LOCAL",
    0xFFFF: "ANY",
}
"""The names of reserved ports, by their 16-bit numbers (OpenFlow 1.4.0, section 7.2.1)."""

_WITH_NUMBER = {21: "set_queue", 22: "group"}
_BARE = {11: "copy_ttl_out", 12: "copy_ttl_in", 16: "dec_mpls_ttl", 24: "dec_ttl"}
_WITH_MORE = {
    15: "set_mpls_ttl",
    17: "push_vlan",
    19: "push_mpls",
    20: "pop_mpls",
    23: "mod_nw_ttl",
    25: "set_field",
    26: "push_pbb",
    27: "pop_pbb",
}

_NICIRA = bytes.fromhex("ffff"), bytes.fromhex("00002320")
_NICIRA_BARE = {5: "pop_queue", 17: "exit", 43: "ct_clear"}
_NICIRA_WITH_MORE = {
    2: "set_tunnel",
    6: "move",
    7: "load",
    8: "note",
    9: "set_tunnel64",
    10: "multipath",
    12: "bundle",
    13: "bundle_load",
    15: "output_reg",
    19: "fin_timeout",
    20: "controller",
    21: "dec_ttl",
    22: "write_metadata",
    27: "push",
    28: "pop",
    29: "sample",
    32: "output_reg",
    33: "set_field",
    34: "conjunction",
    36: "nat",
    37: "controller",
    38: "sample",
    39: "output_trunc",
    41: "sample",
    42: "clone",
    46: "encap",
    47: "decap",
    48: "dec_nsh_ttl",
    49: "check_pkt_larger",
    50: "delete_field",
}
_RESUBMIT, _RESUBMIT_TABLE, _RESUBMIT_CT, _CT = 1, 14, 44, 35
_LEARN = frozenset({16, 45})

_INSTRUCTIONS_WITH_MORE = {2: "write_metadata", 3: "write_actions"}
_GOTO, _CLEAR, _METER = 1, 5, 6


def words(foreign: Foreign) -> str:
    """Return *foreign*, an action or an instruction, as `ovs-ofctl` spells it, or its bytes if it is unknown.

    >>> words(Foreign("action", bytes.fromhex("0016000800000001")))
    'group:1'
    >>> words(Foreign("instruction", bytes.fromhex("0002001800000000")))
    'write_metadata(…)'
    """
    try:
        found = {"action": _action, "instruction": _instruction}.get(foreign.kind, _unknown)(foreign.data)
    except (struct.error, IndexError):
        # It is shorter than any of its type.
        found = None
    return found or f"{foreign.kind}(0x{foreign.data.hex()})"


def _unknown(_: bytes) -> None:
    return None


def _instruction(data: bytes) -> str | None:
    kind = int.from_bytes(data[:2])
    if kind == _GOTO:
        return f"goto_table:{data[4]}"
    if kind == _CLEAR:
        return "clear_actions"
    if kind == _METER:
        return f"meter:{_number(data, 4)}"
    return _with_more(_INSTRUCTIONS_WITH_MORE, kind)


def _action(data: bytes) -> str | None:
    if (data[:2], data[4:8]) == _NICIRA:
        return _nicira(data, int.from_bytes(data[8:10]))
    kind = int.from_bytes(data[:2])
    if kind in _WITH_NUMBER:
        return f"{_WITH_NUMBER[kind]}:{_number(data, 4)}"
    return _BARE.get(kind) or _with_more(_WITH_MORE, kind)


def _nicira(data: bytes, kind: int) -> str | None:
    """Return the name of an action of Open vSwitch; layouts: ovs-actions(7) and `ofp-actions.c`."""
    if kind in (_RESUBMIT, _RESUBMIT_TABLE, _RESUBMIT_CT):
        (port,) = struct.unpack_from(">H", data, 10)
        place = "" if port == 0xFFF8 else PORT_NAMES.get(port, str(port))
        if kind == _RESUBMIT:
            return f"resubmit:{place or PORT_NAMES[port]}"
        return f"resubmit({place},{data[12]}{',ct' if kind == _RESUBMIT_CT else ''})"
    if kind in _LEARN:
        return f"learn(table={data[26]},…)"
    if kind == _CT:
        return _connection(data)
    return _NICIRA_BARE.get(kind) or _with_more(_NICIRA_WITH_MORE, kind)


def _connection(data: bytes) -> str:
    """Return a `ct` with the actions in it, and a zone from a field, as an ellipsis."""
    flags, zone_field, zone, table = struct.unpack_from(">HIHB", data, 10)
    parts = [word for bit, word in ((1, "commit"), (2, "force")) if flags & bit]
    parts += [f"table={table}"] if table != 0xFF else []
    parts += [f"zone={zone}"] if zone and not zone_field else []
    parts += ["…"] if zone_field or any(data[22:]) else []
    return f"ct({','.join(parts)})" if parts else "ct"


def _with_more(names: dict[int, str], kind: int) -> str | None:
    return f"{names[kind]}(…)" if kind in names else None


def _number(data: bytes, at: int) -> int:
    (found,) = struct.unpack_from(">I", data, at)
    return int(found)
