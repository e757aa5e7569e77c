"""Consequences: what a difference means for the ports that are there, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.amount import counted
from trunkline.manifest.present import ports_in, set_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trunkline.manifest.difference import Difference, RowChange
    from trunkline.manifest.present import Present
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.operation import Row

_TAG = ("network_type", "segmentation_id")


def consequences(nb: Northbound, wanted: Difference, there: Present) -> dict[tuple[str, str], str]:
    """Return what the changes of *wanted* mean, by table and name of the row; most mean nothing more."""
    networks = {
        change.name: change
        for change in wanted.changes
        if change.table == "Network" and change.writes("physical_network", *_TAG)
    }
    ports: dict[str, list[Row]] = {name: [] for name in networks}
    for port in ports_in(nb, there, networks.keys()):
        ports[port["network"]].append(port)
    leaving = {
        change.name
        for change in wanted.changes
        if change.table == "Port" and (change.new is None or change.writes("network"))
    }
    found: dict[tuple[str, str], str] = {}
    freed = {
        _wire(change.old): change.name
        for change in wanted.changes
        if change.table == "Network" and change.old is not None
        if change.new is None or change.name in networks
    }
    for change in wanted.changes:
        staying = [each for each in ports.get(change.name, []) if each["name"] not in leaving]
        words = list(_words(change, staying if change.table == "Network" else [], freed))
        if words:
            found[change.table, change.name] = "; ".join(words)
    return found


def _words(change: RowChange, ports: Sequence[Row], freed: Mapping[object, str]) -> Iterator[str]:
    old, new = change.old, change.new
    if old is not None and new is not None and set_of(old) != set_of(new):
        yield f'was in set "{set_of(old)}"' if set_of(old) is not None else "was in no set"
    if change.table == "Network":
        yield from _of_network(change, ports, freed)
    elif old is not None and old["chassis"] is not None:
        state = "is" if new is not None else "was"
        if new is None or change.writes("network", "mac", "requested_chassis", "enabled"):
            yield f"{state} {'up' if old['up'] else 'down'} on {old['chassis']}"


def _of_network(change: RowChange, ports: Sequence[Row], freed: Mapping[object, str]) -> Iterator[str]:
    old, new = change.old, change.new
    if new is not None:
        other = freed.get(_wire(new), change.name)
        if other != change.name:
            yield f"takes {_tag(new)} of {new['physical_network']} from network {other}"
    if old is None or new is None or not ports:
        return
    hosts = {port["chassis"] for port in ports} - {None}
    where = counted(len(ports), "port") + (f" on {len(hosts)} chassis" if hosts else "")
    if change.writes("physical_network"):
        yield f"moves {where} to {new['physical_network']}"
    elif change.writes(*_TAG):
        yield f"re-tags {where}"


def _wire(network: Row) -> object:
    return network["physical_network"], network["segmentation_id"]


def _tag(network: Row) -> str:
    tag = network["segmentation_id"]
    return "the untagged network" if tag is None else f"VLAN {tag}"
