"""A plan as an agent itself sees it: what it would change on its switch, in an answer to somebody else.

The agent compares the flows that it has computed with those that it last saw on the switch. That takes it
some milliseconds; a plan that is computed from both databases takes half a second. There are counts, and some
changes of each kind.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trunkline.insight import parcel
from trunkline.insight.chassis import Interface
from trunkline.insight.connection import InstalledFlow
from trunkline.insight.flow import OTHERS, VERSION, Kind, in_order, kind
from trunkline.insight.meaning import BAND_BY_PLACE
from trunkline.insight.name import Names, PortName
from trunkline.insight.parcel import number
from trunkline.insight.plan import UNCOUNTED, VERBS, FlowChange, Verb, change_lines
from trunkline.northbound.body import UnreadableError
from trunkline.openflow import message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KIND: Literal["plan"] = "plan"
"""The kind of the question (`Request:kind`)."""


@dataclass(frozen=True)
class PlanSummary:
    """What the agent of *chassis*, whose integration bridge is *bridge*, would change there.

    *flow_count* is how many flows there should be. *changes* are some of each kind. *hold* is why nothing is
    changed now. *is_computed* says whether that is what follows from all that the agent knows.
    """

    chassis: str
    bridge: str
    flow_count: int
    hold: str | None
    is_computed: bool
    count_by_kind: Mapping[tuple[Verb, Kind], int]
    changes: tuple[FlowChange, ...]
    names: Names

    @property
    def counts(self) -> dict[Verb, int]:
        """How many flows are changed, added and deleted."""
        found: Counter[str] = Counter()
        for (verb, _), count in self.count_by_kind.items():
            found[verb] += count
        return {verb: found[verb] for verb in VERBS}

    @property
    def is_steady(self) -> bool:
        """Whether this stays as it is, unless something else changes."""
        return self.is_computed and (self.hold is not None or not any(self.counts.values()))

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "version": VERSION,
            "source": "agent",
            "chassis": self.chassis,
            "bridge": self.bridge,
            "flows": self.flow_count,
            "counts": self.counts,
            "steady": self.is_steady,
            "hold": self.hold,
            "bands": [
                {"verb": verb, "table": what.table, "band": what.name, "flows": count}
                for (verb, what), count in self.count_by_kind.items()
            ],
            "changes": [line.data() for line in change_lines(self.changes, self.names)],
        }


def kind_of(change: FlowChange) -> tuple[Verb, Kind]:
    """Return of which kind *change* is; all flows of no band of a table are one."""
    found = kind(change.shown)
    return change.verb, found if found.band is not None else Kind(found.table, OTHERS, None, OTHERS)


def change_item(change: FlowChange) -> list[Any]:
    """Return *change* as an item of a parcel."""
    bodies = (None if flow is None else flow.body.hex() for flow in (change.old, change.new))
    return ["change", change.shown.key.hex(), *bodies]


def count_item(verb: Verb, what: Kind, count: int) -> list[Any]:
    """Return how many changes of one kind there are as an item of a parcel."""
    return ["count", verb, what.table, what.priority, count]


def summary(body: Mapping[str, Any]) -> PlanSummary:
    """Return what *body*, an answer, says. Raises one of `parcel.UNREADABLE`."""
    packed = parcel.items(body.get("packed"))
    hold = body.get("hold")
    changes = [_change(*item[1:]) for item in packed if item[0] == "change"]
    by_flow = {change.shown: change for change in changes}
    return PlanSummary(
        chassis=str(body.get("chassis")),
        bridge=str(body.get("bridge")),
        flow_count=number(body["flows"]),
        hold=None if hold is None else str(hold),
        is_computed=body.get("computed") is True,
        count_by_kind=dict(_count(*item[1:]) for item in packed if item[0] == "count"),
        changes=tuple(by_flow[flow] for flow in in_order(by_flow)),
        names=_names(packed),
    )


def _count(verb: Any, table: Any, priority: Any, count: Any) -> tuple[tuple[Verb, Kind], int]:
    found = next((known for known in VERBS if known == verb), None)
    if found is None:
        raise UnreadableError(f"nobody does {verb!r} to a flow")
    band = BAND_BY_PLACE.get((number(table), priority))
    what = Kind(
        table, OTHERS if priority == OTHERS else number(priority), band, OTHERS if band is None else None
    )
    return (found, what), number(count)


def _change(key: Any, old: Any, new: Any) -> FlowChange:
    flows = [None if body is None else _flow(key, body) for body in (old, new)]
    if flows == [None, None]:
        raise UnreadableError("a change of nothing")
    verb: Verb = "add" if flows[0] is None else "delete" if flows[1] is None else "change"
    return FlowChange(verb, flows[0], flows[1])


def _flow(key: Any, body: Any) -> InstalledFlow:
    found = InstalledFlow(bytes.fromhex(key), bytes.fromhex(body), UNCOUNTED)
    message.decode(found.key, found.body)
    return found


def _names(packed: Iterable[list[Any]]) -> Names:
    """Return the names that the agent gives for what its changes speak of."""
    ports: dict[int, PortName] = {}
    networks: dict[int, str] = {}
    interfaces: dict[int, Interface] = {}
    for word, key, name, *more in (item for item in packed if item[0] in ("port", "network", "interface")):
        if word == "port":
            ports[number(key)] = PortName(str(name), None if more[0] is None else number(more[0]))
        elif word == "network":
            networks[number(key)] = str(name)
        else:
            interfaces[number(key)] = Interface(str(name), None if more[0] is None else str(more[0]))
    return Names(ports, networks, interfaces, source="agent")
