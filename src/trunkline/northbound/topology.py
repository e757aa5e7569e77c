"""The topology: the physical networks, their networks, and the chassis that have ports of these."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from trunkline.core.name import natural
from trunkline.northbound.liveness import state
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import only_global

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.liveness import Asked, Unasked

GONE = "not registered"
"""The state of a chassis that ports name, and that has no row."""


def topology(nb: Northbound, asked: Asked | Unasked | None = None) -> dict[str, Any]:
    """Return the topology, all of the same moment; *asked* is the request that chassis were asked by.

    `physical_networks`, each with its `networks`, each with its `chassis`: how many enabled `ports` of the
    network are held there, or requested if no chassis holds them, and how many of these are `up`. `unbound`
    ports of a network are neither. `chassis` has each one's `state`, its `faults`, and the physical networks
    that it maps (`mapped`). Names are in natural order.

    Raises:
        RefusedError: the database has no `NB_Global` row, or several.
    """
    global_rows, chassis, networks, ports = nb.read(
        select("NB_Global"),
        select("Chassis"),
        select("Network"),
        # With the name: a select answers equal rows once (ovsdb-server's "distinct" rows).
        select("Port", only=("name", "network", "chassis", "requested_chassis", "up", "enabled")),
    )
    latest = only_global(global_rows)["nb_cfg"]
    ports_by_place: Counter[tuple[str, str]] = Counter()
    up_by_place: Counter[tuple[str, str]] = Counter()
    unbound: Counter[str] = Counter()
    for port in ports:
        if port["enabled"] is False:
            continue
        name = port["chassis"] or port["requested_chassis"]
        if not name:
            unbound[port["network"]] += 1
            continue
        ports_by_place[port["network"], name] += 1
        up_by_place[port["network"], name] += bool(port["up"])
    chassis_by_network: dict[str, list[str]] = defaultdict(list)
    for network, name in ports_by_place:
        chassis_by_network[network].append(name)
    found: dict[str, list[dict[str, Any]]] = {
        physnet: [] for row in chassis for physnet in row["bridge_mappings"]
    }
    for row in networks:
        id_ = row["_uuid"]
        found.setdefault(row["physical_network"], []).append(
            {
                "name": row["name"],
                "segmentation_id": row["segmentation_id"],
                "unbound": unbound[id_],
                "chassis": [
                    {"name": name, "ports": ports_by_place[id_, name], "up": up_by_place[id_, name]}
                    for name in sorted(chassis_by_network[id_], key=natural)
                ],
            }
        )
    return {
        "physical_networks": [
            {"name": name, "networks": _by_name(found[name])} for name in sorted(found, key=natural)
        ],
        "chassis": _by_name(
            [
                *(
                    {
                        "name": row["name"],
                        "state": state(row, latest, asked),
                        "mapped": sorted(row["bridge_mappings"], key=natural),
                        "faults": dict(sorted(row["faults"].items())),
                    }
                    for row in chassis
                ),
                *(
                    {"name": name, "state": GONE, "mapped": [], "faults": {}}
                    for name in {name for _, name in ports_by_place} - {row["name"] for row in chassis}
                ),
            ]
        ),
    }


def _by_name(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted(map(dict, rows), key=lambda row: natural(row["name"]))
