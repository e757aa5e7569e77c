"""Who uses addresses of ports, too, as a probe found when it last asked; kept in the northbound."""

from __future__ import annotations

import json
import time
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.address import mac_text
from trunkline.northbound import body
from trunkline.northbound.body import UnreadableError
from trunkline.probe.record import LASTS_S
from trunkline.probe.row import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row
    from trunkline.probe.addresses import Asked, Wanted

_MOST_DUPLICATES = 60
"""How many are kept for one network; 64 KiB is the limit of a row."""


class Kept(NamedTuple):
    """Somebody used an address of *port* on *chassis*, too, at *found_ms*; *use* as in `Duplicate`."""

    found_ms: int
    use: str
    port: str
    chassis: str
    address: str
    mac: str
    text: str
    remedy: str

    @property
    def age_s(self) -> float:
        """How long ago that was."""
        return max(0.0, time.time() - self.found_ms / 1000)

    @property
    def is_certain(self) -> bool:
        """Whether it is taken to be so still."""
        return self.age_s < LASTS_S

    @property
    def what_to_do(self) -> str:
        """What to do, and how to see that it has helped."""
        return f"{self.remedy}; then ask again: trunkline probe `has_addresses` `ports={quote(self.port)}`"

    def is_of(self, chassis: str | None, addresses: Iterable[object]) -> bool:
        """Return whether the port, now on *chassis* with these *addresses*, still has it there."""
        return self.chassis == chassis and self.address in map(str, addresses)


def keep(nb: Northbound, found: Asked, wanted: Wanted) -> bool:
    """Write who uses addresses of ports, as far as that was *wanted*; return False if that is forbidden.

    What was found before of ports that were not asked for now stays.
    """

    def is_answered(kept: Kept) -> bool:
        is_wanted = kept.port in (wanted.ports or (kept.port,))
        return (
            is_wanted
            and kept.chassis in (wanted.chassis or (kept.chassis,))
            and kept.chassis not in found.unsure
        )

    now_ms = time.time_ns() // 1_000_000
    network_by_key = {network.key: network for network in found.networks}

    def columns(key: int, row: Row | None) -> Mapping[str, str] | None:
        network = network_by_key.get(key)
        if network is None:
            return None
        new = [
            Kept(
                now_ms,
                str(each.use),
                each.port,
                each.chassis,
                str(each.address),
                mac_text(each.mac),
                each.text,
                each.remedy,
            )
            for each in found.duplicates
            if each.network == network
        ]
        again = {(each.port, each.address) for each in new}
        old = () if row is None else kept(row)
        stay = [each for each in old if (each.port, each.address) not in again and not is_answered(each)]
        if not old and not new:
            return None
        return {"duplicates": json.dumps([each._asdict() for each in [*new, *stay][:_MOST_DUPLICATES]])}

    return write(nb, columns)


def kept(row: Row) -> tuple[Kept, ...]:
    """Return who used addresses of ports by *row*; nobody if another program has written something else."""
    try:
        said = body.value(row["duplicates"]) if row["duplicates"] else []
        return tuple(
            Kept(int(each["found_ms"]), *(str(each[name]) for name in Kept._fields[1:])) for each in said
        )
    except (UnreadableError, KeyError, TypeError, ValueError):
        return ()
