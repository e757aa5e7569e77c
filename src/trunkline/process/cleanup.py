"""The cleanup: it removes from a chassis all that the agent made there, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from trunkline.agent.tenure import Tenure
from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK
from trunkline.core.plan import plan
from trunkline.core.setting import DEFAULT_INTEGRATION_BRIDGE, INTEGRATION_BRIDGE, NB, SYSTEM_ID
from trunkline.openflow.event import BundleApplied, BundleRefused, Event, FlowsRead
from trunkline.openflow.session import Session
from trunkline.ovsdb import tls
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.wiring import unwire
from trunkline.process.alone import TIMEOUT_S, await_write, block, switch_alone, until
from trunkline.process.daemon import DaemonError, Options


def clean_up(options: Options) -> Iterator[str]:
    """Remove flows, patch ports and bridge, and withdraw from the northbound; yield a line for each step.

    Raises:
        DaemonError: an agent is running here, or the switch's database does not answer.
    """
    switch = switch_alone(options)
    external_ids, host = switch.external_ids, switch.instance
    bridge = external_ids.get(INTEGRATION_BRIDGE) or DEFAULT_INTEGRATION_BRIDGE
    switch.watch(bridge)
    for used in sorted({bridge, *switch.used_bridges.values()}):
        yield _delete_flows(f"unix:{os.path.join(options.rundir, used)}.mgmt", used)
    if unwire(switch, bridge):
        done = f"patch ports and {bridge} removed"
    else:
        done = f"patch ports removed; {bridge} stays: it has other ports, or is not the agent's"
    yield await_write(switch, done, "patch ports are still there")
    switch.close()
    if switch.tls is not None:
        tls.use(switch.tls)
    if external_ids.get(SYSTEM_ID) and external_ids.get(NB):
        yield _withdraw(NorthboundReplica(external_ids[NB], external_ids[SYSTEM_ID], host), switch.hostname)


def _delete_flows(target: str, bridge: str) -> str:
    """Delete our flows on the bridge; return what was done, in words."""
    if not os.path.exists(target.removeprefix("unix:")):
        return f"no {bridge}, so no flows"
    session = Session(target, cookie=COOKIE_OURS, cookie_mask=COOKIE_OURS_MASK)
    deadline_s = time.monotonic() + TIMEOUT_S
    is_asked, count = False, 0
    try:
        while time.monotonic() < deadline_s:
            for event in session.run():
                found = _flows(event)
                if found is not None:
                    count = len(found)
                    session.send_bundle(plan({}, found))
                if isinstance(event, BundleApplied):
                    return f"{count} flows deleted"
                if isinstance(event, BundleRefused):
                    raise DaemonError(f"{bridge} refused to delete flows: {event.refusals}")
            if session.is_ready and not is_asked:
                session.read_flows()
                is_asked = True
            block([session.wait], deadline_s)
    finally:
        session.close()
    raise DaemonError(f"{target} does not answer; start ovs-vswitchd")


def _flows(event: Event) -> dict[bytes, bytes] | None:
    return dict(event.flow_by_key) if isinstance(event, FlowsRead) else None


def _withdraw(nb: NorthboundReplica, hostname: str) -> str:
    if not until(nb, lambda: nb.are_conditions_met):
        return f"northbound not reached; once it is back: trunkline chassis delete {nb.chassis}"
    tenure = Tenure()

    def is_decided() -> bool:
        return (tenure.run(nb, hostname) or tenure.fault is not None) and not nb.is_writing

    if not until(nb, is_decided, tenure=tenure):
        return f"northbound lost; once it is back: trunkline chassis delete {nb.chassis}"
    done = f"chassis {nb.chassis} withdrawn from the northbound"
    if not tenure.is_held:
        done = f"chassis {nb.chassis} stays in the northbound: host {nb.hostname} has that name too"
    nb.withdraw(list(nb.rows("Port")))
    said = await_write(nb, done, "the northbound still has it")
    nb.close()
    return said
