"""What comes of a probe of four chassis, as far as a test says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trunkline.probe.matrix import Heard, Matrix, ProbedNetwork, Stray

BLUE = ProbedNetwork("blue", 1, "physnet1", 101, 1500)
RED = ProbedNetwork("red", 2, "physnet1", 102, 1500)
FLAT = ProbedNetwork("office", 3, "physnet1", None, 1500)
NAMES = ("c1", "c2", "c3", "c4")
ID = {name: number for number, name in enumerate(NAMES, 1)}


def matrix(
    *networks: ProbedNetwork,
    lost: frozenset[tuple[int, str, str]] = frozenset(),
    strays: Mapping[str, tuple[Stray, ...]] | None = None,
    sizes: dict[tuple[str, str], int] | None = None,
    beacons: tuple[str, ...] = NAMES,
    gone: tuple[str, ...] = (),
) -> Matrix:
    """Return the matrix of four chassis of which all hear all, but *lost*: network key, sender, receiver."""

    def has_come(key: int, sender: str, receiver: str) -> bool:
        if sender == receiver or (key, sender, receiver) in lost:
            return False
        has_heard = (key, receiver, sender) not in lost
        return sender in beacons or (receiver in beacons and has_heard)

    return Matrix(
        networks,
        {each.key: NAMES for each in networks},
        {each.key: frozenset(beacons) for each in networks},
        {
            name: Heard(
                {
                    each.key: frozenset(ID[other] for other in NAMES if has_come(each.key, other, name))
                    for each in networks
                },
                (strays or {}).get(name, ()),
                {
                    each.key: {ID[to]: size for (sender, to), size in (sizes or {}).items() if sender == name}
                    for each in networks
                },
                is_flooded=False,
            )
            for name in NAMES
            if name not in gone
        },
        {number: name for name, number in ID.items()},
    )


def flooded(found: Matrix, *names: str) -> Matrix:
    """Return *found*, if *names* have got too much to hear it all."""
    heard = {
        name: said._replace(is_flooded=said.is_flooded or name in names) for name, said in found.heard.items()
    }
    return replace(found, heard=heard)


def cut(key: int, *names: str, ways: str = "both") -> frozenset[tuple[int, str, str]]:
    """Return what is lost if *names* are cut off from the others, in one direction or in both."""
    pairs = [(one, other) for one in names for other in NAMES if other not in names]
    lost = [(key, one, other) for one, other in pairs] if ways != "in" else []
    return frozenset(lost + ([(key, other, one) for one, other in pairs] if ways != "out" else []))


def sized(**caps: int) -> dict[tuple[str, str], int]:
    """Return what passes between chassis with these MTUs, 1500 if they are not named."""
    mtu = {name: caps.get(name, 1500) for name in NAMES}
    return {(a, b): min(mtu[a], mtu[b]) for a in NAMES for b in NAMES if a != b}
