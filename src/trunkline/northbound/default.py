"""Defaults: the value that an empty column of the northbound stands for, if it stands for one."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.northbound.operation import Row

DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Network": {"unknown_unicast": "forward", "remote_ports": "explicit"},
        "Port": {"enabled": True, "port_security": True, "up": False},
        "Chassis": {},
    }
)
"""The value by which agents read an empty column, by table and column; other empty columns have no value."""


def effective(table: str, row: Row) -> Row:
    """Return *row* of *table*, all of it or some columns, with defaults in place of empty values.

    >>> effective("Port", {"name": "vm1", "enabled": None, "parent": None})
    {'name': 'vm1', 'enabled': True, 'parent': None}
    """
    defaults = DEFAULTS[table]
    return {column: defaults.get(column) if value is None else value for column, value in row.items()}
