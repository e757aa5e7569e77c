"""The agent's own row of the northbound: what it says of the chassis, and what a report changes in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from trunkline.ovsdb.claim import Claims
from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.nb_row import ChassisRow
from trunkline.ovsdb.report import Report

_ONE = (
    *(ChassisRow.host, ChassisRow.hostname, ChassisRow.version, ChassisRow.integration_bridge),
    *(ChassisRow.datapath_type, ChassisRow.nb_cfg, ChassisRow.nb_cfg_heard),
)
_PAIRS = (ChassisRow.bridge_mappings, ChassisRow.faults)
_EVERY = (ChassisRow.iface_types, ChassisRow.ready_ports)


class OwnRow(NamedTuple):
    """What *row*, the `Chassis` row of this chassis, says: *said* of the chassis, by column; *claims* to it.

    It is read once each time that the row changes, because every turn of the loop asks for it.
    """

    row: ChassisRow
    said: Mapping[str, Any]
    claims: Claims

    @classmethod
    def of(cls, row: ChassisRow) -> OwnRow:
        """Return what *row* says now."""
        said: dict[str, Any] = {column: one(row, column) for column in _ONE}
        said |= {column: pairs(row, column) for column in _PAIRS}
        said |= {column: every(row, column) for column in _EVERY}
        return cls(row, said, Claims(pairs(row, ChassisRow.claims), every(row, ChassisRow.denied)))


def differing(own: OwnRow | None, host: str, report: Report) -> dict[str, Any]:
    """Return what the row has to say by *report* and of *host*, by column, if it says something else now."""
    said: Mapping[str, Any] = {} if own is None else own.said
    wanted = {"host": host} | vars(report)
    return {
        column: value
        for column, value in wanted.items()
        if value is not None and (column not in said or said[column] != value)
    }
