"""The northbound summed up: which chassis answer, which ports are up, and what cannot be honoured."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from trunkline.northbound.operation import select
from trunkline.northbound.refusal import only_global
from trunkline.northbound.sync import is_silent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.northbound.client import Northbound


def overview(nb: Northbound) -> dict[str, Any]:
    """Return counts and states, all as of one moment.

    `nb_cfg`; `chassis`, each with its `state` (current, behind, silent, no switch or disobeys), `ports` and
    number of `faults`; `networks`, each with `wire` (physical network and VLAN id), `ports` and how many are
    `up`; `ports`, the totals; `faults`, each with `chassis`, `subject` and `reason`. All by name.

    Raises:
        RefusedError: the database has no `NB_Global` row, or several.
    """
    global_rows, chassis, networks, ports = nb.read(
        select("NB_Global"),
        select("Chassis"),
        select("Network"),
        # With the name: a select answers equal rows once (ovsdb-server's "distinct" rows).
        select("Port", only=("name", "network", "chassis", "up", "enabled")),
    )
    latest = only_global(global_rows)
    held = Counter(port["chassis"] for port in ports if port["up"])
    inside = Counter(port["network"] for port in ports)
    inside_up = Counter(port["network"] for port in ports if port["up"])
    disabled = sum(port["enabled"] is False for port in ports)
    up = held.total()
    return {
        "nb_cfg": latest["nb_cfg"],
        "chassis": [
            {
                "name": row["name"],
                "state": _state(row, latest),
                "nb_cfg": row["nb_cfg"],
                "ports": held[row["name"]],
                "faults": len(row["faults"]),
            }
            for row in sorted(chassis, key=_name)
        ],
        "networks": [
            {
                "name": row["name"],
                "wire": _wire(row),
                "ports": inside[row["_uuid"]],
                "up": inside_up[row["_uuid"]],
            }
            for row in sorted(networks, key=_name)
        ],
        "ports": {"total": len(ports), "up": up, "down": len(ports) - up - disabled, "disabled": disabled},
        "faults": [
            {"chassis": row["name"], "subject": subject, "reason": reason}
            for row in sorted(chassis, key=_name)
            for subject, reason in row["faults"].items()
        ],
    }


def _name(row: Mapping[str, Any]) -> str:
    return str(row["name"])


NO_SWITCH = frozenset({"switch", "switch connection"})
"""The subjects of faults that say that the chassis does not forward, or is not known to."""


OTHER_NORTHBOUND = "northbound"
"""The subject of the fault of a chassis that obeys another northbound than the one that it reports to."""


def _state(chassis: Mapping[str, Any], latest: Mapping[str, Any]) -> str:
    if not is_silent(chassis):
        if OTHER_NORTHBOUND in chassis["faults"]:
            return "disobeys"
        if not NO_SWITCH.isdisjoint(chassis["faults"]):
            return "no switch"
    # More than the latest is no answer either: it is left from another `NB_Global` row.
    if chassis["nb_cfg"] == latest["nb_cfg"]:
        return "current"
    return "silent" if is_silent(chassis) else "behind"


def _wire(network: Mapping[str, Any]) -> str:
    tag = network["segmentation_id"]
    return f"{network['physical_network']}, {'untagged' if tag is None else f'VLAN {tag}'}"
