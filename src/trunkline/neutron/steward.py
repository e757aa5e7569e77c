"""The steward: what the active worker does, turn by turn, from what both databases say now.

It follows the rows of the northbound. Each turn it looks at what has changed, and at what is due: comparing
everything, and asking chassis whether they live.
"""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, Any

from neutron_lib import context as n_context
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log

from trunkline.core.amount import counted
from trunkline.neutron import agent, source, status
from trunkline.neutron.comparison import compare
from trunkline.neutron.desired import NETWORK, SET_NAME, Row
from trunkline.neutron.host import Hosts
from trunkline.neutron.present import OWNED, Scope, watched
from trunkline.neutron.prompt import CALL, first_line
from trunkline.northbound import sync
from trunkline.northbound.operation import select
from trunkline.northbound.schema import SET

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from types import TracebackType

    from trunkline.neutron.comparison import Result
    from trunkline.neutron.present import Present
    from trunkline.northbound.client import Northbound, RowChange

LOG = log.getLogger(__name__)

LOOK_S = 1.0
"""How often it is looked at which chassis have answered: hundreds of them answer one by one."""

LONGEST_TURN_S = 1.0
"""How long a turn waits for changes at most: the lock is looked at between turns."""

PAUSE_S = 0.5
"""How long it takes at least from one comparison of some rows to the next. Most of them have been changed by
API workers, and are as they should be; to compare many takes little more CPU than to compare one."""

MANY = 500
"""If more rows have changed, everything is compared."""

_CHASSIS = (
    *("name", "hostname", "bridge_mappings", "integration_bridge", "datapath_type", "iface_types"),
    *("version", "faults"),
)
"""The columns of a chassis of which Neutron's agent tells."""

_STATUS = ("name", "up", "chassis")


