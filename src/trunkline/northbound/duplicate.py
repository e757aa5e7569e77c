"""IP addresses that two ports of one network have: refused, unless one of the two allows duplicates.

Which of the two allows them, and which one comes first, makes no difference. The agent has the same rule.

A few addresses are looked for by the database inside the transaction; for each it passes over all ports. If
there are many, the client reads the ports' addresses instead, and guards the transaction against changes of
them (`trunkline.northbound.check.COUNT_CHANGE`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.core.error import Place
from trunkline.northbound.check import Check
from trunkline.northbound.conflict import Conflict, beside
from trunkline.northbound.operation import NamedUuid, expect, select
from trunkline.northbound.refusal import RefusedError
from trunkline.northbound.schema import ALLOW_DUPLICATE_IP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from trunkline.northbound.conflict import Written
    from trunkline.northbound.operation import Operation, Row

FEW = 4
"""How many addresses, or networks, are looked for one by one: passing over a port costs the server 0.4 µs,
reading one 10 µs."""

Wanted = dict[str, dict[str, str]]
"""The name of the port that wants an address, by address, by the UUID of the network."""


def allows_duplicates(row: Mapping[str, Any]) -> bool:
    """Return whether the port *row* may have an address that another port has."""
    return bool(row["options"].get(ALLOW_DUPLICATE_IP) == "true")


def wanted(written: Iterable[Written]) -> Wanted:
    """Return the addresses that ports *written* get for themselves, in networks that exist."""
    found: Wanted = {}
    for row in written:
        network = row.new["network"]
        if row.new["addresses"] and not isinstance(network, NamedUuid):
            names = {address: row.new["name"] for _, address in _gained(row)}
            if names:
                found.setdefault(network, {}).update(names)
    return found


def are_few(wants: Wanted) -> bool:
    """Return whether the database itself may look for each of the addresses."""
    return sum(map(len, wants.values())) <= FEW


def checks(wants: Wanted) -> list[Check]:
    """Return the checks that no other port has one of the addresses; none if there are many addresses."""
    if not are_few(wants):
        return []
    return [
        _check(network_id, address, name)
        for network_id, name_by_address in wants.items()
        for address, name in name_by_address.items()
    ]


def _check(network_id: str, address: str, name: str) -> Check:
    same = (
        ("network", "==", network_id),
        ("addresses", "includes", [address]),
        ("name", "!=", name),
        ("options", "excludes", {ALLOW_DUPLICATE_IP: "true"}),
    )
    return Check(
        expect("Port", *same, rows=[], only=("name",)),
        _refused(None, address),
        lambda names: _refused(names[0], address),
    )


def selects(wants: Wanted) -> list[Operation]:
    """Return the operations that read the ports which may have one of the addresses."""
    only = ("name", "network", "addresses", "options")
    if len(wants) > FEW:
        return [select("Port", only=only)]
    return [select("Port", ("network", "==", network_id), only=only) for network_id in wants]


def conflicts(written: Collection[Written], there: Iterable[Row]) -> Iterator[Conflict]:
    """Yield each port *written* that gets an address for itself which a port *there* has for itself.

    Of two that are written and get the same address, the second is refused.
    """
    holders = {where: str(port["name"]) for port in beside(there, written) for where in _owned(port)}
    gained = []
    for row in written:
        name, new = row.new["name"], _gained(row)
        gained.append((name, new))
        if row.old is not None:
            for where in _owned(row.new):
                if where not in new:
                    holders.setdefault(where, name)
    for name, wants in gained:
        for where in wants:
            first = holders.setdefault(where, name)
            if first != name:
                error = _refused(first, where[1])
                columns = ("addresses", "network", "options")
                yield Conflict(name, columns, error, (first,), where[1])


def _owned(port: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the addresses that *port* has for itself, each with the network."""
    if not port["addresses"] or allows_duplicates(port):
        return []
    network = port["network"]
    return [(network, address) for address in port["addresses"]]


def _gained(row: Written) -> list[tuple[str, str]]:
    """Return those that the port *row* has for itself, and did not have so before."""
    owned = _owned(row.new)
    if row.old is None or not owned:
        return owned
    had = _owned(row.old)
    return [where for where in owned if where not in had]


def _refused(holder: str | None, address: str) -> RefusedError:
    port = "another port" if holder is None else f"port {holder!r}"
    return RefusedError(
        f"{port} of the same network already has {address}; "
        f"pick another `addresses`, or use `options:{ALLOW_DUPLICATE_IP}=true`",
        Place("Port", holder, "addresses"),
    )
