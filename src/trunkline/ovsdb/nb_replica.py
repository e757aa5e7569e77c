"""The part of the northbound that concerns the agent: the rows that it loads, and its reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

import ovs.poller
import ovs.timeval

from trunkline.core.inventory import Changes
from trunkline.northbound.schema import FIRST_CHASSIS, IDENTITY, schema
from trunkline.ovsdb.claim import Claims
from trunkline.ovsdb.datum import one, pairs
from trunkline.ovsdb.interest import Interest, carried, carried_by
from trunkline.ovsdb.invalid_row import InvalidRows
from trunkline.ovsdb.nb_row import (
    ROWS,
    AnswerRow,
    ChassisRow,
    GlobalRow,
    NetworkRow,
    PortRow,
    RequestRow,
    Rows,
)
from trunkline.ovsdb.own_row import OwnRow, differing
from trunkline.ovsdb.replica import Replica
from trunkline.ovsdb.report import Binding, Report
from trunkline.ovsdb.row import columns
from trunkline.ovsdb.touched import Touched
from trunkline.ovsdb.value import network_of, port_of
from trunkline.ovsdb.write import Outcome

_OPTIONAL = {
    ("NB_Global", "identity"),
    *(("Chassis", column) for column in ("host", "claims", "denied", "nb_cfg_heard")),
    *(("Chassis", column) for column in ("integration_bridge", "datapath_type", "iface_types")),
    ("Chassis", "ready_ports"),
    ("Port", "iface_id"),
    *(("Request", column) for column in columns(RequestRow)),
    *(("Answer", column) for column in columns(AnswerRow)),
}
"""Columns that a server of schema 1.0.0 or 1.1.0 does not have; they are read as empty from such a server."""

DEFER_MS = 200
"""How long the request for sub-ports of a new VIF may wait. Its own port is up by then, and what further VIFs
need goes into the same request: the server looks at every port for each one."""


class _Global(NamedTuple):
    """What the `NB_Global` row says."""

    nb_cfg: int
    identity: str


class NorthboundReplica(Replica):
    """The northbound at *remotes*, as far as it concerns the chassis named *chassis*.

    It loads the ports that VIFs here name, by `iface_id` or `name`, their sub-ports, the networks of both,
    and all ports of those networks whose `remote_ports` is `explicit`. If a network here is flat and
    transparent, it loads all networks of its physical network. It also loads every port that the database
    says is held here. *invalid_rows* says which rows are invalid, and why. *host* tells this host from
    another one with the same name; *former_hosts* are the values of *host* that it had before.
    """

    rows: Rows

    def __init__(self, remotes: str, chassis: str, host: str = "", former_hosts: Iterable[str] = ()) -> None:
        super().__init__(
            remotes, schema(), {table: columns(kind) for table, kind in ROWS.items()}, optional=_OPTIONAL
        )
        self.chassis = chassis
        self.host = host
        self.former_hosts = set(former_hosts)
        self.invalid_rows = InvalidRows()
        self._own: OwnRow | None = None
        self._global: _Global | None = None
        self._restricted_session: int | None = None
        self._is_registered = False
        self._lacks_iface_ids = False
        self._interest = Interest(chassis)
        self.whole_physnets: frozenset[str] = frozenset()
        """The physical networks whose networks are all loaded, because one of them carries any tag."""
        self._are_ports_split = False
        self._deferred_until_ms: int | None = None
        self._wake_ms: int | None = None
        self._restrict_to(chassis)
        self.restrict("Network", [False])
        self.restrict("Port", [["chassis", "==", chassis]])

    # -- reading -----------------------------------------------------------------------------------

    @property
    def nb_cfg(self) -> int | None:
        """The number of the latest request to report; None while it is not known."""
        return None if self._global is None else self._global.nb_cfg

    @property
    def identity(self) -> str | None:
        """What tells this database from another one; None while it is not known.

        A copy and a restored backup have the identity of the original. A database of schema 1.0.0 has it
        among its `external_ids`; if it is not there, it is the UUID of the `NB_Global` row.
        """
        return None if self._global is None else self._global.identity

    @property
    def misfit(self) -> str | None:
        """Why the database of the server that answered last is not a northbound; None if it is."""
        count = len(self.rows("NB_Global"))
        if super().misfit is None and self.is_connected and count != 1:
            return f"it has {count} rows of NB_Global, and not one"
        return super().misfit

    @property
    def reported_nb_cfg(self) -> int | None:
        """The number that this chassis reported last; None if it has no row."""
        return None if self._own is None else self._own.said["nb_cfg"]

    @property
    def reported_nb_cfg_heard(self) -> int | None:
        """The number that this chassis reported last as heard; None if it has no row."""
        return None if self._own is None else self._own.said["nb_cfg_heard"]

    @property
    def is_registered(self) -> bool:
        """Whether the database had the row of this chassis at some time since it is read, or refused it.

        `sync` asks those chassis that have a row: see `trunkline.northbound.sync`.
        """
        self._is_registered = self._is_registered or self._own is not None
        return self._is_registered

    def change_host(self, host: str) -> None:
        """Use *host* from now on; a row of the value before it is still ours."""
        self.former_hosts.add(self.host)
        self.host = host

    @property
    def is_ours(self) -> bool:
        """Whether the row of this chassis belongs to this host or to none, or is not there."""
        return self._own is None or self._own.said["host"] in {"", self.host, *self.former_hosts}

    @property
    def claims(self) -> Claims:
        """The claims of other hosts to be this chassis."""
        return Claims({}, frozenset()) if self._own is None else self._own.claims

    @property
    def hostname(self) -> str:
        """The hostname in the row of this chassis: that of the host that the row belongs to."""
        return "" if self._own is None else str(self._own.said["hostname"])

    def _find_own(self) -> OwnRow | None:
        for row in self.rows("Chassis").values():
            if one(row, ChassisRow.name) == self.chassis:
                return OwnRow.of(row)
        return None

    def _find_global(self) -> _Global | None:
        for row_id, row in self.rows("NB_Global").items():
            identity = one(row, GlobalRow.identity) or pairs(row, GlobalRow.external_ids).get(IDENTITY)
            return _Global(one(row, GlobalRow.nb_cfg), identity or str(row_id))
        return None

    def set_vif(self, iface_id: str, *, is_here: bool) -> None:
        """Note whether a VIF with *iface_id* is here; `request_rows` then asks for the rows that it needs."""
        self._interest.set_vif(iface_id, is_here=is_here)

    def changes(self, touched: Touched) -> Changes:
        """Return what the *touched* rows are now, as values; an invalid row counts as gone."""
        changes = Changes()
        for network_id in touched["Network"]:
            row = self.rows("Network").get(network_id)
            network = self.invalid_rows.value(network_id, row, "network", network_of)
            changes.networks[network_id] = network
            is_explicit = row is not None and one(row, NetworkRow.remote_ports) != "learned"
            whole = network.physnet if network is not None and network.is_open else None
            self._interest.set_network(network_id, is_explicit=is_explicit, whole_physnet=whole)
        for port_id in touched["Port"]:
            port_row = self.rows("Port").get(port_id)
            changes.ports[port_id] = port = self.invalid_rows.value(port_id, port_row, "port", port_of)
            # An invalid port counts as gone, but not for which rows are asked for.
            self._interest.set_port(port_id, carried(port_row) if port is None else carried_by(port))
        return changes

    @property
    def has_deferred_rows(self) -> bool:
        """Whether `request_rows` has yet to ask for sub-ports of VIFs here."""
        return self._interest.has_deferred_rows

    def request_rows(self) -> bool:
        """Ask for the rows that the VIFs here need, and for no others; return whether that is a new request.

        If only sub-ports are missing, of VIFs whose own ports are there, that waits for `DEFER_MS`, unless
        somebody waits for a report.
        """
        now_ms = ovs.timeval.msec()
        end_ms = now_ms + DEFER_MS if self._deferred_until_ms is None else self._deferred_until_ms
        is_patient = now_ms < end_ms and self.nb_cfg == self.reported_nb_cfg
        conditions = self._interest.conditions(is_patient=is_patient)
        self._deferred_until_ms = self._wake_ms = end_ms if self.has_deferred_rows else None
        self.whole_physnets &= self._interest.whole_physnets
        first = {"Port": self._interest.first_ports} if "Port" in conditions else {}
        self._are_ports_split = first.get("Port") != conditions.get("Port")
        for part in (conditions | first, conditions):
            for table, condition in part.items():
                self.restrict(table, condition)
            self.ask()
        return bool(conditions)

    def run(self) -> Touched:
        """Read what the server sent; return the rows that changed, as `Replica.run` does."""
        # `request_rows` sets it again, if it is called.
        self._wake_ms = None
        touched = super().run()
        if touched["Chassis"]:
            self._own = self._find_own()
        if touched["NB_Global"]:
            self._global = self._find_global()
        if self._lacks_iface_ids != self.lacks("Port", "iface_id"):
            self._lacks_iface_ids = not self._lacks_iface_ids
            self._interest.ask_again()
        if self.are_conditions_met:
            self.whole_physnets = self._interest.whole_physnets
        return touched

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when there is something to do."""
        super().wait(poller)
        if self._wake_ms is not None:
            poller.timer_wait_until(self._wake_ms)

    @property
    def are_networks_loaded(self) -> bool:
        """Whether all rows are there but for ports of networks that are there."""
        return self.are_conditions_met or (self.is_connected and self._are_ports_split)

    # -- writing -----------------------------------------------------------------------------------

    @property
    def is_restricted(self) -> bool:
        """Whether the server has refused a write on this connection because of the role of the chassis."""
        return self._restricted_session is not None and self._restricted_session == self._synced_session

    def may_bind(self, port_id: UUID) -> bool:
        """Return whether the role `CHASSIS_ROLE` would let this chassis write the port's binding."""
        row = self.rows("Port").get(port_id)
        if row is None:
            return False
        named = (
            one(row, PortRow.chassis),
            one(row, PortRow.requested_chassis),
            pairs(row, PortRow.options).get(FIRST_CHASSIS),
        )
        return self.chassis in named

    def outcome(self) -> Outcome | None:
        """Return how the write ended; after the first one that the role forbids, a smaller one is tried."""
        outcome = super().outcome()
        if outcome is Outcome.FAILED and "permission error" in (self.error or "") and not self.is_restricted:
            self._restricted_session = self._synced_session
            return Outcome.AGAIN
        # A row that the database refuses must not keep this chassis from its work.
        is_refused = outcome is Outcome.FAILED and self._own is None
        self._is_registered = self._is_registered or is_refused
        return outcome

    def write(self, report: Report, bindings: dict[UUID, Binding], now_ms: int) -> None:
        """Begin a write of all that differs between the database, and *report* and *bindings*.

        A port that another chassis took meanwhile is left to that one: the write then ends with
        `Outcome.AGAIN`. *now_ms* is the wall clock.
        """
        transaction = self.begin(f"trunkline agent of {self.chassis}")
        self._write_report(transaction, report, now_ms)
        for port_id, binding in bindings.items():
            self._write_binding(port_id, binding)
        self.commit(transaction)

    def _write_report(self, transaction: Any, report: Report, now_ms: int) -> None:
        changes = self._changes_by(report)
        is_new = self._own is None
        if self._own is None:
            row = transaction.insert(self._idl.tables["Chassis"])
            row.name = self.chassis
        else:
            row = self._own.row
        for column, value in changes.items():
            setattr(row, column, sorted(value) if isinstance(value, frozenset) else value)
        if "nb_cfg" in changes or is_new:
            row.nb_cfg_timestamp = now_ms

    def _changes_by(self, report: Report) -> dict[str, Any]:
        """Return what *report* changes in the `Chassis` row, by column."""
        changes = differing(self._own, self.host, report)
        return {column: value for column, value in changes.items() if not self.lacks("Chassis", column)}

    def write_claims(self, claims: Claims) -> None:
        """Begin a write of *claims*; it ends with `Outcome.AGAIN` if another writer came first."""
        transaction = self.begin(f"trunkline agent of {self.chassis} on host {self.host}")
        if self._own is not None:
            row: Any = self._own.row
            for column in ("host", "claims", "denied"):
                row.verify(column)
            if self._own.claims.hostname_by_host != claims.hostname_by_host:
                row.claims = claims.hostname_by_host
            if self._own.claims.denied != claims.denied:
                row.denied = sorted(claims.denied)
            if claims.holder is not None:
                row.host = claims.holder
        self.commit(transaction)

    def _write_binding(self, port_id: UUID, binding: Binding) -> None:
        row = self.rows("Port").get(port_id)
        if row is None:
            return
        row.verify("chassis")
        if one(row, PortRow.chassis) != binding.chassis:
            row.chassis = [] if binding.chassis is None else [binding.chassis]
        if bool(one(row, PortRow.up)) != binding.is_up:
            row.up = [binding.is_up]

    def is_reported(self, report: Report) -> bool:
        """Return whether the `Chassis` row says what *report* says."""
        return self._own is not None and not self._changes_by(report)

    def binding(self, port_id: UUID) -> Binding | None:
        """Return who holds the port according to the database; None if it has no such row."""
        row = self.rows("Port").get(port_id)
        return None if row is None else Binding(one(row, PortRow.chassis), bool(one(row, PortRow.up)))

    def report_as(self, chassis: str) -> None:
        """Report as *chassis* from now on: its row is loaded in place of the present one."""
        self.chassis = chassis
        self._own = self._find_own()
        self._restrict_to(chassis)
        self.ask()

    def _restrict_to(self, chassis: str) -> None:
        """Ask for what is of *chassis* alone: its row, the questions to it, and its answers."""
        self.restrict("Chassis", [["name", "==", chassis]])
        self.restrict("Request", [["chassis", "includes", chassis]])
        self.restrict("Answer", [["chassis", "==", chassis]])

    def withdraw(self, port_ids: Iterable[UUID], successor: str | None = None) -> None:
        """Begin a write that deletes the `Chassis` row, and after which nobody holds the ports *port_ids*.

        If *successor* is given, the host goes on by that name, and the same write makes its row. If another
        host is the chassis of this name, only the claim of this host is taken out.
        """
        if not self.is_ours:
            self.write_claims(self.claims.left(self.host))
            return
        transaction = self.begin(f"trunkline agent of {self.chassis} withdraws")
        if successor is not None:
            transaction.insert(self._idl.tables["Chassis"]).name = successor
        if self._own is not None:
            self._own.row.delete()
        for answer in list(self.rows("Answer").values()):
            answer.delete()
        for port_id in port_ids:
            held = self.binding(port_id)
            if held is not None and held.chassis == self.chassis:
                self._write_binding(port_id, Binding(None, is_up=False))
        self.commit(transaction)
