"""A plan: what the agent would change on the switch if it compared everything now, and what that means.

It is computed here from both databases and from the flows that the switch holds, by the agent's own
functional core, so the agent may be busy or down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from trunkline.bridge.forwarding import encodable
from trunkline.bridge.incumbent import incumbents
from trunkline.bridge.migration import Migration
from trunkline.core import plan as planning
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, COOKIE_PROBE, Subject, cookie_parts
from trunkline.core.desired import Desired
from trunkline.core.field import Field, Term
from trunkline.core.frame import VLAN_PRESENT
from trunkline.core.name import natural
from trunkline.core.outcome import Outcomes
from trunkline.core.pipeline import Band, Owner
from trunkline.core.subject import SubjectId
from trunkline.insight.connection import InstalledFlow
from trunkline.insight.flow import MOST_FOREIGN, VERSION, in_order, lines
from trunkline.insight.name import Names, PortName
from trunkline.openflow.message import Counters, decode

if TYPE_CHECKING:
    from trunkline.core.inventory import Inventory
    from trunkline.insight.connection import Connection
    from trunkline.insight.flow import Line
    from trunkline.ovsdb.reading import Reading

Verb = Literal["add", "change", "delete"]
VERBS: tuple[Verb, ...] = ("change", "add", "delete")

TRIES = 3
"""How often everything is read if the databases change while the flows are read."""

_UPLINK = (Band.UPLINK.table.value, Band.UPLINK.priority)
UNCOUNTED = Counters(0.0, 0, 0)


class FlowChange(NamedTuple):
    """What happens to one flow: as it is, None if it is added, and as it will be, None if it is deleted."""

    verb: Verb
    old: InstalledFlow | None
    new: InstalledFlow | None

    @property
    def shown(self) -> InstalledFlow:
        """The flow by which the change is called."""
        found = self.new or self.old
        assert found is not None
        return found


class VlanChange(NamedTuple):
    """The VLANs that are new on a physical network, and those that are gone."""

    new: list[int]
    gone: list[int]


@dataclass(frozen=True)
class FlowPlan:
    """What is to be done on the switch of *chassis*, whose integration bridge is *bridge*.

    *flow_count* is how many flows there should be; *others* are the flows that are not ours, which are left
    alone. *names* are those of rows as they should be. *is_steady* is False if the databases changed all the
    time, so that some of the changes may be under way.
    """

    chassis: str
    bridge: str
    flow_count: int
    changes: tuple[FlowChange, ...]
    others: tuple[InstalledFlow, ...]
    local_ports: frozenset[int]
    names: Names
    physnet_by_ofport: Mapping[int, str]
    is_steady: bool

    @property
    def counts(self) -> dict[Verb, int]:
        """How many flows are changed, added and deleted."""
        found = Counter(change.verb for change in self.changes)
        return {verb: found[verb] for verb in VERBS}

    @property
    def lost_packets(self) -> int:
        """How many frames, at least, the flows that are to be deleted have carried.

        A frame meets one flow of a table, and passes several tables.
        """
        by_table: Counter[int] = Counter()
        for change in self.changes:
            if change.new is None and change.old is not None:
                by_table[change.old.table] += change.old.counters.packet_count
        return max(by_table.values(), default=0)

    @property
    def affected(self) -> list[str]:
        """The names of the local ports whose frames the changed flows decide upon."""
        keys: set[int] = set()
        networks: set[int] = set()
        for change in self.changes:
            for flow in (change.old, change.new):
                parts = None if flow is None else cookie_parts(flow.cookie)
                if parts is None:
                    continue
                if parts.subject is Subject.CHASSIS:
                    keys |= self.local_ports
                elif parts.subject in (Subject.NETWORK, Subject.MAC):
                    networks.add(parts.key)
                else:
                    keys.add(parts.key)
        for key in self.local_ports - keys:
            port = self.names.port_by_key.get(key)
            if port is not None and port.network_key in networks:
                keys.add(key)
        return sorted((self.names.port(key) for key in keys & self.local_ports), key=natural)

    @property
    def vlans(self) -> dict[str, VlanChange]:
        """The VLANs that frames are no longer taken from, or are from now on, by physical network."""
        before, after = (
            {vlan for change in self.changes for vlan in self._vlans(change, which)} for which in (1, 2)
        )
        changed = before ^ after
        return {
            physnet: VlanChange(
                *(sorted(vlan for at, vlan in vlans & changed if at == physnet) for vlans in (after, before))
            )
            for physnet in sorted({physnet for physnet, _ in changed}, key=natural)
        }

    def _vlans(self, change: FlowChange, which: int) -> Iterator[tuple[str, int]]:
        """Yield the physical network and the VLAN of a flow that takes frames from an uplink."""
        flow = change[which]
        if isinstance(flow, InstalledFlow) and (flow.table, flow.priority) == _UPLINK:
            terms = {each.field: each for each in decode(flow.key, flow.body).match if isinstance(each, Term)}
            ofport, tag = terms.get(Field.IN_PORT), terms.get(Field.VLAN_VID)
            physnet = None if ofport is None else self.physnet_by_ofport.get(ofport.value)
            if physnet is not None and tag is not None and tag.mask is None and tag.value & VLAN_PRESENT:
                yield physnet, tag.value & ~VLAN_PRESENT

    @property
    def others_by_cookie(self) -> dict[int, int]:
        """How many flows there are of each cookie that is not ours: of those that most flows have."""
        counts = Counter(flow.cookie for flow in self.others).most_common(MOST_FOREIGN)
        return dict(sorted(counts))

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "version": VERSION,
            "chassis": self.chassis,
            "bridge": self.bridge,
            "flows": self.flow_count,
            "counts": self.counts,
            "steady": self.is_steady,
            "changes": [line.data() for line in change_lines(self.changes, self.names)],
            "vlans": {physnet: vlans._asdict() for physnet, vlans in self.vlans.items()},
            "affected_ports": self.affected,
            "deleted_packets": self.lost_packets,
            "foreign_flows": len(self.others),
            "foreign": [
                {"cookie": f"{cookie:#x}", "flows": count} for cookie, count in self.others_by_cookie.items()
            ],
        }


class ChangeLine(NamedTuple):
    """A change in words: the flow as it is, and as it will be."""

    change: FlowChange
    old: Line | None
    new: Line | None

    @property
    def shown(self) -> Line:
        """The line by which the change is called."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def holder(self) -> str | None:
        """Who holds the cookie of a flow that is replaced by one with another, or that no app would make."""
        if self.old is None:
            return None
        if self.new is not None:
            return None if self.old.flow.cookie == self.new.flow.cookie else holder(self.old)
        band, parts = self.old.kind.band, self.old.parts
        is_plausible = band is not None and parts is not None and parts.owner is band.owner
        return None if is_plausible else holder(self.old)

    def data(self) -> dict[str, Any]:
        """Return it as JSON: the flow, with its counters; of a change also what is there now."""
        before = None if self.old is None or self.new is None else self.old.data()
        found: dict[str, Any] = {"verb": self.change.verb, **self.shown.data()}
        if before is not None and self.old is not None:
            found |= {key: before[key] for key in ("packets", "bytes", "age_s")}
            found["old"] = {"actions": before["actions"], "cookie": before["cookie"], "does": self.old.does}
        return found | {"held_by": self.holder}


