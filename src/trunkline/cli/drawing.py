"""What a picture of the topology shows: boxes in three columns, and how many ports two of them share.

Nobody can read a picture of hundreds of boxes. So a column that would have more than `MOST_BOXES` shows by
name what is faulty, and all else as one box with its number.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.amount import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MOST_BOXES = 40

_NAMED = ("mapping", "network")
"""What many chassis may have in common: a fault of such a thing is shown with its name."""

DOWN = "ports down"
"""The condition that the numbers of ports show as well."""


class Box(NamedTuple):
    """The things called *names*, usually one, in the same *condition*, which is empty if they are well.

    *label* stands for them; *note* is what else there is to say.
    """

    label: str
    names: tuple[str, ...]
    condition: str
    note: str = ""

    @property
    def listed(self) -> tuple[str, ...]:
        """The names that the label does not say and a reader wants: those of faulty things."""
        return self.names if self.condition and self.names[1:] else ()


class Member(NamedTuple):
    """A chassis with ports of some networks: how many are *up*, of how many."""

    chassis: str
    up: int
    ports: int

    @property
    def is_faulty(self) -> bool:
        """Whether a port is down."""
        return self.up < self.ports


class Share(NamedTuple):
    """What the networks of one box and the chassis of another one share."""

    members: tuple[Member, ...]

    @property
    def total(self) -> Member:
        """All members as one, without a name."""
        return Member("", sum(each.up for each in self.members), sum(each.ports for each in self.members))


class Drawing(NamedTuple):
    """The boxes of each column; with a network there is the number of the box of its physical network.

    *shares* are by the numbers of the boxes of networks and of chassis.
    """

    physnets: list[Box]
    networks: list[tuple[int, Box]]
    chassis: list[Box]
    shares: dict[tuple[int, int], Share]


def drawing(found: Mapping[str, Any], most: int = MOST_BOXES) -> Drawing:
    """Return what a picture of the topology *found* (`northbound.topology`) shows.

    Names are as they are in the northbound: whoever writes them has to escape them.
    """
    network_by_name = {
        network["name"]: network for physnet in found["physical_networks"] for network in physnet["networks"]
    }
    down = {
        share["name"]
        for network in network_by_name.values()
        for share in network["chassis"]
        if share["up"] < share["ports"]
    }
    chassis = {row["name"]: _chassis_condition(row, down) for row in found["chassis"]}
    networks = {
        name: DOWN if any(share["up"] < share["ports"] for share in network["chassis"]) else ""
        for name, network in network_by_name.items()
    }
    mapped = {name for row in found["chassis"] for name in row["mapped"]}
    physnets = {
        row["name"]: "" if row["name"] in mapped or not row["networks"] else "no chassis maps it"
        for row in found["physical_networks"]
    }
    physnet_boxes = _boxes(physnets, "physical networks", _Room.of(physnets, most))
    room = _Room.of(networks, most)
    network_boxes = []
    for number, box in enumerate(physnet_boxes):
        inside = {
            network["name"]: networks[network["name"]]
            for row in found["physical_networks"]
            if row["name"] in box.names
            for network in row["networks"]
        }
        for each in _boxes(inside, "networks", room):
            note = _note([network_by_name[name] for name in each.names])
            network_boxes.append((number, each._replace(note=note)))
    chassis_boxes = _boxes(chassis, "chassis", _Room.of(chassis, most))
    shares = _shares(network_by_name, network_boxes, chassis_boxes)
    return Drawing(physnet_boxes, network_boxes, _with_sums(chassis_boxes, shares), shares)


def _chassis_condition(chassis: Mapping[str, Any], down: Collection[str]) -> str:
    """Return what is wrong with *chassis*, in a few words that others in the same trouble have."""
    from trunkline.northbound.liveness import WELL

    if chassis["state"] not in WELL:
        return str(chassis["state"])
    subjects = list(chassis["faults"])
    if not subjects:
        return DOWN if chassis["name"] in down else ""
    nouns = {subject.split(" ")[0] for subject in subjects}
    if len(nouns) > 1:
        return "several faults"
    (noun,) = nouns
    if noun not in _NAMED:
        return f"{noun} fault"
    return subjects[0] if len(subjects) == 1 else counted(len(subjects), noun)


class _Room(NamedTuple):
    """What a column has room for: each thing, or at least each faulty one, in a box of its own."""

    is_for_all: bool
    is_for_faulty: bool

    @classmethod
    def of(cls, condition_by_name: Mapping[str, str], most: int) -> _Room:
        faulty = sum(map(bool, condition_by_name.values()))
        return cls(len(condition_by_name) <= most, faulty < most)


def _boxes(condition_by_name: Mapping[str, str], what: str, room: _Room) -> list[Box]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, condition in condition_by_name.items():
        is_alone = room.is_for_all or (room.is_for_faulty and condition)
        groups[condition, name if is_alone else ""].append(name)
    # What is well and has no box of its own comes last.
    groups = {key: groups[key] for key in sorted(groups, key=lambda key: key == ("", ""))}
    boxes: list[Box] = []
    for (condition, _), names in groups.items():
        more = "more " if boxes and not condition else ""
        label = f"{len(names):,} {more}{what}" if names[1:] else names[0]
        boxes.append(Box(label, tuple(names), condition))
    return boxes


def _note(networks: list[Mapping[str, Any]]) -> str:
    """Return the VLAN of a network, and how many of its ports, or of those of several, no chassis has."""
    tag = networks[0]["segmentation_id"]
    parts = [] if networks[1:] else ["untagged" if tag is None else str(tag)]
    unbound = sum(network["unbound"] for network in networks)
    return ", ".join([*parts, *([f"{unbound:,} unbound"] if unbound else [])])


def _shares(
    network_by_name: Mapping[str, Mapping[str, Any]], networks: list[tuple[int, Box]], chassis: list[Box]
) -> dict[tuple[int, int], Share]:
    number_by_chassis = {name: number for number, box in enumerate(chassis) for name in box.names}
    found: dict[tuple[int, int], Share] = {}
    for number, (_, box) in enumerate(networks):
        ports: Counter[str] = Counter()
        up: Counter[str] = Counter()
        for row in (row for name in box.names for row in network_by_name[name]["chassis"]):
            ports[row["name"]] += row["ports"]
            up[row["name"]] += row["up"]
        members: dict[int, list[Member]] = defaultdict(list)
        for name in ports:
            members[number_by_chassis[name]].append(Member(name, up[name], ports[name]))
        found |= {(number, at): Share(tuple(members[at])) for at in sorted(members)}
    return found


def _with_sums(chassis: list[Box], shares: Mapping[tuple[int, int], Share]) -> list[Box]:
    """Return the boxes *chassis* with how many of all ports there are up."""
    sums = [[0, 0] for _ in chassis]
    for (_, number), share in shares.items():
        sums[number][0] += share.total.up
        sums[number][1] += share.total.ports
    return [box._replace(note=f"{up:,}/{all_:,}") for box, (up, all_) in zip(chassis, sums, strict=True)]
