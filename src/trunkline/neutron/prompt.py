"""Writing at once, after a commit: by an API worker, for the object at hand, and never for long.

If the northbound is away, no call waits for it again until it answers. What was not written, the worker
writes: when its own connection is back, or when it is called (`call`).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from neutron_lib import context as n_context
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log

from trunkline.core.error import TrunklineError
from trunkline.neutron import northbound, source, status
from trunkline.neutron.comparison import compare
from trunkline.neutron.host import Hosts
from trunkline.neutron.present import Scope
from trunkline.northbound import transaction
from trunkline.northbound.client import NotFoundError, UnreachableError
from trunkline.northbound.operation import expect, select, update
from trunkline.northbound.transaction import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline.northbound.client import Northbound
    from trunkline.northbound.transaction import Part

LOG = log.getLogger(__name__)

PAUSE_S = 5.0
"""How long it takes until the worker is called, and each time that this is tried again."""

FEW = 16
"""Of how many ports the rows are brought at once, and not by the worker: each is looked for among all."""

CALL = "neutron-compare"
"""The key of `NB_Global:options` by which the worker is called to compare everything now."""


class Prompt:
    """What the API workers of this process write.

    A write that failed is made up for by the worker, which is called until the northbound answers. Meanwhile
    nobody else waits for a northbound that is away.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_away = False
        self._has_missed = False
        self._caller: threading.Thread | None = None

    def bring(self, scope: Scope, *, reports: bool = False) -> None:
        """Bring the rows of *scope* to what Neutron's database says now; log what cannot be done.

        If *reports*, ports that are up already become ACTIVE: no news of them will come.
        """
        self._unless_away(lambda nb: _bring(nb, scope, reports=reports))

    def bring_ports(self, port_ids: frozenset[str]) -> None:
        """Bring the rows of these ports; of many, the worker does."""
        if len(port_ids) > FEW:
            self._unless_away(call)
        elif port_ids:
            self.bring(Scope(port_ids=port_ids))

    def forget_chassis(self, host: str, configurations: Mapping[str, Any]) -> None:
        """Delete the chassis whose agent had these *configurations*, if it is that of *host* now.

        A chassis that has another hostname now has another agent, and the old one is a leftover.
        """
        name = str(configurations.get("chassis", ""))

        def forget(nb: Northbound) -> None:
            (rows,) = nb.read(select("Chassis", only=("name", "hostname", "ready_ports")))
            if Hosts(rows).host_of(name) != host:
                return
            try:
                nb.delete_chassis([name])
            except NotFoundError:
                LOG.debug("Trunkline: chassis %s is gone already", name)

        if name:
            self._within(forget)

    def _unless_away(self, work: Callable[[Northbound], None]) -> None:
        """Do *work*, or leave it to the worker if the northbound is known to be away."""
        if self._is_away:
            self._miss()
        else:
            self._within(work)

    def _within(self, work: Callable[[Northbound], None]) -> None:
        """Do *work* in the time that a call has; whatever comes of it is logged, and left to the worker."""
        try:
            northbound.asked(work, cfg.CONF.trunkline.call_limit)
            return
        except UnreachableError as error:
            self._miss(is_away=True)
            trouble = f"left to the worker, until the northbound answers: {first_line(error)}"
        except (TrunklineError, db_exc.DBError) as error:
            self._miss()
            trouble = f"left to the worker: {first_line(error)}"
        except Exception:
            # What the user asked for is committed. If this failed the call, ML2 would undo it.
            self._miss()
            LOG.exception("Trunkline: left to the worker")
            return
        # Not while the error is handled: oslo.log would say it once more.
        LOG.warning("Trunkline: %s", trouble)

    def _miss(self, *, is_away: bool = False) -> None:
        """See that the worker is called, by a thread of its own."""
        with self._lock:
            self._has_missed = True
            self._is_away |= is_away
            # A thread of the process that this one was forked from does not live here.
            if self._caller is None or not self._caller.is_alive():
                self._caller = threading.Thread(target=self._call, name="trunkline-call", daemon=True)
                self._caller.start()

    def _call(self) -> None:
        """Call the worker, every `PAUSE_S` until that is done after all that was missed."""
        while True:
            time.sleep(PAUSE_S)
            with self._lock:
                self._has_missed = False
            try:
                northbound.asked(call, cfg.CONF.trunkline.call_limit)
            except Exception as error:
                # Whatever it is, this is tried again: nobody else calls the worker.
                LOG.debug("Trunkline: the worker could not be called: %s", error)
                continue
            with self._lock:
                self._is_away = False
                if not self._has_missed:
                    self._caller = None
                    break
        LOG.info("Trunkline: the northbound answers, and the worker is called")
        northbound.drop()


def _bring(nb: Northbound, scope: Scope, *, reports: bool = False) -> None:
    """Bring the rows of *scope*, and log what cannot be done; *reports* is as in `Prompt.bring`."""
    context = n_context.get_admin_context()
    result = compare(nb, lambda: source.some(context, scope), scope)
    for row, reason in result.complaints.items():
        LOG.warning("Trunkline: %s %s: %s", row.table.lower(), row.name, reason)
    # What cannot be by itself, no comparison mends, and a user may ask for it again and again.
    if result.refused:
        call(nb)
    if reports:
        status.report(context, result.resources.ports, result.ports, result.hosts)


def first_line(error: Exception) -> str:
    """Return what *error* says, without the statement and the links that SQLAlchemy adds to it."""
    return str(error).partition("\n")[0]


def call(nb: Northbound) -> None:
    """Call the worker to compare everything now."""

    def parts() -> list[Part]:
        ((row,),) = nb.read(select("NB_Global", only=("_uuid", "options")))
        same = ("_uuid", "==", row["_uuid"])
        before = Guard(expect("NB_Global", same, rows=[{"options": row["options"]}], only=("options",)))
        return [
            before,
            update("NB_Global", same, row={"options": {**row["options"], CALL: str(time.time_ns())}}),
        ]

    transaction.write(nb, parts)
