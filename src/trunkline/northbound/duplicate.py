"""IP addresses that another port of the same network has: refused, unless the port allows duplicates.

A few addresses are looked for by the database inside the transaction; for each it passes over all ports. If
there are many, the client reads the ports' addresses instead, and guards the transaction against changes of
them (`trunkline.northbound.check.COUNT_CHANGE`).
"""

from __future__ import annotations

from itertools import chain
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


def wanted(rows: Iterable[Mapping[str, Any]]) -> Wanted:
    """Return the addresses that *rows*, ports to be created, want for themselves in networks that exist."""
    found: Wanted = {}
    for row in rows:
        if not (isinstance(row["network"], NamedUuid) or allows_duplicates(row)):
            found.setdefault(row["network"], {}).update(dict.fromkeys(row["addresses"], row["name"]))
    return found


def added(old: Row, new: Row) -> Wanted:
    """Return the addresses that *new*, a port that was *old*, wants for itself and did not have so before."""
    if allows_duplicates(new):
        return {}
    is_as_before = old["network"] == new["network"] and not allows_duplicates(old)
    had = old["addresses"] if is_as_before else ()
    names: dict[str, str] = dict.fromkeys(set(new["addresses"]).difference(had), str(new["name"]))
    return {new["network"]: names} if names else {}


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


def conflicts(written: Collection[Written], there: Iterable[Row]) -> Iterator[Conflict]:
    """Yield each port *written* that gets an address for itself which a port *there* has.

    Of two that are written and get the same address, the second is refused, if both want it for themselves.
    """
    new = [(row.new["name"], _gained(row.old, row.new)) for row in written]
    gained = {(name, where) for name, wants in new for where in wants}
    holders: dict[tuple[str, str], str] = {}
    for port in chain(beside(there, written), (row.new for row in written)):
        for where in _owned(port):
            if (port["name"], where) not in gained:
                holders.setdefault(where, port["name"])
    for row, (name, wants) in zip(written, new, strict=True):
        if allows_duplicates(row.new):
            continue
        for where in wants:
            first = holders.setdefault(where, name)
            if first != name:
                error = _refused(first, where[1])
                yield Conflict(name, ("addresses", "network", "options"), error, (first,))


def _owned(port: Mapping[str, Any]) -> list[tuple[str, str]]:
    network = port["network"]
    return [(network, address) for address in port["addresses"]]


def _gained(old: Row | None, new: Row) -> list[tuple[str, str]]:
    """Return what *new*, a port that was *old*, has and did not have for itself before."""
    is_as_before = old is not None and allows_duplicates(old) <= allows_duplicates(new)
    had = _owned(old) if old is not None and is_as_before else []
    return [where for where in _owned(new) if where not in had]


def _refused(holder: str | None, address: str) -> RefusedError:
    port = "another port" if holder is None else f"port {holder!r}"
    return RefusedError(
        f"{port} of the same network already has {address}; "
        f"pick another `addresses`, or use `options:{ALLOW_DUPLICATE_IP}=true`",
        Place("Port", holder, "addresses"),
    )
