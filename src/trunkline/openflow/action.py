"""Actions and instructions as bytes, in the form in which Open vSwitch sends them back.

Layouts: OpenFlow 1.4.0 sections 7.2.4 and 7.2.5; ovs-actions(7) for Open vSwitch's own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from trunkline.core.flow import (
    Action,
    Controller,
    Copy,
    Field,
    Goto,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
)
from trunkline.core.pipeline import Table
from trunkline.openflow import oxm
from trunkline.openflow.error import DecodeError, EncodeError, FlowTooLarge
from trunkline.openflow.oxm import Foreign

_OUTPUT = 0
_PUSH_VLAN = 17
_POP_VLAN = 18
_SET_FIELD = 25
_EXPERIMENTER = 0xFFFF

_GOTO_TABLE = 1
_APPLY_ACTIONS = 4

_VLAN_PRESENT = 0x1000
_TO_CONTROLLER = 0xFFFFFFFD

_output = struct.Struct(">HHIH6x").pack
_unpack_output = struct.Struct(">IH").unpack_from
_apply = struct.Struct(">HH4x").pack
_head = struct.Struct(">HH").pack
_unpack_head = struct.Struct(">HH").unpack_from


def _set_parts(field: Field) -> tuple[bytes, int, bytes]:
    wire = oxm.WIRE[field]
    length = (8 + wire.width + 7) // 8 * 8
    return _head(_SET_FIELD, length) + wire.exact_head, wire.width, bytes(length - 8 - wire.width)


_SET_PARTS = {field: _set_parts(field) for field in Field}

# Open vSwitch matches the 32-bit OXM in_port but refuses to set it. It accepts its own 16-bit field.
_NXM_IN_PORT = struct.pack(">HBB", 0, 0, 2)
_SET_PARTS[Field.IN_PORT] = (_head(_SET_FIELD, 16) + _NXM_IN_PORT, 2, bytes(6))

_TABLES = frozenset(int(table) for table in Table)

_GOTO = {table: struct.pack(">HHB3x", _GOTO_TABLE, 8, table) for table in Table}

# An instruction's length is 16 bits and a multiple of 8.
_MAX_ACTIONS_BYTES = 65528 - 8

_POP_VLAN_BYTES = struct.pack(">HH4x", _POP_VLAN, 8)

_PUSH_VLAN_BYTES = struct.pack(">HHH2x", _PUSH_VLAN, 8, 0x8100)

# NXAST_RESUBMIT_TABLE (ovs-actions(7)) with the packet's own in_port, OFPP_IN_PORT in its 16-bit form.
_RESUBMIT_HEAD = struct.pack(">HHIHH", _EXPERIMENTER, 16, 0x2320, 14, 0xFFF8)

# NXAST_REG_MOVE (ovs-actions(7)); Open vSwitch names the fields by their NXM numbers.
_COPY_HEAD = struct.pack(">HHIH", _EXPERIMENTER, 24, 0x2320, 6)
_copy = struct.Struct(">HHH4s4s").pack
_unpack_copy = struct.Struct(">HHH4s4s").unpack_from

_NXM_HEADS = {
    field: struct.pack(">HBB", 1, number << 1, oxm.WIRE[field].width)
    for field, number in (
        (Field.REG0, 0),
        (Field.REG1, 1),
        (Field.REG2, 2),
        (Field.REG3, 3),
        (Field.REG4, 4),
        (Field.REG5, 5),
        (Field.REG6, 6),
        (Field.REG7, 7),
        (Field.ARP_SHA, 17),
        (Field.ARP_THA, 18),
        (Field.ND_SLL, 24),
        (Field.ND_TLL, 25),
    )
}
"""What the fields that can be copied are called then; ovs-fields(7) has the numbers."""

_NXM_FIELDS = {head: field for field, head in _NXM_HEADS.items()}

COPYABLE = frozenset(_NXM_HEADS)
"""The fields that `Copy` takes from, and the registers among them that it writes."""


def actions_bytes(actions: tuple[Action, ...]) -> bytes:
    """Return *actions* as an OpenFlow action list, in which `Goto`, an instruction, is not allowed.

    Raises `EncodeError` for a `Goto` and for a value that does not fit its field. An `Output` to
    OFPP_CONTROLLER has the same bytes as `Controller(0)`.
    """
    parts = []
    try:
        for action in actions:
            if isinstance(action, Set):
                field, value = action
                head, width, pad = _SET_PARTS[field]
                parts.append(head + value.to_bytes(width, "big") + pad)
            elif isinstance(action, Output):
                parts.append(_output(_OUTPUT, 16, oxm.wire_port(action[0]), 0))
            elif isinstance(action, PopVlan):
                parts.append(_POP_VLAN_BYTES)
            elif isinstance(action, PushVlan):
                head, width, pad = _SET_PARTS[Field.VLAN_VID]
                tag = action[0] | _VLAN_PRESENT
                parts.append(_PUSH_VLAN_BYTES + head + tag.to_bytes(width, "big") + pad)
            elif isinstance(action, Copy):
                parts.append(_copy_bytes(action))
            elif isinstance(action, Controller):
                parts.append(_output(_OUTPUT, 16, _TO_CONTROLLER, action[0]))
            elif isinstance(action, Resubmit):
                parts.append(_RESUBMIT_HEAD + bytes((action[0], 0, 0, 0)))
            else:
                raise EncodeError(f"{action} is not the last action; put it at the end of the flow")
    except (OverflowError, ValueError, struct.error):
        raise EncodeError(f"a value does not fit its field: {actions}; give one that fits") from None
    return b"".join(parts)


def _copy_bytes(action: Copy) -> bytes:
    source, first_bit, destination, bits = action
    if source not in _NXM_HEADS or destination not in _NXM_HEADS:
        raise EncodeError(f"{source.name} or {destination.name} cannot be copied; give it an NXM number")
    return _COPY_HEAD + _copy(bits, first_bit, 0, _NXM_HEADS[source], _NXM_HEADS[destination])


def instructions_bytes(actions: tuple[Action, ...]) -> bytes:
    """Return the instructions for *actions*: apply-actions, then goto-table, each only if it is needed.

    Raises `EncodeError` as `actions_bytes` does, and `FlowTooLarge` if the actions do not fit an instruction.
    """
    goto = b""
    if actions and isinstance(actions[-1], Goto):
        goto = _GOTO[actions[-1][0]]
        actions = actions[:-1]
        if not actions:
            return goto
    elif not actions:
        return b""
    data = actions_bytes(actions)
    if len(data) > _MAX_ACTIONS_BYTES:
        raise FlowTooLarge(f"{len(actions)} actions do not fit one OpenFlow message; split the flow")
    return _apply(_APPLY_ACTIONS, len(data) + 8) + data + goto


def instructions_actions(data: bytes) -> tuple[Action | Foreign, ...]:
    """Return the actions that the instructions *data* apply; the inverse of `instructions_bytes`.

    An action or instruction that Trunkline does not use is `Foreign`. Raises `DecodeError` if a length is
    wrong.
    """
    found: list[Action | Foreign] = []
    for kind, item in _items(data, "instruction"):
        if kind == _APPLY_ACTIONS and len(item) >= 8:
            found += list_actions(item[8:])
        elif kind == _GOTO_TABLE and len(item) == 8 and item[4] in _TABLES:
            found.append(Goto(Table(item[4])))
        else:
            found.append(Foreign("instruction", item))
    return tuple(found)


def list_actions(data: bytes) -> list[Action | Foreign]:
    """Return the actions of the OpenFlow action list *data*; raises `DecodeError` if a length is wrong."""
    found: list[Action | Foreign] = []
    for kind, item in _items(data, "action"):
        action = _action(kind, item)
        match action:
            case Set(Field.VLAN_VID, value) if found and found[-1] == _PUSHED and value & _VLAN_PRESENT:
                found[-1] = PushVlan(value & ~_VLAN_PRESENT)
            case _:
                found.append(action)
    return found


_PUSHED = Foreign("action", _PUSH_VLAN_BYTES)


def _action(kind: int, item: bytes) -> Action | Foreign:
    if kind == _OUTPUT and len(item) == 16:
        wire_port, max_len = _unpack_output(item, 4)
        if wire_port == _TO_CONTROLLER:
            return Controller(max_len)
        port = oxm.ofport(wire_port)
        if port is not None and max_len == 0:
            return Output(port)
    elif kind == _SET_FIELD:
        end = 8 + item[7]
        if item[4:8] == _NXM_IN_PORT and len(item) == 16:
            return Set(Field.IN_PORT, int.from_bytes(item[8:10], "big"))
        field_value = oxm.field_value(item[4:end]) if end <= len(item) else None
        if field_value is not None and field_value[0] is not Field.IN_PORT:
            return Set(*field_value)
    elif kind == _POP_VLAN and len(item) == 8:
        return PopVlan()
    elif item.startswith(_COPY_HEAD) and len(item) == 24:
        bits, first_bit, destination_bit, source, destination = _unpack_copy(item, len(_COPY_HEAD))
        if source in _NXM_FIELDS and destination in _NXM_FIELDS and not destination_bit:
            return Copy(_NXM_FIELDS[source], first_bit, _NXM_FIELDS[destination], bits)
    elif item.startswith(_RESUBMIT_HEAD) and len(item) == 16 and item[12] in _TABLES:
        return Resubmit(Table(item[12]))
    return Foreign("action", item)


def _items(data: bytes, what: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, length = _unpack_head(data, at) if at + 8 <= len(data) else (0, 0)
        if length < 8 or at + length > len(data):
            raise DecodeError(f"{what} at byte {at} of {len(data)} has a wrong length; read the flow again")
        yield kind, data[at : at + length]
        at += length
