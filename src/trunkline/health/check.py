"""A check: all that can be found from the northbound, what a chassis adds to it, and what of it is asked for.

Everything here is a function of rows that were read (`trunkline.health.fleet`) and of findings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from trunkline.core.spelling import closest
from trunkline.health import cause, hindered, unheard
from trunkline.health.answer import SILENT
from trunkline.health.chassis_check import PROBED, chassis_findings, network_findings
from trunkline.health.port_check import disabled_finding, down_findings, own_subjects, port_findings
from trunkline.northbound import iface_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trunkline.health.finding import Finding
    from trunkline.health.fleet import Fleet
    from trunkline.northbound.operation import Row

FROM_ROWS = frozenset(
    {
        *(
            "T105",
            "T106",
            "T107",
            "T202",
            "T204",
            "T210",
            "T216",
            "T301",
            "T313",
            "T316",
            "T317",
            "T318",
            "T319",
            "T328",
        ),
        *("T320", "T321", "T322", "T323", "T501", "T502", "T503", "T504", "T506", cause.UNKNOWN),
        *(each.code for each in cause.CAUSES),
    }
)
"""The codes that need no chassis to be asked."""

UNSETTLED = frozenset({"T502", "T503", "T506"})
"""The codes of what may pass by itself, and says that not all was seen."""

_OF_ROWS = frozenset({"port", "vif", "network", "mapping", "MAC"})
"""The first words of subjects that are not about a chassis as a whole."""

_OF_NO_PORT = frozenset({"T504", "T107"})
"""The codes of what concerns people, and no port."""

_SEVERAL = frozenset({PROBED, hindered.CODE, hindered.MIRROR_CODE})
"""The codes of which the same subject may have several."""

_MOST_CANDIDATES = 5

_LIKENESS = 0.7
"""How much of an iface-id and a port's name is alike if one was meant: two UUIDs are less so."""

_MOST_SPELLED, _MOST_COMPARED = 10, 1000
"""How many iface-ids are compared, each with how many names: half a second in all, at the most."""


def findings(fleet: Fleet) -> list[Finding]:
    """Return all that the rows of *fleet* show; one cause at a chassis is one finding."""
    found = merged(chain(network_findings(fleet), port_findings(fleet), chassis_findings(fleet)))
    return merged(chain(_spelled(found, fleet), down_findings(fleet, found)))


def _spelled(found: Iterable[Finding], fleet: Fleet) -> Iterator[Finding]:
    """Yield *found*; for a VIF whose iface-id no port has, with the unbound port that was probably meant."""
    unbound = [iface_id.of(row) for row in fleet.ports if row["chassis"] is None][:_MOST_COMPARED]
    count = 0
    for each in found:
        if each.code == "T302" and count < _MOST_SPELLED:
            count += 1
            close = closest(each.subject.removeprefix("vif "), unbound, _LIKENESS)
            yield each if close is None else replace(each, remedy=f"did you mean {close}? {each.remedy}")
        else:
            yield each


def merged(found: Iterable[Finding]) -> list[Finding]:
    """Return *found* without those that say the same of the same as an earlier one.

    What a probe found is several things, and so are settings of a switch: each text is one.

    Nor with what follows from another one: a chassis that did not say what it finds (T506) either has
    answered, or did not, and then that is why nobody knows whether it does (T503).
    """
    first: dict[tuple[str, str, str | None, str], Finding] = {}
    for each in found:
        text = each.text if each.code in _SEVERAL else ""
        first.setdefault((each.code, each.subject, each.chassis, text), each)
    nowhere = {("T202", each.subject) for each in first.values() if each.code == "T204"}
    unsaid = {("T503", each.subject) for each in first.values() if each.code == SILENT}
    return [each for each in first.values() if (each.code, each.subject) not in nowhere | unsaid]


def lonely(found: Iterable[Finding], fleet: Fleet) -> list[Finding]:
    """Return *found* without networks that hear nothing (T215) and have ports on other chassis too.

    Whether the physical network loses what these send is found by traces between them.
    """
    holders = {
        f"network {row['name']}": fleet.chassis_by_network.get(row["_uuid"], frozenset())
        for row in fleet.networks
    }
    return [
        each
        for each in found
        if each.code != unheard.CODE or not holders.get(each.subject, frozenset()) - {each.chassis}
    ]


# -- one chassis, one network --------------------------------------------------------------------------


