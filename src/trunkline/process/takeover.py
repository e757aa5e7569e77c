"""The takeover: a switch goes over from Neutron's Open vSwitch agent to Trunkline's flows, in place.

That agent leaves each bridge with a controller, in fail mode secure, and with flows of its own. On a provider
bridge these translate the numbers that it gives to networks on this host into VLANs. So frames by its flows
on one bridge must never meet ours on the other. Between the two, the patch ports let nothing through.

Open vSwitch deletes all flows of a bridge when its last controller goes; without `fail_mode` it then switches
normally (ovs-vswitchd.conf.db(5)).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trunkline.core.amount import counted
from trunkline.core.error import TrunklineError
from trunkline.core.plan import Plan
from trunkline.insight.connection import Connection
from trunkline.insight.controller import controllers
from trunkline.insight.name import Names
from trunkline.insight.plan import FlowPlan, flow_plan
from trunkline.openflow.event import BundleApplied, BundleRefused
from trunkline.openflow.session import Session
from trunkline.ovsdb.datum import every, one, pairs
from trunkline.ovsdb.patch_pair import NO_VLAN, BridgeMapping
from trunkline.ovsdb.reading import Reading
from trunkline.ovsdb.switch_row import BridgeRow, InterfaceRow, PortRow
from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.ovsdb.wiring import uplinks
from trunkline.process.alone import TIMEOUT_S, await_write, block, switch_alone, until
from trunkline.process.daemon import DaemonError, Options

DEAD_VLAN = 4095
"""The tag that Neutron's agent gives to VIFs that it does not serve."""

FlowBytes = Mapping[bytes, bytes]
"""The bodies of flows by their keys, as in `trunkline.core.plan`."""


class TakeoverError(TrunklineError):
    """The switch cannot be taken over, and is as before."""


@dataclass(frozen=True)
class Takeover:
    """What there is to do on the switch.

    *wanted* are the flows that the integration *bridge* should have, *others* those of others that it has.
    *controlled* are the bridges with a controller, *obstacles* the reasons not to begin.
    """

    bridge: str
    mappings: tuple[BridgeMapping, ...]
    wanted: FlowBytes
    others: FlowBytes
    port_count: int
    controlled: frozenset[str]
    obstacles: tuple[str, ...]

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.others or self.controlled)

    def lines(self) -> Iterator[str]:
        """Yield in words what is to be done."""
        flows, ports = counted(len(self.wanted), "flow"), counted(self.port_count, "local port")
        others = counted(len(self.others), "flow")
        yield f"{self.bridge}: {flows}, for {ports}, take the place of {others} of others"
        for bridge in sorted({self.bridge, *self.controlled}):
            if bridge in self.controlled:
                mode = "stays secure" if bridge == self.bridge else "becomes a plain switch"
                yield f"{bridge}: no controller any more; it {mode}"


def take_over(options: Options, *, is_dry: bool) -> Iterator[str]:
    """Do it, unless *is_dry*; yield a line for each thing that is to be done, and for what was done.

    If the switch refuses our flows, those that were there are put back.

    Raises:
        DaemonError: an agent of Trunkline is running here, or the switch does not answer.
        TakeoverError: something is in the way, or the switch refused.
        TrunklineError: one of the databases cannot be read.
    """
    switch = switch_alone(options)
    reading = Reading(options.remote)
    try:
        found = _found(reading, options)
        switch.watch(found.bridge)
        if not found.is_needed:
            yield f"nothing to do: {found.bridge} has no flows of others, and no bridge has a controller"
            return
        yield from found.lines()
        if is_dry:
            yield from (f"in the way: {each}" for each in found.obstacles)
            return
        if found.obstacles:
            raise TakeoverError("; ".join(found.obstacles))
        yield _switched_over(switch, found, _target(options, found.bridge))
    finally:
        reading.close()
        switch.close()


# -- what there is -------------------------------------------------------------------------------------


def _found(reading: Reading, options: Options) -> Takeover:
    reading.read()
    wiring = reading.settings.wiring
    with Connection(Path(_target(options, wiring.bridge).removeprefix("unix:"))) as connection:
        plan = flow_plan(reading, connection, Names())
        there = {flow.key: flow.body for flow in connection.flows()}
    wanted = {change.new.key: change.new.body for change in plan.changes if change.new is not None}
    ours = there.keys() - {flow.key for flow in plan.others} - wanted.keys()
    bridges = {wiring.bridge, *(each.bridge for each in wiring.mappings)}
    controller_ids = _controller_ids(reading.switch, bridges)
    obstacles = [
        *_uplink_faults(reading.switch, reading),
        *_live_controllers(options.remote, controller_ids),
        *_cut_off(reading.switch, plan),
    ]
    return Takeover(
        bridge=wiring.bridge,
        mappings=wiring.mappings,
        wanted=wanted,
        others={key: body for key, body in there.items() if key not in ours},
        port_count=len(plan.local_ports),
        controlled=frozenset(controller_ids),
        obstacles=tuple(obstacles),
    )


def _target(options: Options, bridge: str) -> str:
    return f"unix:{os.path.join(options.rundir, bridge)}.mgmt"


