"""A leak: a frame that goes elsewhere than it should, told to an operator, with its way and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from trunkline.core.amount import counted
from trunkline.insight import vswitchd
from trunkline.insight.connection import InstalledFlow, SwitchError
from trunkline.insight.flow import Line, lines
from trunkline.insight.plan import UNCOUNTED
from trunkline.openflow.message import decode
from trunkline.openflow.oxm import Foreign
from trunkline.path import fields
from trunkline.path.translation import TranslationError, translation
from trunkline.proof.example import in_words, octets, plain
from trunkline.proof.overlap import overlap
from trunkline.proof.proof import Violation, outer_vlan_id
from trunkline.proof.switch import Rule, rules
from trunkline.proof.table import Table, tables
from trunkline.proof.wrong import NOWHERE, Wrong

if TYPE_CHECKING:
    from trunkline.insight.name import Names
    from trunkline.insight.plan import FlowChange
    from trunkline.ovsdb.reading import Reading
    from trunkline.proof.intent import Intent

MOST_CHARACTERS = 500
"""How much of a flow is told: one that delivers broadcast can list thousands of ports."""

_AT_ONCE = "ovs-appctl -t trunkline-agent recompute"


class Teller:
    """Says what a violation is, with names. The switch has *flows*, bodies by key."""

    def __init__(
        self,
        reading: Reading,
        rundir: str,
        intent: Intent,
        names: Names,
        flows: Mapping[bytes, bytes],
        changes: Sequence[FlowChange] | None,
    ) -> None:
        self._bridge, self._inventory = reading.settings.wiring.bridge, reading.inventory
        self._rundir, self._intent, self._names = rundir, intent, names
        self._flows, self._changes = flows, changes
        self._changed = {change.old.key for change in changes or () if change.old is not None}
        self._uplink_by_ofport = {uplink.ofport: uplink for uplink in self._inventory.uplinks.values()}

    def leak(self, wrong: Wrong) -> dict[str, Any]:
        """Return *wrong*, with a frame that it happens to, as JSON."""
        violation = wrong.violation
        frame = self._example(wrong)
        data = octets(frame, is_tagged=violation.is_tagged)
        trace, overlapping = self._said(wrong, frame, data)
        flows = (InstalledFlow(rule.key, rule.body, UNCOUNTED) for rule in violation.rules)
        way = list(lines(flows, self._names))
        network_id = violation.meant.network_id
        return {
            "what": wrong.what,
            "why": violation.meant.refusal,
            "explain": way[-1].place if way else None,
            "from": {
                **self._end(violation.in_port, None),
                "network": None if network_id is None else self._inventory.networks[network_id].name,
            },
            "to": self._end(wrong.ofport, outer_vlan_id(wrong.tags)),
            "has_inner_tag": wrong.has_inner_tag,
            "frame": data.hex(),
            "frame_words": in_words(data),
            "trace": trace,
            "overlap": [each.text[:MOST_CHARACTERS] for each in overlapping],
            "way": [_way_words(each) for each in way],
            "flow": violation.rules[-1].text[:MOST_CHARACTERS] if way else None,
            "remedy": self._remedy(violation, way),
        }

    def _end(self, ofport: int, vlan_id: int | None) -> dict[str, Any]:
        """Return what is known of where frames come in or leave, with a tag if *vlan_id* is given."""
        uplink = self._uplink_by_ofport.get(ofport)
        port = self._intent.port_by_outlet.get((ofport, vlan_id if uplink is None else None))
        networks = self._inventory.networks
        if uplink is not None:
            network = next(
                (
                    each.name
                    for each in networks.values()
                    if (each.physnet, each.vlan_id) == (uplink.physnet, vlan_id)
                ),
                None,
            )
        else:
            network = None if port is None else networks[port.network_id].name
        return {
            "ofport": ofport,
            "interface": self._interface(ofport),
            "port": None if port is None else port.name,
            "physnet": None if uplink is None else uplink.physnet,
            "vlan": vlan_id,
            "network": network,
        }

    def _interface(self, ofport: int) -> str:
        found = self._names.interface_by_ofport.get(ofport)
        return f"ofport {ofport}" if found is None else found.name

    def _example(self, wrong: Wrong) -> int:
        sources, destinations = (
            [port.mac for (at, _), port in self._intent.port_by_outlet.items() if at == ofport]
            for ofport in (wrong.violation.in_port, wrong.ofport)
        )
        return plain(wrong.violation.space, sources, destinations)

    def _said(self, wrong: Wrong, frame: int, data: bytes) -> tuple[str, tuple[Rule, ...]]:
        """Return whether ovs-vswitchd agrees about *frame*, and the flows that overlap, if it is for these.

        *data* are the bytes of *frame*.
        """
        try:
            leaves = self._leaves(wrong, data)
        except (SwitchError, TranslationError) as error:
            return f"ofproto/trace was not asked: {error}", ()
        violation = wrong.violation
        is_sent = wrong.what != NOWHERE and any(ofport == wrong.ofport for ofport, _ in violation.got)
        if leaves == is_sent:
            return "ofproto/trace agrees", ()
        found = overlap(
            self._tables, violation.in_port, frame, violation.rules, is_tagged=violation.is_tagged
        )
        if not found:
            return "ofproto/trace does not agree about this frame; another one may do so", ()
        flows, table = counted(len(found), "flow"), found[0].table
        return (
            f"ofproto/trace does not agree: {flows} of priority {found[0].priority} in table {table} match "
            "this frame, and the switch may take any of them",
            found,
        )

    @cached_property
    def _tables(self) -> dict[int, Table]:
        return tables(rules(self._flows.items()))

    def _leaves(self, wrong: Wrong, frame: bytes) -> bool:
        """Return whether ovs-vswitchd would have *frame* leave there."""
        words = fields.words(self._bridge, wrong.violation.in_port, frame)
        said = translation(vswitchd.ask(self._rundir, "ofproto/trace", "--names", *words), frame)
        uplink = self._uplink_by_ofport.get(wrong.ofport)
        if uplink is None:
            interface = self._interface(wrong.ofport)
            return any(output.device == interface for output in said.outputs)
        return any(rule.bridge == uplink.bridge for rule in said.rules)

    def _remedy(self, violation: Violation, way: Sequence[Line]) -> str:
        """Return what to do about the first flow on the way that the agent would not have there."""
        bridge = self._bridge
        for rule, line in zip(violation.rules, way, strict=True):
            if line.parts is None:
                return f"a flow of another program is on this way; {_removal(rule, bridge)}"
            if rule.key in self._changed:
                return (
                    f"somebody changed the flow {line.place}; the agent repairs that, or at once: {_AT_ONCE}"
                )
        if self._changes is None:
            return "see what the agent would change: trunkline plan"
        if any(change.verb == "add" for change in self._changes):
            return f"flows are missing: see trunkline plan; the agent repairs that, or at once: {_AT_ONCE}"
        return "this is what the agent computes, a defect of Trunkline: please report it"


def _removal(rule: Rule, bridge: str) -> str:
    """Return how to remove the flow *rule* from *bridge*; by its cookie if its match cannot be spelt."""
    flow = decode(rule.key, rule.body)
    if any(isinstance(each, Foreign) for each in flow.match):
        return (
            "to remove all of its cookie in that table: ovs-ofctl -O OpenFlow14 del-flows "
            f"{bridge} cookie={flow.cookie:#x}/-1,table={int(flow.table)}"
        )
    head = rule.text.partition(",")[2].partition("actions=")[0].rstrip(",")
    return f"to remove it: ovs-ofctl -O OpenFlow14 --strict del-flows {bridge} {head}"


def _way_words(line: Line) -> str:
    does = line.does if len(line.does) <= MOST_CHARACTERS else f"{line.does[:MOST_CHARACTERS]}…"
    row = "" if line.row is None else f" {line.row}"
    return f"{line.kind.table} {line.kind.name}{row}: {line.matches}: {does}"
