"""A verdict of a probe: one thing that is wrong with the physical networks, in words, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from trunkline.probe.matrix import Matrix, ProbedNetwork

_MOST_NAMED = 3
_MOST_VLANS = 8


class Fault(StrEnum):
    """What can be wrong."""

    LOST = "lost"
    ONE_WAY = "one way"
    ISLANDS = "islands"
    SIZE = "size"
    NATIVE = "native VLAN"
    JOINED = "joined"
    LOOP = "loop"


class Advice(NamedTuple):
    """What to do: *before*, what the networks are on the wire, *after*; without *after*, *before* alone."""

    before: str
    after: str | None = None

    def text(self, networks: Iterable[ProbedNetwork]) -> str:
        """Return what to do if that is wrong with these *networks*."""
        return self.before if self.after is None else self.before + on_wire(networks) + self.after


class Verdict(NamedTuple):
    """One thing that is wrong: with *networks*, at *chassis*, if it is at some; and what to do.

    *most* is the size of the largest packet that passes, if larger ones do not.
    """

    fault: Fault
    networks: tuple[ProbedNetwork, ...]
    chassis: tuple[str, ...]
    text: str
    advice: Advice
    most: int | None = None

    @property
    def remedy(self) -> str:
        """What to do."""
        return self.advice.text(self.networks)

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        network = self.networks[0]
        return {
            "fault": str(self.fault),
            "network": network.name,
            "networks": [each.name for each in self.networks],
            "physnet": network.physnet,
            "vlan": network.vlan_id,
            "chassis": list(self.chassis),
            "text": self.text,
            "remedy": self.remedy,
        }


def remedies(verdicts: Iterable[Verdict]) -> dict[Advice, str]:
    """Return what to do about all of that; if several networks need the same, they are named together."""
    networks: dict[Advice, dict[ProbedNetwork, None]] = {}
    for each in verdicts:
        networks.setdefault(each.advice, {}).update(dict.fromkeys(each.networks))
    return {advice: advice.text(named) for advice, named in networks.items()}


def on_wire(networks: Iterable[ProbedNetwork]) -> str:
    """Return what *networks* are on their physical network, in words.

    >>> on_wire([ProbedNetwork("office", 1, "p", None, 1500), ProbedNetwork("blue", 2, "p", 101, 1500)])
    'untagged frames and VLAN 101'
    """
    ids = [network.vlan_id for network in networks]
    vlans = sorted(each for each in ids if each is not None)
    words = ["untagged frames"] if None in ids else []
    if vlans:
        words.append(f"VLAN{'s' if vlans[1:] else ''} {some(map(str, vlans), _MOST_VLANS)}")
    return " and ".join(words)


def some(names: Iterable[str], most: int = _MOST_NAMED) -> str:
    """Return the first *most* of *names*, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if names[most:] else "")


def ports_of(matrix: Matrix, network: ProbedNetwork, chassis: Iterable[str]) -> str:
    """Return the switch ports of *chassis* that *network* needs, in words.

    Of a chassis at several physical networks, that of the network's one is meant, and is named so.
    """
    names = list(chassis)
    is_plain = all(len(matrix.physnets.get(name, ())) < 2 for name in names)
    place = "" if is_plain else f" on {network.physnet}"
    who = " and ".join(names) if len(names) == 2 else some(names)
    return f"the switch port{'s' if names[1:] else ''} of {who}{place}"
