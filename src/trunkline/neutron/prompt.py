"""Writing at once, after a commit: by an API worker, for the object at hand, and never for long.

If the northbound is away, nobody waits for it again for `PAUSE_S`. What was not written, the worker writes:
when its own connection is back, or when it is called (`call`).
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
from trunkline.northbound import transaction
from trunkline.northbound.client import NotFoundError, UnreachableError
from trunkline.northbound.operation import expect, select, update
from trunkline.northbound.transaction import Guard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trunkline.neutron.present import Scope
    from trunkline.northbound.client import Northbound
    from trunkline.northbound.transaction import Part

LOG = log.getLogger(__name__)

PAUSE_S = 5.0
"""How long nobody tries, after the northbound did not answer."""

CALL = "neutron-compare"
"""The key of `NB_Global:options` by which the worker is called to compare everything now."""


class Prompt:
    """What the API workers of this process write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paused_until_s = 0.0
        self._has_missed = False

    def bring(self, scope: Scope, *, reports: bool = False) -> None:
        """Bring the rows of *scope* to what Neutron's database says now; log what cannot be done.

        If *reports*, ports that are up already become ACTIVE: no news of them will come.
        """
        if time.monotonic() < self._paused_until_s:
            self._has_missed = True
            return
        context = n_context.get_admin_context()

        def bring(nb: Northbound) -> None:
            result = compare(nb, lambda: source.some(context, *scope), scope)
            for row, reason in result.complaints.items():
                LOG.warning("Trunkline: %s %s: %s", row.table.lower(), row.name, reason)
            # What cannot be by itself, no comparison mends, and a user may ask for it again and again.
            if result.refused or self._has_missed:
                call(nb)
                self._has_missed = False
            if reports:
                status.report(context, result.resources.ports, result.ports, result.hosts)

        self._within(bring)

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

    def _within(self, work: Any) -> None:
        """Do *work* in the time that a call has; whatever comes of it is logged, and left to the worker."""
        try:
            northbound.asked(work, cfg.CONF.trunkline.call_limit)
        except UnreachableError as error:
            with self._lock:
                self._paused_until_s, self._has_missed = time.monotonic() + PAUSE_S, True
            LOG.warning("Trunkline: left to the worker, for %g s: %s", PAUSE_S, error)
        except (TrunklineError, db_exc.DBError) as error:
            self._has_missed = True
            LOG.warning("Trunkline: left to the worker: %s", first_line(error))
        except Exception:
            # What the user asked for is committed. If this failed the call, ML2 would undo it.
            self._has_missed = True
            LOG.exception("Trunkline: left to the worker")


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
