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

from trunkline.neutron import agent, source, status
from trunkline.neutron.comparison import compare
from trunkline.neutron.desired import SET_NAME, Row
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
        self._looked_s = float("-inf")
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
        changes = self._watch.changes(LONGEST_TURN_S)
        if changes:
            self._follow(changes)

    # -- all of it ---------------------------------------------------------------------------------

    def _compare_all(self) -> None:
        """Compare everything, and bring the status of all ports of this share to Neutron."""
        began_s = time.monotonic()
        self._watch.changes(0)
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
                LOG.info("Trunkline: %d rows were not as they should be", len(result.changed))
            ports = result.resources.ports
            # What has changed since then was taken note of on the way, and is followed here.
            self._keep_agents(self._watch.rows["Chassis"].values())
        else:
            ports = source.everything(self._context).ports
        rows = {row["name"]: row for row in self._watch.rows["Port"].values()}
        share = [port for port in ports if self._is_ours(port.id)]
        status.report(self._context, share, rows, self._hosts())
        LOG.debug("Trunkline: compared in %.3f s", time.monotonic() - began_s)

    def _look(self) -> Present:
        """Return what the northbound holds, as far as its server has said by now."""
        end_s = time.monotonic() + LONGEST_TURN_S
        while self._watch.changes(0) and time.monotonic() < end_s:
            pass
        return watched(self._watch.rows)

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
        if self._is_first and (self._is_called(changes) or self._may_be_over(changes)):
            self._compared_s = float("-inf")
        statuses = {
            change.new["name"]
            for change in changes
            if change.table == "Port"
            and change.new is not None
            and _differ(change, ("up", "chassis"))
            and self._is_ours(change.new["name"])
        }
        statuses |= {name for name in _ready(changes) if self._is_ours(name)}
        if self._is_first:
            self._keep_agents(
                change.new
                for change in changes
                if change.table == "Chassis" and change.new is not None and _differ(change, _CHASSIS)
            )
            self._compare(changes)
        if statuses:
            ports = source.some(self._context, Scope(port_ids=frozenset(statuses))).ports
            rows = {row["name"]: row for row in self._watch.rows["Port"].values() if row["name"] in statuses}
            status.report(self._context, [each for each in ports if each.id in statuses], rows, self._hosts())

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

    def _compare(self, changes: Iterable[RowChange]) -> None:
        """Compare the rows of the driver that somebody has changed: only this one's are as they should be."""
        networks, named, ports = set[str](), set[str](), set[str]()
        for table, row in _owned(changes):
            if table == "Network":
                networks.add(row["external_ids"].get("neutron:network", ""))
                # Whatever it says of itself, its name is that of a segment, or it has to go.
                named.add(row["name"])
            else:
                ports.add(row["name"])
        if len(networks) + len(ports) > MANY:
            self._compared_s = float("-inf")
        elif networks or ports:
            scope = Scope(frozenset(networks), frozenset(ports))
            segments = source.some(self._context, scope).segments
            scope = scope._replace(segment_ids=frozenset({*named, *(each.id for each in segments)}))
            result = compare(self._nb, lambda: source.some(self._context, scope), scope)
            for changed in result.changed:
                LOG.info("Trunkline: %s %s was not as it should be", changed.table.lower(), changed.name)
            if result.refused:
                # A comparison of everything takes note of what is wrong.
                self._compared_s = float("-inf")

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
        alive = {host for host in rows if host in known and known[host].is_alive}
        agent.beat(self._context, alive)
        for host in sorted(rows.keys() - alive):
            self._register(host, agent.configurations(rows[host]))
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
