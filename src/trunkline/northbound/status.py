"""A summary of the northbound: which chassis answer, which ports are up, and which faults there are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from trunkline.core.name import natural
from trunkline.northbound.liveness import answer_age_s, state
from trunkline.northbound.operation import select
from trunkline.northbound.refusal import no_such, only_global

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.liveness import Asked, Unasked
    from trunkline.northbound.operation import Row


def overview(nb: Northbound, asked: Asked | Unasked | None = None) -> dict[str, Any]:
    """Return counts and states, all of the same moment; *asked* is the request that chassis were asked by.

    `nb_cfg`; `chassis`, each with its `state` (`trunkline.northbound.liveness`), `answer_age_s`, `ports` and
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
                **_liveness(row, latest["nb_cfg"], asked),
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


def all_chassis(nb: Northbound, asked: Asked | Unasked | None = None) -> list[Row]:
    """Return the rows of all chassis, by name, each with the `state` and `answer_age_s` of `overview`.

    Raises:
        RefusedError: the database has no `NB_Global` row, or several.
    """
    # With the UUID: a select answers equal rows once.
    global_rows, rows = nb.read(select("NB_Global", only=("_uuid", "nb_cfg")), select("Chassis"))
    latest = only_global(global_rows)["nb_cfg"]
    return [
        {column: value for column, value in row.items() if column != "_uuid"} | _liveness(row, latest, asked)
        for row in sorted(rows, key=_name)
    ]


def chassis_named(nb: Northbound, names: Collection[str], asked: Asked | Unasked | None = None) -> list[Row]:
    """Return the rows of the chassis called *names*, each once, in that order, as `all_chassis` has them.

    Raises:
        RefusedError: the database has no `NB_Global` row, or several.
        NotFoundError: there is no chassis of one of these names.
    """
    found = {row["name"]: row for row in all_chassis(nb, asked)}
    for name in names:
        if name not in found:
            raise no_such("Chassis", name)
    return [found[name] for name in dict.fromkeys(names)]


def _liveness(row: Row, latest: int, asked: Asked | Unasked | None) -> dict[str, Any]:
    return {"state": state(row, latest, asked), "answer_age_s": answer_age_s(row, latest, asked)}


def _name(row: Mapping[str, Any]) -> Any:
    return natural(row["name"])


def _wire(network: Mapping[str, Any]) -> str:
    tag = network["segmentation_id"]
    return f"{network['physical_network']}, {'untagged' if tag is None else f'VLAN {tag}'}"
