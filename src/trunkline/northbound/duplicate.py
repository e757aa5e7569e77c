"""IP addresses that another port of a network has: refused, unless they are meant.

Few addresses are looked for by the database, inside the transaction: each costs it a look at every port.
Where there are many, the ports' addresses are read instead, and the transaction is held to nothing of that
having changed (`trunkline.northbound.check.NEWS`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.core.error import Place
from trunkline.northbound.check import Check
from trunkline.northbound.operation import NamedUuid, expect, select
from trunkline.northbound.refusal import RefusedError
from trunkline.northbound.schema import ALLOW_DUPLICATE_IP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trunkline.northbound.operation import Operation, Row

FEW = 4
"""How many addresses, or networks, are looked for one by one: a look at a port costs the server 0.4 µs, and
to read one costs 10."""

Wanted = dict[str, dict[str, str]]
"""The name of the port that wants an address, by address, by the UUID of the network."""


def is_meant(row: Mapping[str, Any]) -> bool:
    """Return whether the port *row* may have an address that another port has."""
    return bool(row["options"].get(ALLOW_DUPLICATE_IP) == "true")


def wanted(rows: Iterable[Mapping[str, Any]]) -> Wanted:
    """Return the addresses that *rows*, ports to be created, want alone in networks that are there."""
    found: Wanted = {}
    for row in rows:
        if not (isinstance(row["network"], NamedUuid) or is_meant(row)):
            found.setdefault(row["network"], {}).update(dict.fromkeys(row["addresses"], row["name"]))
    return found


def added(old: Row, new: Row) -> Wanted:
    """Return the addresses that *new*, a port that was *old* before, wants and did not have to itself."""
    if is_meant(new):
        return {}
    is_as_before = old["network"] == new["network"] and not is_meant(old)
    had = old["addresses"] if is_as_before else ()
    names: dict[str, str] = dict.fromkeys(set(new["addresses"]).difference(had), str(new["name"]))
    return {new["network"]: names} if names else {}


def are_few(wants: Wanted) -> bool:
    """Return whether the database itself may look for each of the addresses."""
    return sum(map(len, wants.values())) <= FEW


def checks(wants: Wanted) -> list[Check]:
    """Return what must hold: no port but the one that wants each address has it; none where they are many."""
    if not are_few(wants):
        return []
    return [
        _check(network_id, address, name)
        for network_id, name_by_address in wants.items()
        for address, name in name_by_address.items()
    ]


def _check(network_id: str, address: str, name: str) -> Check:
    same = (("network", "==", network_id), ("addresses", "includes", [address]), ("name", "!=", name))
    return Check(
        expect("Port", *same, rows=[], only=("name",)),
        _refused(None, address),
        lambda names: _refused(names[0], address),
    )


def selects(wants: Wanted) -> list[Operation]:
    """Return the operations that read the ports which may have one of the addresses."""
    only = ("name", "network", "addresses")
    if len(wants) > FEW:
        return [select("Port", only=only)]
    return [select("Port", ("network", "==", network_id), only=only) for network_id in wants]


def refuse_taken(wants: Wanted, rows: Iterable[Row]) -> None:
    """Raise RefusedError where one of the ports *rows* has one of the addresses."""
    for row in rows:
        name_by_address = wants.get(row["network"], {})
        for address in row["addresses"]:
            if name_by_address.get(address, row["name"]) != row["name"]:
                raise _refused(row["name"], address)


def _refused(holder: str | None, address: str) -> RefusedError:
    port = "another port" if holder is None else f"port {holder!r}"
    return RefusedError(
        f"{port} of the same network already has {address}; "
        f"pick another `addresses`, or use `options:{ALLOW_DUPLICATE_IP}=true`",
        Place("Port", holder, "addresses"),
    )
