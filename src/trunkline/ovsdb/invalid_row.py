"""The rows of the northbound that the schema allows and that are invalid all the same, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from trunkline.core.error import TrunklineError
from trunkline.ovsdb.datum import one
from trunkline.ovsdb.interest import carried
from trunkline.ovsdb.nb_row import PortRow

V = TypeVar("V")


class InvalidRows:
    """The invalid ones of the rows that were given to `value`: *faults* says why, by subject."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        self._subject_by_id: dict[UUID, str] = {}
        self._iface_id_by_id: dict[UUID, str] = {}

    def value(self, row_id: UUID, row: Any, noun: str, convert: Callable[[Any], V]) -> V | None:
        """Return what *convert* makes of *row*, a *noun*; None if it is invalid, and if it is gone (None)."""
        old = self._subject_by_id.pop(row_id, None)
        if old is not None:
            self.faults.pop(old, None)
            self._iface_id_by_id.pop(row_id, None)
        if row is None:
            return None
        try:
            return convert(row)
        except TrunklineError as error:
            self._subject_by_id[row_id] = subject = f"{noun} {one(row, PortRow.name)}"
            self.faults[subject] = str(error)
            found = carried(row) if noun == "port" else None
            if found is not None:
                self._iface_id_by_id[row_id] = found.iface_id
            return None

    @property
    def vifs(self) -> list[str]:
        """The subjects of the VIFs whose ports are invalid."""
        return [f"vif {iface_id}" for iface_id in self._iface_id_by_id.values()]
