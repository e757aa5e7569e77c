"""Laws of `apply` and `export`, over random documents on a real server.

What is exported makes the same rows again; what was applied has nothing left to do; what cannot be applied
leaves all as it was.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from trunkline.core.error import InvalidValueError
from trunkline.lab.journal import Journal
from trunkline.lab.northbound import Northbound as Served
from trunkline.manifest import wanted
from trunkline.manifest.consequence import consequences
from trunkline.manifest.difference import Difference, difference
from trunkline.manifest.export import documents, text
from trunkline.manifest.obstacle import ConflictError, judged
from trunkline.manifest.present import chosen, present
from trunkline.manifest.wanted import Wanted
from trunkline.northbound.client import Northbound, NotFoundError, RefusedError, TransactionError
from trunkline.northbound.operation import delete
from trunkline.northbound.schema import SET

pytestmark = pytest.mark.system

Document = dict[str, Any]

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
KEYS = TEXT.filter(lambda key: key != SET)
IDS = st.dictionaries(KEYS, TEXT, max_size=3)
NETWORKS, PORTS = ["net1", "no", "10:20"], ["vm1", "1e3", "0o17", "~", "ü: #"]
MACS = [f"02:00:00:00:00:0{number}" for number in range(1, 6)]
ADDRESSES = ["192.0.2.1", "192.0.2.2", "2001:db8::1"]

SEVERAL = 3
"""How often what can be is drawn for each time that something is drawn which perhaps cannot."""

NETWORK_COLUMNS = {
    "mtu": st.none() | st.integers(68, 65535),
    "unknown_unicast": st.sampled_from([None, "forward", "drop"]),
    "remote_ports": st.sampled_from([None, "explicit", "learned"]),
    "vlan_transparent": st.none() | st.booleans(),
    "external_ids": st.none() | IDS,
}
PORT_COLUMNS = {
    "addresses": st.none() | st.lists(st.sampled_from(ADDRESSES), max_size=2),
    "enabled": st.none() | st.booleans(),
    "port_security": st.none() | st.booleans(),
    "allowed_address_pairs": st.none() | st.lists(st.sampled_from(MACS), max_size=2),
    "unknown_macs": st.sampled_from([None, *[False] * SEVERAL, True]),
    "options": st.none() | st.dictionaries(st.just("announce"), st.sampled_from(["true", "false"])),
    "parent": st.sampled_from([*[None] * SEVERAL, *PORTS]),
    "external_ids": st.none() | IDS,
}


@st.composite
def worlds(draw: st.DrawFn) -> list[Document]:
    """Draw documents of a few networks and ports; most can be, and some cannot."""

    def usually(value: Any, others: list[Any]) -> Any:
        return draw(st.sampled_from([*[value] * SEVERAL * len(others), *others]))

    found: list[Document] = []
    for number, name in enumerate(draw(st.lists(st.sampled_from(NETWORKS), unique=True, min_size=1)), 1):
        tag = usually(number, [None, 1, 2])
        wire = {"physical_network": "p", "network_type": "flat" if tag is None else "vlan"}
        wire |= {} if tag is None else {"segmentation_id": tag}
        found.append({"kind": "Network", "name": name, **wire, **draw(some(NETWORK_COLUMNS))})
    inside = [document["name"] for document in found]
    for number, name in enumerate(draw(st.lists(st.sampled_from(PORTS), unique=True))):
        where = {"network": draw(st.sampled_from(inside)), "mac": usually(MACS[number], MACS)}
        columns = draw(some(PORT_COLUMNS))
        if "parent" in columns:
            columns["parent_vlan"] = columns["parent"] and draw(st.integers(1, 3))
        found.append({"kind": "Port", "name": name, **where, **columns})
    return draw(st.permutations(found))


def some(columns: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Document]:
    """Draw values of some of *columns*: few, so that most rows can be."""
    names = st.lists(st.sampled_from(sorted(columns)), unique=True, max_size=2)
    return names.flatmap(lambda names: st.fixed_dictionaries({name: columns[name] for name in names}))


@pytest.fixture(scope="module")
def northbound() -> Iterator[Northbound]:
    folder = Path(tempfile.mkdtemp(prefix="tl-laws-"))
    journal = Journal(folder)
    served = Served(folder, journal)
    try:
        served.start()
        with Northbound.connect(served.remote) as connected:
            yield connected
    finally:
        journal.undo()
        shutil.rmtree(folder)


def empty(nb: Northbound) -> None:
    nb.transact([delete("Port"), delete("Network")])


def rows(nb: Northbound) -> list[Document]:
    """Return all rows, without their keys."""
    return [row | {"unique_key": 0} for row in (*nb.networks(), *nb.ports())]


def manifest(wanted_: Iterable[Document]) -> list[Wanted]:
    """Return the rows that the documents *wanted_* want, from a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("".join(text(wanted_)))
        file.flush()
        return wanted.read([file.name]).rows