def change_lines(changes: Iterable[FlowChange], names: Names) -> Iterator[ChangeLine]:
    """Yield *changes* in words, in their order."""
    for change in changes:
        old, new = (None if flow is None else next(lines([flow], names)) for flow in (change.old, change.new))
        yield ChangeLine(change, old, new)


def holder(line: Line) -> str:
    """Return who made the flow of *line*, by its cookie."""
    if line.parts is None:
        is_ours = line.flow.cookie & COOKIE_OURS_MASK == COOKIE_OURS
        whose = "with our mark, but of no app of ours" if is_ours else "of another program"
        return f"cookie {line.flow.cookie:#x}, {whose}"
    owner = f"our cookie, app {line.parts.owner.name.lower()}"
    return owner if line.row is None else f"{owner}, row {line.row}"


def flow_plan(reading: Reading, connection: Connection, names: Names) -> FlowPlan:
    """Return what is to be done so that the switch at *connection* is as the databases of *reading* say.

    *names* are those that the databases as they should be do not have. Everything is read between two reads
    of the databases that say the same, so that a change in the middle is not taken for a difference.
    """
    reading.read()
    desired: Desired[SubjectId] = Desired()
    outcomes = Outcomes(reading.inventory)
    is_steady = False
    for _ in range(TRIES):
        there = connection.flows()
        ours = {flow.key: flow for flow in there if flow.cookie & COOKIE_OURS_MASK == COOKIE_OURS}
        recover({key: flow.body for key, flow in ours.items()}, reading)
        revision = reading.inventory.revision
        desired.replace({subject: encodable(view) for subject, view in outcomes.refresh().items()})
        reading.read()
        is_steady = reading.inventory.revision == revision
        if is_steady:
            break
    wanted = desired.body_by_key
    all_names = names_of(reading.inventory, names)
    return FlowPlan(
        chassis=reading.inventory.chassis,
        bridge=reading.settings.wiring.bridge,
        flow_count=len(wanted),
        changes=tuple(_changes(wanted, ours, {flow.key: flow for flow in there})),
        # Flows of a probe go by themselves, and no plan knows of them.
        others=tuple(
            flow
            for flow in there
            if flow.key not in ours and flow.key not in wanted and flow.cookie != COOKIE_PROBE
        ),
        local_ports=_local_ports(wanted) | _local_ports({key: flow.body for key, flow in ours.items()}),
        names=all_names,
        physnet_by_ofport={uplink.ofport: physnet for physnet, uplink in reading.inventory.uplinks.items()},
        is_steady=is_steady,
    )