def _controller_ids(switch: SwitchReplica, bridges: Collection[str]) -> dict[str, set[str]]:
    """Return the ids of the rows of controllers of those *bridges* that have any."""
    rows = {bridge: switch.row("Bridge", bridge) for bridge in bridges}
    found = {
        bridge: {str(each) for each in every(row, BridgeRow.controller)}
        for bridge, row in rows.items()
        if row is not None
    }
    return {bridge: ids for bridge, ids in found.items() if ids}


def _live_controllers(remote: str, ids_by_bridge: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Yield an obstacle for each controller that runs, or of which that cannot be told."""
    for target, is_there in controllers(remote, {each for ids in ids_by_bridge.values() for each in ids}):
        if is_there is None:
            yield f"a controller at {target} is not Neutron's Open vSwitch agent; remove it yourself"
        elif is_there:
            yield f"Neutron's Open vSwitch agent runs (it listens at {target}); stop it"


def _uplink_faults(switch: SwitchReplica, reading: Reading) -> Iterator[str]:
    """Yield an obstacle for each mapping that Neutron's agent does not have."""
    wiring = reading.settings.wiring
    there, faults = uplinks(switch, wiring)
    for mapping in wiring.mappings:
        if mapping.physnet in faults:
            yield f"{mapping.physnet}: {faults[mapping.physnet]}"
        elif mapping.physnet not in there:
            yield (
                f"{mapping.physnet}: there is no {mapping.inner}; give trunkline-bridge-mappings the "
                "bridge_mappings of Neutron's agent"
            )


def _cut_off(switch: SwitchReplica, plan: FlowPlan) -> Iterator[str]:
    """Yield an obstacle for each VIF that Neutron's agent serves, and that would be served no longer."""
    served = {plan.names.port(key) for key in plan.local_ports}
    for interface in switch.interfaces_of(plan.bridge):
        iface_id = pairs(interface, InterfaceRow.external_ids).get("iface-id")
        port = switch.row("Port", one(interface, InterfaceRow.name))
        tag = None if port is None else one(port, PortRow.tag)
        if iface_id and iface_id not in served and tag not in (None, DEAD_VLAN):
            yield (
                f"the VIF {one(interface, InterfaceRow.name)} of port {iface_id} would be cut off: the "
                "northbound has no such port on this chassis; hand the ports over first, on a controller"
            )


# -- doing it ------------------------------------------------------------------------------------------


def _switched_over(switch: SwitchReplica, found: Takeover, target: str) -> str:
    """Switch over; return that in words."""
    session = Session(target, cookie=0, cookie_mask=0)
    try:
        _connect(session, target)
        began_s = time.monotonic()
        _write(switch, found, holds=True, free={found.bridge} & found.controlled)
        refusal = _put(session, Plan(dict(found.wanted), {}, _gone(found.others, found.wanted)))
        if refusal is not None:
            again = _put(session, Plan(dict(found.others), {}, _gone(found.wanted, found.others)))
            _write(switch, found, holds=False)
            more = "" if again is None else " Start Neutron's agent again: it makes its flows anew."
            raise TakeoverError(f"{found.bridge} refused: {refusal}; all is as before.{more}")
        _write(switch, found, holds=True, free=found.controlled)
        _write(switch, found, holds=False)
        held_ms = (time.monotonic() - began_s) * 1000
    finally:
        session.close()
    return f"done; frames were held for {held_ms:.0f} ms. Start the agent"


def _gone(before: FlowBytes, after: FlowBytes) -> dict[bytes, bytes]:
    return {key: body for key, body in before.items() if key not in after}


def _write(
    switch: SwitchReplica, found: Takeover, *, holds: bool, free: Collection[str] = frozenset()
) -> None:
    """Have no controller on the bridges *free*, and the patch ports let no frame through while *holds*.

    A provider bridge that has no controller becomes a plain switch. Return when ovs-vswitchd has done it.
    """
    transaction = switch.begin("trunkline agent: take over")
    for name in free:
        row = switch.row("Bridge", name)
        if row is not None:
            row.controller = []
            row.fail_mode = ["secure"] if name == found.bridge else []
    for mapping in found.mappings:
        port = switch.row("Port", mapping.outer)
        if port is not None:
            port.vlan_mode, port.trunks = (["trunk"], [NO_VLAN]) if holds else ([], [])
    switch.commit(transaction)
    await_write(switch, "", "the switch was not taken over")
    if not until(switch, lambda: switch.is_realized):
        raise DaemonError("ovs-vswitchd does not act upon its database; look at its log, then run this again")


def _connect(session: Session, target: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not session.is_ready:
        session.run()
        if session.is_ready:
            return
        if time.monotonic() >= deadline_s:
            raise DaemonError(f"{target} does not answer; start ovs-vswitchd")
        block([session.wait], deadline_s)


def _put(session: Session, plan: Plan) -> str | None:
    """Have the bridge make *plan* true, all of it or nothing; return why it refused, None if it did not."""
    deadline_s = time.monotonic() + TIMEOUT_S
    if not session.is_ready:
        return "the connection was lost"
    session.send_bundle(plan)
    while time.monotonic() < deadline_s:
        for event in session.run():
            if isinstance(event, BundleApplied):
                return None
            if isinstance(event, BundleRefused):
                return str(event.refusals[0])
        if not session.is_ready:
            return "the connection was lost"
        block([session.wait], deadline_s)
    return "no answer"