def found(nb: Northbound, wanted_: Iterable[Document], **how: Any) -> Difference:
    """Return the difference between the documents *wanted_* and what there is."""
    there, differs = judged(nb, manifest(wanted_), "s", **how)
    consequences(nb, differs, there)
    return differs


def apply(nb: Northbound, wanted_: list[Document], **how: Any) -> bool:
    """Make all as *wanted_* has it; return whether that could be. If not, all is as it was."""
    before = rows(nb)
    try:
        steps = found(nb, wanted_, **how).steps
    except ConflictError:
        refuse(nb, wanted_, **how)
        assert rows(nb) == before
        event("refused")
        return False
    # What nothing keeps from being applied, the northbound takes.
    nb.write(steps)
    event("applied")
    return True


def refuse(nb: Northbound, wanted_: list[Document], **how: Any) -> None:
    """Have the northbound itself refuse what cannot be, unless a row is wrong by itself."""
    rows_ = manifest(wanted_)
    there = present(nb, rows_, "s" if how.get("prunes") else None)
    differs = difference(rows_, there, "s", **how)
    if not differs.complaints:
        with pytest.raises((RefusedError, NotFoundError, InvalidValueError, TransactionError)):
            nb.write(differs.steps)


@settings(max_examples=150)
@given(worlds())
def test_what_is_exported_makes_the_same_rows_again(northbound: Northbound, world: list[Document]) -> None:
    empty(northbound)
    if not apply(northbound, world):
        return
    before, exported = rows(northbound), list(documents(chosen(northbound, None, None)))
    assert found(northbound, exported).changes == []
    empty(northbound)
    assert apply(northbound, exported)
    assert rows(northbound) == before


@settings(max_examples=150)
@given(worlds(), worlds(), st.booleans())
def test_what_was_applied_has_nothing_left_to_do(
    northbound: Northbound, first: list[Document], second: list[Document], prunes: bool
) -> None:
    empty(northbound)
    apply(northbound, first)
    if not apply(northbound, second, prunes=prunes):
        return
    assert found(northbound, second, prunes=prunes).changes == []
    if prunes:
        assert {row["name"] for row in rows(northbound)} == {document["name"] for document in second}


@settings(max_examples=100)
@given(worlds(), worlds())
def test_what_is_of_no_set_is_changed_only_if_it_is_adopted(
    northbound: Northbound, first: list[Document], second: list[Document]
) -> None:
    empty(northbound)
    apply(northbound, first)
    unmark = {"op": "mutate", "where": [], "mutations": [["external_ids", "delete", ["set", [SET]]]]}
    northbound.transact([unmark | {"table": table} for table in ("Network", "Port")])
    before = {(row.get("mac") is None, row["name"]): row for row in rows(northbound)}
    if apply(northbound, second, prunes=True):
        after = {(row.get("mac") is None, row["name"]): row for row in rows(northbound)}
        assert {name: after[name] for name in before} == before
    elif apply(northbound, second, adopts=True):
        assert found(northbound, second).changes == []