def recover(installed: Mapping[bytes, bytes], reading: Reading) -> None:
    """Learn from the *installed* flows what an agent that starts learns: ports awake, VIFs in use."""
    Migration().recover(installed, reading.inventory)
    for iface_id, ofport in incumbents(installed, reading.inventory).items():
        reading.use_vif(iface_id, ofport)


def _changes(
    wanted: Mapping[bytes, bytes], ours: Mapping[bytes, InstalledFlow], there: Mapping[bytes, InstalledFlow]
) -> Iterator[FlowChange]:
    """Yield what turns the flows that are *ours* into those *wanted*, as a frame meets them.

    A flow that is added takes the place of any that is *there* with the same match, whosever that is.
    """
    plan = planning.plan(wanted, {key: flow.body for key, flow in ours.items()})
    new = {key: InstalledFlow(key, body, UNCOUNTED) for key, body in (plan.adds | plan.modifies).items()}
    for flow in in_order([*new.values(), *(ours[key] for key in plan.deletes)]):
        if flow.key in plan.deletes:
            yield FlowChange("delete", flow, None)
        else:
            before = there.get(flow.key)
            yield FlowChange("add" if before is None else "change", before, flow)


def _local_ports(body_by_key: Mapping[bytes, bytes]) -> frozenset[int]:
    """Return the keys of the ports whose VIFs frames are taken from."""
    places = {
        band.table.value.to_bytes() + band.priority.to_bytes(2)
        for band in (Band.VIF, Band.SUBPORT, Band.SLEEPING)
    }
    parts = (
        cookie_parts(int.from_bytes(body[: planning.COOKIE_BYTES]))
        for key, body in body_by_key.items()
        if key[:3] in places
    )
    return frozenset(each.key for each in parts if each is not None and each.owner is Owner.CLASSIFIER)


def names_of(inventory: Inventory, others: Names) -> Names:
    """Return the names of the rows of *inventory*, and *others* of rows that it does not have."""
    networks = inventory.networks
    return Names(
        port_by_key={
            **others.port_by_key,
            **{
                port.key: PortName(
                    port.name, networks[port.network_id].key if port.network_id in networks else None
                )
                for port in inventory.ports.values()
            },
        },
        network_by_key={
            **others.network_by_key,
            **{network.key: network.name for network in networks.values()},
        },
        interface_by_ofport=others.interface_by_ofport,
        source="northbound",
    )