class Steward:
    """Works for the share *number* of *count* of the ports; a context manager that ends its watch.

    The share 0 also compares everything, and keeps the agents.
    """

    def __init__(self, nb: Northbound, number: int, count: int) -> None:
        self._nb = nb
        self._number, self._count = number, count
        asked = [
            select("Chassis", only=(*_CHASSIS, "ready_ports", "nb_cfg", "nb_cfg_heard")),
            select("NB_Global", only=("nb_cfg", "options")),
        ]
        if self._is_first:
            asked += [
                select("Network", only=("name", *OWNED["Network"])),
                select("Port", only=(*_STATUS, *OWNED["Port"])),
            ]
        else:
            asked += [select("Port", only=_STATUS)]
        self._watch = nb.watch(*asked)
        self._context = n_context.get_admin_context()
        self._compared_s = self._asked_s = float("-inf")
        self._asked_nb_cfg = 0
        self._looked_s = self._compared_some_s = float("-inf")
        self._late: list[RowChange] = []
        self._suspects: list[tuple[str, Mapping[str, Any]]] = []
        self._beaten: set[str] = set()
        self._unregistered: dict[str, str] = {}
        self._complaints: dict[Row, str] = {}
        self._refused: frozenset[Row] = frozenset()

    def __enter__(self) -> Steward:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.close()

    @property
    def _is_first(self) -> bool:
        return self._number == 0

    @property
    def _heartbeat_s(self) -> float:
        """How often chassis are asked: twice before Neutron takes an agent for dead."""
        return float(max(cfg.CONF.agent_down_time / 3, 1.0))

    def run(self) -> None:
        """Do what is due, and then wait for changes, `LONGEST_TURN_S` at most.

        Raises:
            UnreachableError: the northbound is away.
        """
        now_s = time.monotonic()
        if now_s >= self._compared_s + cfg.CONF.trunkline.compare_interval:
            self._compare_all()
        elif self._is_first and now_s >= self._asked_s + self._heartbeat_s:
            self._ask()
        elif self._is_first and now_s >= self._looked_s + LOOK_S:
            self._looked_s = now_s
            self._beat()
        elif self._suspects and now_s >= self._compared_some_s + PAUSE_S:
            self._compared_some_s = now_s
            self._compare_some()
        changes, self._late = self._late or self._watch.changes(self._turn_s()), []
        if changes:
            self._follow(changes)

    def _turn_s(self) -> float:
        """Return how long to wait for changes at most."""
        if not self._suspects:
            return LONGEST_TURN_S
        return min(max(self._compared_some_s + PAUSE_S - time.monotonic(), 0.0), LONGEST_TURN_S)

    # -- all of it ---------------------------------------------------------------------------------

    def _compare_all(self) -> None:
        """Compare everything, and bring the status of all ports of this share to Neutron."""
        began_s = time.monotonic()
        self._watch.changes(0)
        self._late, self._suspects = [], []
        self._compared_s = began_s
        if self._is_first:
            self._keep_agents(self._watch.rows["Chassis"].values())
            result = compare(
                self._nb,
                lambda: source.everything(self._context),
                doubtful=self._refused,
                look=self._look,
            )
            self._note(result)
            if result.changed:
                LOG.info("Trunkline: not as it should be: %s", counted(len(result.changed), "row"))
            ports = result.resources.ports
            # What has changed since then was taken note of on the way, and is followed here.
            self._late = []
            self._keep_agents(self._watch.rows["Chassis"].values())
        else:
            ports = source.everything(self._context).ports
        rows = {row["name"]: row for row in self._watch.rows["Port"].values()}
        share = [port for port in ports if self._is_ours(port.id)]
        status.report(self._context, share, rows, self._hosts())
        LOG.debug("Trunkline: compared in %.3f s", time.monotonic() - began_s)

    def _look(self, scope: Scope | None) -> Present:
        """Return what the northbound holds of *scope*, as far as its server has said by now.

        What that changes besides is followed afterwards.
        """
        end_s = time.monotonic() + LONGEST_TURN_S
        while changes := self._watch.changes(0):
            self._late += changes
            if time.monotonic() >= end_s:
                break
        return watched(self._watch.rows, scope)

    def _note(self, result: Result) -> None:
        """Log what has come to be wrong with rows, and which are right again."""
        for row, reason in result.complaints.items():
            if self._complaints.get(row) != reason:
                LOG.warning("Trunkline: %s %s: %s", row.table.lower(), row.name, reason)
        for row in self._complaints.keys() - result.complaints.keys():
            LOG.info("Trunkline: %s %s is as it should be", row.table.lower(), row.name)
        self._complaints = result.complaints
        self._refused = result.refused

    # -- what has changed --------------------------------------------------------------------------

    def _follow(self, changes: Collection[RowChange]) -> None:
        """Bring the status of ports first: somebody waits for it."""
        statuses = {
            change.new["name"]
            for change in changes
            if change.table == "Port"
            and change.new is not None
            and _differ(change, ("up", "chassis"))
            and self._is_ours(change.new["name"])
        }
        statuses |= {name for name in _ready(changes) if self._is_ours(name)}
        if statuses:
            rows = {row["name"]: row for row in self._watch.rows["Port"].values() if row["name"] in statuses}
            status.report(self._context, source.bound(self._context, statuses), rows, self._hosts())
        if not self._is_first:
            return
        if self._is_called(changes) or self._may_be_over(changes):
            self._compared_s = float("-inf")
        self._keep_agents(
            change.new
            for change in changes
            if change.table == "Chassis" and change.new is not None and _differ(change, _CHASSIS)
        )
        self._suspects += _owned(changes)

    def _is_called(self, changes: Iterable[RowChange]) -> bool:
        """Return whether an API worker calls, or a chassis has come or gone."""
        return any(
            (
                change.table == "NB_Global"
                and change.old is not None
                and change.new is not None
                and change.old["options"].get(CALL) != change.new["options"].get(CALL)
            )
            or (change.table == "Chassis" and (change.old is None) != (change.new is None))
            for change in changes
        )

    def _may_be_over(self, changes: Iterable[RowChange]) -> bool:
        """Return whether a row that could not be written may be possible now.

        Somebody has written it, so those that need it are, or has changed or deleted what is not Neutron's.
        """
        for change in changes:
            some = change.new if change.new is not None else change.old
            if change.table not in OWNED or some is None:
                continue
            if Row(change.table, some["name"]) in self._complaints and None in (change.old, change.new):
                return True
            is_others = change.old is not None and change.old["external_ids"].get(SET) != SET_NAME
            columns = ("name", *OWNED[change.table])
            if self._refused and is_others and (change.new is None or _differ(change, columns)):
                return True
        return False

    def _compare_some(self) -> None:
        """Compare the rows of the driver that somebody has changed: only this one's are as they should be."""
        suspects, self._suspects = self._suspects, []
        scope = self._scope(suspects)
        if len(scope.network_ids) + len(scope.port_ids) > MANY:
            self._compared_s = float("-inf")
            return
        result = compare(self._nb, lambda: source.some(self._context, scope), scope, look=self._look)
        for changed in result.changed:
            LOG.info("Trunkline: %s %s was not as it should be", changed.table.lower(), changed.name)
        if result.refused:
            # A comparison of everything takes note of what is wrong.
            self._compared_s = float("-inf")

    def _scope(self, suspects: Iterable[tuple[str, Mapping[str, Any]]]) -> Scope:
        """Return what is compared with these rows: the whole of their networks, and the trunks of ports."""
        known = self._watch.rows["Network"]
        networks, segments, ports, parents, touched = (set[str]() for _ in range(5))
        for table, row in suspects:
            if table == "Network":
                networks.add(row["external_ids"].get(NETWORK, ""))
                # Whatever it says of itself, its name is that of a segment, or it has to go.
                segments.add(row["name"])
            else:
                ports.add(row["name"])
                parents |= {row["parent"]} - {None}
                touched.add(known.get(row["network"], {"external_ids": {}})["external_ids"].get(NETWORK, ""))
        touched |= networks
        segments |= {
            row["name"] for row in known.values() if row["external_ids"].get(NETWORK) in touched - {""}
        }
        return Scope(
            *(frozenset(networks), frozenset(ports), frozenset(segments)), frozenset(parents - ports)
        )

    # -- chassis -----------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask all chassis whether they live."""
        agent.end_future(self._context)
        self._asked_nb_cfg = sync.request(self._nb).nb_cfg
        self._asked_s = time.monotonic()
        self._beaten.clear()

    def _beat(self) -> None:
        """Tell Neutron which chassis have answered since they were last asked."""
        latest = max((row["nb_cfg"] for row in self._watch.rows["NB_Global"].values()), default=0)
        answered = {
            row["name"]: row
            for row in self._watch.rows["Chassis"].values()
            if row["name"] not in self._beaten
            and self._asked_nb_cfg
            and sync.has_heard(row, self._asked_nb_cfg, latest)
        }
        if not answered:
            return
        hosts = self._hosts()
        rows = {host: row for name, row in answered.items() if (host := hosts.host_of(name)) is not None}
        known = agent.known(self._context, rows.keys())
        found = {host: agent.configurations(row) for host, row in rows.items()}
        # Whoever has changed what Neutron knows, or kept it from being written: it is right again here.
        right = {host for host in found if known.get(host) == agent.Known(found[host], is_alive=True)}
        agent.beat(self._context, right)
        for host in sorted(found.keys() - right):
            self._register(host, found[host])
        self._beaten |= answered.keys()

    def _keep_agents(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Have Neutron know each of these chassis as it is now."""
        known, hosts = agent.known(self._context), self._hosts()
        for row in rows:
            host, found = hosts.host_of(row["name"]), agent.configurations(row)
            if host is not None and (host not in known or known[host].configurations != found):
                self._register(host, found)

    def _register(self, host: str, found: Mapping[str, Any]) -> None:
        """Register the agent of *host*; if Neutron refuses it, log that once, and go on with the others."""
        try:
            agent.register(self._context, host, found)
        except db_exc.DBConnectionError:
            raise
        except Exception as error:
            reason = first_line(error)
            if self._unregistered.get(host) != reason:
                LOG.exception("Trunkline: the agent of host %s could not be registered", host)
            self._unregistered[host] = reason
        else:
            self._unregistered.pop(host, None)

    # -- details -----------------------------------------------------------------------------------

    def _hosts(self) -> Hosts:
        return Hosts(self._watch.rows["Chassis"].values())

    def _is_ours(self, port_id: str) -> bool:
        """Return whether the port is in the share of this worker."""
        return zlib.crc32(port_id.encode()) % self._count == self._number


def _differ(change: RowChange, columns: Iterable[str]) -> bool:
    """Return whether one of *columns* of the row has another value now."""
    return change.old is None or any(
        change.old[column] != change.new[column]  # type: ignore[index]  # the caller asks of rows that are there
        for column in columns
    )


def _ready(changes: Iterable[RowChange]) -> Iterator[str]:
    """Yield the names of the ports for which a chassis is ready now, or no longer."""
    for change in changes:
        if change.table == "Chassis" and change.new is not None:
            before = change.old["ready_ports"] if change.old is not None else []
            yield from set(before) ^ set(change.new["ready_ports"])


def _owned(changes: Iterable[RowChange]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each row of the driver of which somebody has changed a column that the driver writes."""
    for change in changes:
        if change.table not in OWNED:
            continue
        for row in (change.old, change.new):
            if row is None or row["external_ids"].get(SET) != SET_NAME:
                continue
            if change.old is None or change.new is None or _differ(change, OWNED[change.table]):
                yield change.table, row
