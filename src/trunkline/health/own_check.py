"""What is wrong with the chassis of this machine, found on it, whether its agent runs or not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trunkline.core.error import TrunklineError
from trunkline.core.outcome import name, outcome
from trunkline.core.setting import DATAPATH_TYPE
from trunkline.health import cause, inspection, own_agent, unheard
from trunkline.health.check import merged
from trunkline.health.finding import Finding
from trunkline.health.inspection import Counts, Scope, Seen
from trunkline.insight.connection import Connection, SwitchError
from trunkline.insight.name import Names
from trunkline.insight.plan import flow_plan
from trunkline.insight.waiting import finished
from trunkline.northbound.rpc import UnreachableError
from trunkline.openflow import tally
from trunkline.openflow.census import flow_counts
from trunkline.ovsdb import integration_bridge, way_out, wiring
from trunkline.ovsdb.reading import Reading
from trunkline.ovsdb.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trunkline.insight.chassis import Chassis
    from trunkline.northbound.rpc import Tls


def own_findings(
    there: Chassis, remotes: str | None = None, files: Tls | None = None
) -> tuple[str, list[Finding]]:
    """Return the name of *there*, the chassis of this machine, and what is wrong with it.

    *remotes* and *files* are used in place of the northbound that its settings name. What cannot be read is
    a finding, and the rest is looked at all the same.

    Raises:
        UnreachableError: the switch's own database does not answer.
    """
    is_running, said = own_agent.runs(there.remote), own_agent.state()
    reading = Reading(there.remote, remotes, files)
    try:
        found = list(_read(there, reading, said))
        codes = {each.code for each in found}
        if not is_running:
            found.append(_NO_AGENT)
        chassis = reading.settings.chassis if reading.has_settings else reading.switch.hostname
        faults: Mapping[str, str] = (
            said["faults"] if said is not None else _faults(there, reading, is_whole=not codes & _UNREAD)
        )
        found += [cause.finding(chassis, subject, str(reason)) for subject, reason in faults.items()]
        if reading.has_settings:
            found += _inspected(there, reading, faults)
        return chassis, merged(replace(each, chassis=chassis) for each in found)
    finally:
        reading.close()


PATIENCE_S = 5.0
"""How long provider bridges may take to say how many flows they have."""

_UNREAD = frozenset({"T102", "T104", "T408"})
"""The codes that say that the northbound was not read."""


def _finding(code: str, subject: str, text: str, remedy: str) -> Finding:
    return Finding(code, "error", subject, None, None, text, remedy)


_NO_AGENT = _finding(
    "T407",
    "agent",
    "no agent runs here, so no change is applied; the switch goes on forwarding what it has",
    "systemctl start trunkline-agent",
)


def _read(there: Chassis, reading: Reading, said: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Read both databases and the flows; yield why that fails, or that the flows are not right."""
    try:
        reading.read()
        with Connection(there.management_socket) as bridge:
            plan = flow_plan(reading, bridge, Names())
    except SwitchError as error:
        yield _told("T401", "switch", error)
    except SettingsError as error:
        yield _told("T408", "settings", error)
    except UnreachableError as error:
        yield _told("T104", "northbound", error)
    except TrunklineError as error:
        yield _told("T102", "northbound", error)
    else:
        is_busy = said is not None and not (said.get("settled") and plan.is_steady)
        is_held_back = said is not None and any("refused" in str(each) for each in said["faults"].values())
        if plan.changes and not is_busy and not is_held_back:
            counts = ", ".join(f"{count:,} to {verb}" for verb, count in plan.counts.items() if count)
            yield _finding(
                "T404",
                "flows",
                f"the switch does not hold the flows that it should: {counts}",
                "trunkline plan shows which; the agent puts them right, so start it if it does not run",
            )


def _told(code: str, subject: str, error: TrunklineError) -> Finding:
    text, _, remedy = str(error).partition("; ")
    return _finding(code, subject, text, remedy or "correct what it names")


def _faults(there: Chassis, reading: Reading, *, is_whole: bool) -> dict[str, str]:
    """Return the faults that an agent would report by the rows alone, by subject.

    If the northbound was not read, so that the rows are not *is_whole*, they say nothing of ports.
    """
    if not reading.has_settings:
        return {}
    settings, switch, inventory = reading.settings, reading.switch, reading.inventory
    uplinks, by_physnet = wiring.uplinks(switch, settings.wiring, _empty(there, reading))
    ways_out = way_out.ways_out(switch, settings, uplinks, by_physnet)
    faults = {**settings.faults, **ways_out.faults, **wiring.limit_faults(switch)}
    row = switch.row("Bridge", settings.wiring.bridge)
    datapath_fault = row and integration_bridge.datapath_fault(row, settings.wiring.datapath_type)
    if datapath_fault:
        faults[f"setting {DATAPATH_TYPE}"] = datapath_fault
    if not is_whole:
        used = {iface_id: vifs[0] for iface_id, vifs in inventory.vifs.items()}
        return faults | {
            f"vif {iface_id}": f"{vif.interface} {vif.link_fault}"
            for iface_id, vif in used.items()
            if vif.link_fault is not None
        }
    for network_id in inventory.local_networks():
        network = inventory.networks[network_id]
        fault = ways_out.network_fault(network)
        if fault is not None:
            faults[f"network {network.name}"] = fault
    outcomes = {name(inventory, each): outcome(inventory, each)[1] for each in inventory.subjects()}
    # One cause is one fault: that of an invalid port is enough for its VIF.
    without = reading.invalid_vifs
    own = {subject: fault for subject, fault in outcomes.items() if fault and subject not in without}
    return faults | own | reading.invalid_rows


def _empty(there: Chassis, reading: Reading) -> set[str]:
    """Return the provider bridges that drop everything because they have no flows."""
    rundir = there.management_socket.parent
    bridges = {
        bridge: f"unix:{rundir / bridge}.mgmt"
        for bridge in reading.settings.bridge_by_physnet.values()
        if way_out.shows_all_flows(reading.switch, bridge)
    }
    counts = flow_counts(bridges.values(), PATIENCE_S)
    return {bridge for bridge, target in bridges.items() if counts[target] == 0}


def _inspected(there: Chassis, reading: Reading, faults: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what no fault says, by the rows and by what the flows have counted."""
    counts: Counts | None = None
    try:
        with Connection(there.management_socket, versions=tally.VERSIONS) as bridge:
            found = Counts()
            finished(bridge.count(found.note))
            counts = found
    except SwitchError:
        # That is a finding already: the flows could not be read either.
        counts = None
    inventory = reading.inventory
    seen = Seen(reading.switch, reading.settings, inventory, counts, faults)
    others = {
        port.network_id for port in inventory.ports.values() if port.chassis not in (None, inventory.chassis)
    }
    shared = {f"network {inventory.networks[id_].name}" for id_ in others & inventory.networks.keys()}
    for each in inspection.findings(seen, Scope()):
        if each is not None and not (each.code == unheard.CODE and each.subject in shared):
            yield each
