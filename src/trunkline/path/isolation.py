"""Isolation on this chassis: whether frames go where they should, by the flows that its switch holds now.

The flows are read over a connection of its own and proved (`trunkline.proof`) against the rows of both
databases. The agent is not asked: it may be busy, down, or wrong.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.error import TimedOutError
from trunkline.insight import vswitchd
from trunkline.insight.connection import Connection, SwitchError
from trunkline.insight.flow import VERSION
from trunkline.insight.name import Names, network_key
from trunkline.insight.plan import TRIES, flow_plan, names_of, recover
from trunkline.northbound.client import Northbound
from trunkline.northbound.refusal import NotFoundError
from trunkline.northbound.transaction import no_collection
from trunkline.ovsdb import wiring
from trunkline.ovsdb.reading import Reading
from trunkline.path import megaflow
from trunkline.path.hindrance import Hindrance, hindrances
from trunkline.path.leak import MOST_CHARACTERS, Teller
from trunkline.proof.example import in_words
from trunkline.proof.intent import Intent
from trunkline.proof.proof import Violation, concerns, proved
from trunkline.proof.switch import NotProvableError
from trunkline.proof.switch import rules as rules_of
from trunkline.proof.wrong import WORST_FIRST, Wrong, wrongs

if TYPE_CHECKING:
    from trunkline.insight.chassis import Chassis
    from trunkline.insight.plan import FlowChange
    from trunkline.northbound.rpc import Tls

MOST_LEAKS = 10
"""How many leaks are told; of the others there is the number."""

NAMES_PATIENCE_S = 5.0
"""How long the northbound may take to say whether there is a network of some name."""

PATIENCE_S = 60.0
"""How long the switch may take to list its flows. A table of 300,000 flows takes some seconds."""

NOT_COVERED = (
    "Open vSwitch itself, and what its datapath has cached",
    "mirrors, and frames that programs send by the switch",
    "limits of rate and of length; no-receive-stp; what a controller has set for frames without a flow",
    "provider bridges, NICs and physical switches",
)
"""What is not proved, in words."""


@dataclass(frozen=True)
class Asked:
    """What is asked about: the chassis of *reading*, whose bridge is at *connection*.

    *rundir* has the sockets of Open vSwitch. *names* are those of its interfaces. If *network* is given, only
    the network of that name is asked about. If *is_cache_asked*, what the datapath has cached is too.
    """

    reading: Reading
    connection: Connection
    rundir: str
    names: Names
    network: str | None = None
    is_cache_asked: bool = False

    @property
    def bridge(self) -> str:
        """The integration bridge."""
        return self.reading.settings.wiring.bridge


@contextmanager
def asked(
    there: Chassis,
    nb_remotes: str | None = None,
    nb_tls: Tls | None = None,
    network: str | None = None,
    *,
    is_cache_asked: bool = False,
) -> Iterator[Asked]:
    """Open the connections to ask about *there*, the chassis of this machine, for the length of the block.

    *nb_remotes*, with the files *nb_tls*, are asked in place of the northbound that its settings name.
    """
    names = Names(interface_by_ofport=there.interface_by_ofport)
    with (
        no_collection(),
        closing(Reading(there.remote, nb_remotes, nb_tls)) as reading,
        Connection(there.management_socket, PATIENCE_S) as bridge,
    ):
        yield Asked(reading, bridge, there.rundir, names, network, is_cache_asked)


class Found(NamedTuple):
    """What a proof has found at one moment, of *flows*: bodies by key. It *began_s* by `time.monotonic`."""

    intent: Intent
    flows: Mapping[bytes, bytes]
    violations: list[Violation]
    hindrances: list[Hindrance]
    at: datetime
    began_s: float

    @property
    def is_right(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.violations and not self.hindrances


def answer(asked: Asked) -> dict[str, Any]:
    """Return, as JSON, whether all frames go exactly where they should, and which flows are wrong.

    If the switch has something that the proof does not understand, the settings that are wrong are returned
    all the same, with `refused`: why nothing else is known.

    Raises:
        NotProvableError: it has, and no setting is wrong.
        NotFoundError: there is no such network, or this chassis has no port of it.
        SwitchError: the switch does not answer.
        UnreachableError: a database does not.
        TimedOutError: what is compared changes all the time.
    """
    try:
        return told(asked, _found(asked))
    except NotProvableError as error:
        found = _unproved(asked)
        if found.is_right:
            raise
        return {**told(replace(asked, is_cache_asked=False), found), "refused": str(error)}


def _unproved(asked: Asked) -> Found:
    """Return what is wrong besides the flows, which are not looked at."""
    began_s, at = time.monotonic(), datetime.now().astimezone()
    flows = bodies(asked.connection)
    intent = _intent(asked, flows)
    return Found(intent, flows, [], hindering(asked, intent), at, began_s)


def told(asked: Asked, found: Found) -> dict[str, Any]:
    """Return what was *found*, as JSON; raises as `answer` does."""
    kinds: dict[Hashable, Wrong] = {}
    ofports = {port.ofport for port in asked.connection.ports()} if found.violations else set()
    for each in sorted(found.violations, key=_plainest_first):
        for wrong in wrongs(each, found.intent, ofports):
            kinds.setdefault(wrong.kind, wrong)
    shown = sorted(kinds.values(), key=lambda each: WORST_FIRST.index(each.what))
    leaks = list(_leaks(asked, found, shown[:MOST_LEAKS])) if shown else []
    cache = _cache(asked, found) if asked.is_cache_asked else None
    ports = found.intent.port_by_outlet.values()
    return {
        "version": VERSION,
        "chassis": asked.reading.inventory.chassis,
        "bridge": asked.bridge,
        "network": asked.network,
        "is_proved": found.is_right and not (cache and cache["wrong"]),
        "flows": len(found.flows),
        "ports": len(ports),
        "networks": len({port.network_id for port in ports}),
        "at": found.at.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - found.began_s, 3),
        "leaks": leaks,
        "more_leaks": len(kinds) - len(leaks),
        "settings": [{"text": each.text, "remedy": each.remedy} for each in found.hindrances[:MOST_LEAKS]],
        "more_settings": max(0, len(found.hindrances) - MOST_LEAKS),
        "cache": cache,
        "not_covered": list(NOT_COVERED),
    }


def _leaks(asked: Asked, found: Found, shown: Iterable[Wrong]) -> Iterator[dict[str, Any]]:
    names = names_of(asked.reading.inventory, asked.names)
    teller = Teller(asked.reading, asked.rundir, found.intent, names, found.flows, _changes(asked))
    for wrong in shown:
        yield teller.leak(wrong)


def _plainest_first(violation: Violation) -> tuple[bool, bool, int]:
    return violation.is_tagged, violation.meant.refusal is not None, violation.in_port


def _found(asked: Asked) -> Found:
    """Read everything, and prove: again if the databases or the flows are others afterwards."""
    reading, began_s = asked.reading, time.monotonic()
    reading.read()
    for _ in range(TRIES):
        at = datetime.now().astimezone()
        flows = bodies(asked.connection)
        intent = intended(asked, flows)
        revision = reading.inventory.revision
        violations = concerning(proved(rules_of(flows.items()), intent), asked, intent)
        found = Found(intent, flows, violations, hindering(asked, intent), at, began_s)
        reading.read()
        is_steady = reading.inventory.revision == revision
        if is_steady and not found.is_right:
            # A list of flows is no snapshot: what is wrong has to be there still.
            is_steady = bodies(asked.connection) == flows and hindering(asked, intent) == found.hindrances
        if is_steady:
            return found
    raise unsteady()


def unsteady() -> TimedOutError:
    """Return what is raised if what is compared changes all the time."""
    return TimedOutError(
        "nothing is proved: the northbound or the flows changed during each of "
        f"{TRIES} tries; run again when they rest"
    )


def bodies(connection: Connection) -> dict[bytes, bytes]:
    """Return the flows of the bridge at *connection*, bodies by key."""
    return {flow.key: flow.body for flow in connection.flows()}


def intended(asked: Asked, flows: Mapping[bytes, bytes]) -> Intent:
    """Return what should come of frames, by the rows that were read; *flows* tell which ports are awake.

    Raises:
        NotProvableError: the switch reads tags as no proof assumes.
    """
    fault = wiring.limit_faults(asked.reading.switch).get("vlan-limit")
    if fault is not None:
        raise NotProvableError(fault)
    return _intent(asked, flows)


def _intent(asked: Asked, flows: Mapping[bytes, bytes]) -> Intent:
    recover(flows, asked.reading)
    seen = asked.reading.inventory
    own = (port.iface_id for port in seen.ports.values())
    vifs = {iface_id: seen.vifs[iface_id] for iface_id in own if iface_id in seen.vifs}
    return Intent(
        seen.chassis, seen.networks, seen.ports, vifs, seen.uplinks, seen.whole_physnets, seen.awake
    )


def concerning(violations: list[Violation], asked: Asked, intent: Intent) -> list[Violation]:
    """Return those of *violations* that concern the network that is asked about."""
    if asked.network is None:
        return violations
    network = next((each for each in intent.networks.values() if each.name == asked.network), None)
    if network is None:
        raise _not_here(asked.reading, asked.network)
    return [each for each in violations if concerns(each, intent, network.id)]


def _not_here(reading: Reading, network: str) -> NotFoundError:
    """Return that no port of *network* is here; raise `NotFoundError` if there is no such network at all."""
    remotes, files = reading.northbound
    with Northbound.connect(remotes, NAMES_PATIENCE_S, files) as northbound:
        network_key(northbound, network)
    return NotFoundError(
        f"network {network!r} has no port on this chassis, so no frame of it is here; "
        f"see `trunkline port list`"
    )


def hindering(asked: Asked, intent: Intent) -> list[Hindrance]:
    """Return the hindrances of frames of the network that is asked about; *intent* has it."""
    found = hindrances(asked.reading, asked.connection, asked.rundir, intent)
    ids = {network_id for network_id, each in intent.networks.items() if each.name == asked.network}
    return [
        each for each in found if asked.network is None or each.network_ids is None or each.network_ids & ids
    ]


def _cache(asked: Asked, found: Found) -> dict[str, Any]:
    """Return, as JSON, what the datapath has cached that no flow of *found* does."""
    vswitchd.await_revalidated(asked.rundir)
    listed = vswitchd.ask(asked.rundir, "dpctl/dump-flows", "--names")
    where = megaflow.places(vswitchd.ask(asked.rundir, "dpif/show"))
    if bodies(asked.connection) != found.flows:
        raise TimedOutError("the flows changed while the cache was read; run again when they rest")
    uplinks = {uplink.bridge: uplink.ofport for uplink in asked.reading.inventory.uplinks.values()}
    rules = rules_of(found.flows.items())
    comparison = megaflow.Comparison(rules, asked.bridge, uplinks, where)
    cached = [line for line in listed.splitlines() if ", actions:" in line]
    unlike, passed_over = megaflow.compared(cached, comparison)
    return {
        "megaflows": len(cached),
        "not_compared": passed_over,
        "wrong": [
            {
                "megaflow": each.megaflow.text[:MOST_CHARACTERS],
                "frame": each.frame.hex(),
                "frame_words": in_words(each.frame),
                "from": each.megaflow.device,
                "sent": [end.device for end in each.megaflow.sent],
                "should": [end.device for end in each.wanted],
            }
            for each in unlike[:MOST_LEAKS]
        ],
        "more_wrong": max(0, len(unlike) - MOST_LEAKS),
    }


def _changes(asked: Asked) -> Sequence[FlowChange] | None:
    """Return what the agent would change on the switch; None if that is not known."""
    try:
        return flow_plan(asked.reading, asked.connection, asked.names).changes
    except SwitchError:
        return None
