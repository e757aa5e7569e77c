"""An inquiry: one chassis' flows and the names of its rows, read as far as somebody asks for them.

Names come from the northbound; from the VIFs if that does not answer, and then *note* says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, Subject
from trunkline.core.error import InvalidValueError, TrunklineError
from trunkline.core.pipeline import Owner, Table
from trunkline.insight import name
from trunkline.insight.connection import Connection, InstalledFlow
from trunkline.insight.flow import Selection, counts, port_keys
from trunkline.insight.flow_question import FlowQuestion
from trunkline.insight.name import Names
from trunkline.northbound.refusal import NotFoundError
from trunkline.northbound.rpc import UnreachableError

if TYPE_CHECKING:
    from types import TracebackType

    from trunkline.insight.chassis import Chassis
    from trunkline.insight.flow import Count, Rates
    from trunkline.northbound.client import Northbound

_OF_A_PORT = (
    COOKIE_OURS | Owner.CLASSIFIER << 40 | Subject.PORT << 32,
    COOKIE_OURS_MASK | 0xFFFF << 32,
)


class Switch(Protocol):
    """The switch that is asked: `Here`, or one that is `Afar` (`trunkline.insight.afar`)."""

    @property
    def chassis(self) -> Chassis:
        """What is known of its chassis."""

    def flows(self, asked: FlowQuestion) -> list[InstalledFlow]:
        """Return the flows that are *asked* for."""

    def counts(self, rates: Rates | None = None) -> list[Count]:
        """Return how many flows there are of each kind, with *rates* if these are given."""

    def close(self) -> None:
        """End the connection."""


class Here:
    """The switch of this machine's *chassis*, asked directly: its agent may be busy, or down.

    Raises `SwitchError` if the bridge cannot be asked.
    """

    def __init__(self, chassis: Chassis) -> None:
        self.chassis = chassis
        self._connection = Connection(chassis.management_socket)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def flows(self, asked: FlowQuestion) -> list[InstalledFlow]:
        """Return the flows that are *asked* for; the switch does the choosing."""
        found = self._connection.flows(asked.cookie, asked.cookie_mask, asked.table_id)
        return [flow for flow in found if flow.has_dropped] if asked.is_of_drops else found

    def counts(self, rates: Rates | None = None) -> list[Count]:
        """Return how many flows there are of each kind, with *rates* if these are given."""
        found = self._connection.flows()
        if rates is not None:
            rates.note(found, time.monotonic())
        return counts(found, rates)


class Inquiry:
    """What is asked of *switch*; a context manager that closes the connections.

    *connect* makes a connection to the northbound that the chassis, or somebody, names.
    """

    def __init__(self, switch: Switch, connect: Callable[[], Northbound]) -> None:
        self._switch = switch
        self._why_no_names: str | None = None
        self._connect = connect
        self._nb: Northbound | None = None
        self._is_nb_tried = False

    @property
    def chassis(self) -> Chassis:
        """The chassis, as far as it is known."""
        return self._switch.chassis

    def __enter__(self) -> Inquiry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._switch.close()
        if self._nb is not None:
            self._nb.close()

    def selection(
        self, table: Table | None, owner: Owner | None, network: str | None, port: str | None
    ) -> Selection:
        """Return which flows those are, of *network* or *port* by its name.

        Raises:
            NotFoundError: there is no such network or port.
            InvalidValueError: both were given.
        """
        if network is not None and port is not None:
            raise InvalidValueError(
                "a flow is made from a network or from a port, not from both; name one of them"
            )
        network_key = port_key = None
        if network is not None:
            network_key = self._network_key(network)
        if port is not None:
            port_key = self._port_key(port)
        return Selection(table, owner, network_key, port_key)

    def flows(self, selection: Selection, *, are_drops: bool = False) -> list[InstalledFlow]:
        """Return the flows that the switch has of *selection*; if *are_drops*, those that dropped frames."""
        table_id = None if selection.table is None else selection.table.value
        return self._switch.flows(FlowQuestion(*selection.cookie, table_id, are_drops))

    def counts(self, rates: Rates | None) -> list[Count]:
        """Return how many flows there are of each kind, with *rates* if these are given."""
        return self._switch.counts(rates)

    def flows_of(self, cookie: int) -> list[InstalledFlow]:
        """Return the flows with *cookie*."""
        return self._switch.flows(FlowQuestion(cookie, (1 << 64) - 1))

    def names(self, flows: Iterable[InstalledFlow]) -> Names:
        """Return the names of the rows that *flows* speak of, as far as they are to be had."""
        northbound = self._northbound()
        if northbound is not None:
            try:
                return name.from_northbound(northbound, self.chassis, port_keys(flows))
            except UnreachableError as error:
                self._miss(error)
        return self._vif_names()

    def _northbound(self) -> Northbound | None:
        if not self._is_nb_tried:
            self._is_nb_tried = True
            try:
                self._nb = self._connect()
            except UnreachableError as error:
                self._miss(error)
        return self._nb

    @property
    def note(self) -> str | None:
        """What is to be said of the names; None if they are the northbound's."""
        if self._why_no_names is None:
            return None
        return f"local ports are named by their VIFs, everything else by its key: {self._why_no_names}"

    def _miss(self, error: TrunklineError) -> None:
        self._nb = None
        self._why_no_names = f"the northbound does not answer ({error})"

    def _vif_names(self) -> Names:
        classifying = self._switch.flows(FlowQuestion(*_OF_A_PORT, Table.CLASSIFY.value))
        return name.from_vifs(self.chassis, classifying)

    def _network_key(self, network: str) -> int:
        northbound = self._northbound()
        if northbound is None:
            raise UnreachableError(
                f"only the northbound knows which network {network!r} is; {self._why_no_names}"
            )
        return name.network_key(northbound, network)

    def _port_key(self, port: str) -> int:
        northbound = self._northbound()
        if northbound is not None:
            return name.port_key(northbound, port)
        found = [key for key, known in self._vif_names().port_by_key.items() if known.name == port]
        if not found:
            raise NotFoundError(f"no VIF here is of a port called {port!r}; {self._why_no_names}")
        return found[0]
