"""What is wrong with the chassis of this machine, found on it, whether its agent runs or not."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trunkline.core.error import TrunklineError
from trunkline.core.outcome import name, outcome
from trunkline.core.setting import DATAPATH_TYPE
from trunkline.health import cause, inspection, own_agent, unheard
from trunkline.health.answer import SET, unsaid
from trunkline.health.check import merged
from trunkline.health.finding import Finding
from trunkline.health.inspection import Counts, Scope, Seen
from trunkline.insight import daemon, vswitchd
from trunkline.insight.connection import Connection, SwitchError
from trunkline.insight.name import Names
from trunkline.insight.plan import flow_plan
from trunkline.insight.waiting import finished
from trunkline.northbound import member
from trunkline.northbound.rpc import RENEW, UnreachableError
from trunkline.openflow import tally
from trunkline.openflow.census import flow_counts
from trunkline.ovsdb import integration_bridge, way_out, wiring
from trunkline.ovsdb.reading import Reading
from trunkline.ovsdb.settings import SettingsError
from trunkline.path import hindrance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trunkline.insight.chassis import Chassis
    from trunkline.northbound.rpc import Tls
    from trunkline.path.hindrance import Replies

    _Place = tuple[str | None, Tls | None]


def own_findings(
    there: Chassis, remotes: str | None = None, files: Tls | None = None
) -> tuple[str, list[Finding]]:
    """Return the name of *there*, the chassis of this machine, and what is wrong with it.

    *remotes* and *files* are used in place of the northbound that its settings name. What cannot be read is
    a finding, and the rest is looked at all the same.

    Raises:
        UnreachableError: the switch's own database does not answer.
    """
    is_running, said = own_agent.runs(there.remote), own_agent.state(there.rundir)
    reading = Reading(there.remote, remotes, files)
    try:
        found = list(_read(there, reading, said, (remotes, files)))
        codes = {each.code for each in found}
        if not is_running:
            found.append(_NO_AGENT)
        chassis = reading.settings.chassis if reading.has_settings else reading.switch.hostname
        is_answering = "T401" not in codes
        faults: Mapping[str, str] = (
            said["faults"]
            if said is not None
            else _faults(there, reading, is_whole=not codes & _UNREAD, is_answering=is_answering)
        )
        reported = [cause.finding(chassis, subject, str(reason)) for subject, reason in faults.items()]
        found += [
            _unreached(each, (there.nb_remotes, there.nb_tls))
            if each.code == "T104" and "T104" not in codes
            else each
            for each in reported
        ]
        if reading.has_settings:
            found += _inspected(there, reading, faults, is_answering=is_answering)
        return chassis, merged(replace(each, chassis=chassis) for each in found)
    finally:
        reading.close()


PATIENCE_S = 5.0
"""How long provider bridges may take to say how many flows they have."""

_SWITCH_UNIT = "openvswitch-switch"

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


def _read(
    there: Chassis, reading: Reading, said: Mapping[str, Any] | None, named: _Place
) -> Iterator[Finding]:
    """Read both databases and the flows; yield why that fails, or that the flows are not right.

    *named* is the northbound that is read, if it is not the one of the settings.
    """
    try:
        reading.read()
        # One that hangs is waited for once, and here.
        vswitchd.ask(str(there.management_socket.parent), "version")
        with Connection(there.management_socket) as bridge:
            plan = flow_plan(reading, bridge, Names())
    except SwitchError as error:
        yield _no_switch(error)
    except SettingsError as error:
        yield _told("T408", "settings", error)
    except UnreachableError as error:
        place = named if named[0] is not None else (there.nb_remotes, there.nb_tls)
        yield _unreached(_told("T104", "northbound", error), place)
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


def _no_switch(error: SwitchError) -> Finding:
    """Return why the switch does not answer, by *error*: whether ovs-vswitchd is dead, or hangs."""
    if error.number in (errno.ENOENT, errno.ECONNREFUSED):
        text = "ovs-vswitchd does not run"
        return _finding(
            "T401", "switch", text, f"systemctl restart {_SWITCH_UNIT}; its log says why it ended"
        )
    if error.number in (errno.EAGAIN, errno.ETIMEDOUT):
        text = f"ovs-vswitchd runs, and has not answered for {daemon.PATIENCE_S:g} s: it hangs"
        return _finding("T401", "switch", text, f"systemctl restart {_SWITCH_UNIT}; its log may say why")
    return _told("T401", "switch", error)


def _unreached(finding: Finding, place: _Place) -> Finding:
    """Return *finding*, that the northbound at *place* is not reached, in the words that a command gets.

    The replicas of the agent tell less, of TLS above all. If a command reaches it, *finding* itself.
    """
    remotes, tls = place
    reasons = []
    for remote in filter(None, (each.strip() for each in (remotes or "").split(","))):
        try:
            member.connect(remote, PATIENCE_S, tls).close()
        except TrunklineError as error:
            reasons.append(str(error))
        else:
            return finding
    said = "; ".join(reason.partition("; ")[0] for reason in reasons)
    text = f"the northbound does not answer, so what should be is not known ({said})"
    is_refused = any(word in reason for reason in reasons for word in ("certificate", "TLS"))
    remedy = "correct these files: ovs-vsctl get-ssl" if is_refused else "start it, or correct trunkline-nb"
    remedy = RENEW if any(reason.endswith(RENEW) for reason in reasons) else remedy
    return replace(finding, text=text, remedy=remedy) if reasons else finding


def _told(code: str, subject: str, error: TrunklineError) -> Finding:
    text, _, remedy = str(error).partition("; ")
    return _finding(code, subject, text, remedy or "correct what it names")


def _faults(there: Chassis, reading: Reading, *, is_whole: bool, is_answering: bool) -> dict[str, str]:
    """Return the faults that an agent would report by the rows alone, by subject.

    If the northbound was not read, so that the rows are not *is_whole*, they say nothing of ports. Only a
    switch that *is_answering* is asked for flows.
    """
    if not reading.has_settings:
        return {}
    settings, switch, inventory = reading.settings, reading.switch, reading.inventory
    uplinks, by_physnet = wiring.uplinks(
        switch, settings.wiring, _empty(there, reading) if is_answering else set()
    )
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


def _counts(there: Chassis) -> Counts:
    """Return what the flows have counted."""
    with Connection(there.management_socket, versions=tally.VERSIONS) as bridge:
        found = Counts()
        finished(bridge.count(found.note))
        return found


def _said(there: Chassis) -> Replies:
    """Return what the switch says of its settings."""
    with Connection(there.management_socket) as bridge:
        return finished(hindrance.replies(bridge, there.remote))


def _inspected(
    there: Chassis, reading: Reading, faults: Mapping[str, str], *, is_answering: bool
) -> Iterator[Finding]:
    """Yield what no fault says, by the rows and, of a switch that *is_answering*, by what flows counted."""
    inventory, counts, said = reading.inventory, None, None
    if is_answering:
        try:
            counts = _counts(there)
        except SwitchError as error:
            yield _no_switch(error)
    if counts is not None:
        try:
            said = _said(there)
        except (SwitchError, UnreachableError) as error:
            yield unsaid(inventory.chassis, SET, error)
    seen = Seen(reading.switch, reading.settings, inventory, counts, said, faults)
    others = {
        port.network_id for port in inventory.ports.values() if port.chassis not in (None, inventory.chassis)
    }
    shared = {f"network {inventory.networks[id_].name}" for id_ in others & inventory.networks.keys()}
    for each in inspection.findings(seen, Scope()):
        if each is not None and not (each.code == unheard.CODE and each.subject in shared):
            yield each