def of_chassis(found: Iterable[Finding], fleet: Fleet, name: str) -> list[Finding]:
    """Return what of *found* concerns the chassis called *name*, or a network that has ports there."""
    names = {
        fleet.network_by_id[id_]["name"]
        for id_, chassis in fleet.chassis_by_network.items()
        if name in chassis and id_ in fleet.network_by_id
    }
    subjects = {f"network {network}" for network in names}
    return [
        each
        for each in found
        if each.chassis == name or (each.chassis is None and subjects.intersection(each.subjects))
    ]


def of_network(found: Iterable[Finding], fleet: Fleet, name: str) -> list[Finding]:
    """Return what of *found* concerns the network called *name*, its ports and the chassis that hold them."""
    (network,) = [row for row in fleet.networks if row["name"] == name]
    holders = fleet.chassis_by_network.get(network["_uuid"], frozenset())
    ports = fleet.ports_by_network.get(network["_uuid"], ())
    subjects = {f"network {name}", f"mapping {network['physical_network']}"}
    subjects |= {subject for row in ports for subject in own_subjects(fleet, row)}
    return [
        each
        for each in found
        if subjects.intersection(each.subjects) or (each.chassis in holders and _is_whole(each, name))
    ]


# -- one port ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """Whether the port called *port* works: *reasons* are errors and warnings, errors first.

    `is_known` is False if nothing else is wrong, and its chassis does not answer.
    """

    port: str
    reasons: tuple[Finding, ...]

    @property
    def works(self) -> bool:
        """Whether nothing keeps its frames from passing."""
        return not any(each.severity == "error" for each in self.reasons)

    @property
    def works_but_for_probe(self) -> bool:
        """Whether nothing does, or only what a probe found, which may have been mended since."""
        return {each.code for each in self.reasons if each.severity == "error"} <= {PROBED}

    @property
    def is_known(self) -> bool:
        """Whether that is more than what a chassis said last that does not answer now."""
        errors = {each.code for each in self.reasons if each.severity == "error"}
        is_silent = any(each.code == SILENT for each in self.reasons)
        return errors != {"T501"} and not (is_silent and self.works)


def of_port(found: Iterable[Finding], fleet: Fleet, name: str) -> Verdict:
    """Return what of *found* concerns the port called *name*.

    That is what is wrong with it and its VIF, with its network and chassis, and, as warnings, with the
    chassis of its peers, which it cannot reach then, or not with large packets. If no chassis holds it, the
    VIFs without a port are warnings: one of them may be meant for it.
    """
    port = fleet.port_by_name[name]
    network = fleet.network_by_id[port["network"]]
    wire = {f"network {network['name']}", f"mapping {network['physical_network']}"}
    own = set(own_subjects(fleet, port))
    peers = fleet.chassis_by_network.get(port["network"], frozenset()) - {port["chassis"]}
    reasons = [disabled_finding(port)] if port["enabled"] is False else []
    for each in found:
        is_here = each.chassis in (port["chassis"], None)
        concerns = bool(wire.intersection(each.subjects)) or _concerns(each, port, network)
        if own.intersection(each.subjects):
            # A port that nobody has started yet is no error of the fleet. But it does not work.
            reasons.append(replace(each, severity="error") if each.code == "T301" else each)
        elif is_here and concerns:
            reasons.append(each)
        elif each.chassis in peers and concerns and (each.severity == "error" or each.code == PROBED):
            reasons.append(replace(each, severity="warning"))
    if port["chassis"] is None and port["parent"] is None:
        reasons += _candidates(found, port)
    return Verdict(name, tuple(sorted(reasons, key=lambda each: (each.severity, each.code))))


def _concerns(finding: Finding, port: Row, network: Row) -> bool:
    """Return whether *finding* is about the whole chassis of *port*, or about what all chassis share."""
    if finding.code in _OF_NO_PORT:
        return False
    if finding.chassis is None:
        return finding.subject.startswith("northbound") and not port["up"]
    return _is_whole(finding, network["name"])


def _is_whole(finding: Finding, network: str) -> bool:
    """Return whether *finding* is about a chassis as a whole, or a MAC of *network*."""
    noun = finding.subject.partition(" ")[0]
    return noun not in _OF_ROWS or (noun == "MAC" and finding.subject.endswith(f" of network {network}"))


def _candidates(found: Iterable[Finding], port: Row) -> list[Finding]:
    """Return the findings about VIFs without a port, where *port* is requested if it is: one may be its."""
    import difflib

    wanted = port["requested_chassis"] or ""
    nameless = {
        each.subject.removeprefix("vif "): each
        for each in found
        if each.code == "T302" and (not wanted or each.chassis in wanted.split(","))
    }
    close = difflib.get_close_matches(iface_id.of(port), nameless, n=_MOST_CANDIDATES, cutoff=0.0)
    return [replace(nameless[name], severity="warning") for name in close]
