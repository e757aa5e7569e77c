"""The comparison for a command: outside of Neutron's processes, with their configuration and database."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

# All tables have to be known before one of them is asked.
from neutron.db.migration.models import head as _head  # noqa: F401
from neutron_lib import constants
from neutron_lib import context as n_context
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_db import options as db_options
from sqlalchemy.exc import SQLAlchemyError

from trunkline.core.error import TrunklineError
from trunkline.neutron import adoption, settings, source
from trunkline.neutron.adoption import AGENT_DRIVER, Bound
from trunkline.neutron.comparison import compare
from trunkline.neutron.desired import Row
from trunkline.neutron.host import Hosts
from trunkline.neutron.present import Scope
from trunkline.neutron.resource import DRIVER
from trunkline.northbound.client import Northbound, NotFoundError
from trunkline.northbound.operation import insert, select

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from trunkline.neutron.comparison import Result
    from trunkline.neutron.resource import Resources
    from trunkline.northbound.watch import Rows

    T = TypeVar("T")

USUAL_FILES = ("/etc/neutron/neutron.conf", "/etc/neutron/plugins/ml2/ml2_conf.ini")
"""The configuration of Neutron's server, as distributions lay it out."""

CONNECT_TIMEOUT_S = 5.0


class NeutronError(TrunklineError):
    """Neutron's configuration or database cannot be read."""


def configure(files: Sequence[str]) -> None:
    """Read Neutron's configuration from *files*; if there are none, from those of `USUAL_FILES` that exist.

    Raises:
        NeutronError: a file cannot be read, or no file says where the database is.
    """
    chosen = list(files) or [each for each in USUAL_FILES if os.path.exists(each)]
    settings.register()
    cfg.CONF.register_opts(db_options.database_opts, "database")
    try:
        cfg.CONF([f"--config-file={each}" for each in chosen], project="neutron", default_config_dirs=[])
        is_known = bool(cfg.CONF.database.connection)
        settings.tls()
    except cfg.Error as error:
        raise NeutronError(f"Neutron's configuration cannot be read: {error}") from error
    if not is_known:
        read = " and ".join(chosen) or f"{' and '.join(USUAL_FILES)}, which do not exist"
        raise NeutronError(
            f"`connection` of [database] is not set in {read}; name the files of Neutron's server"
        )
    # A service waits for its database for minutes; a person does not.
    cfg.CONF.set_override("max_retries", 0, "database")


def comparison(*, is_dry: bool) -> Result:
    """Compare everything once, and write what differs unless *is_dry*.

    Raises:
        NeutronError: the database cannot be read.
        UnreachableError, RefusedError: as `compare` does.
    """
    with _northbound() as nb:
        return compare(nb, lambda: _asked(source.everything), is_dry=is_dry)


class Handing(NamedTuple):
    """The bindings of *host*, a chassis called *chassis*, that go from the driver *before* to *after*.

    If *is_new*, nobody has been this chassis so far.
    """

    host: str
    chassis: str
    ports: list[Bound]
    before: str
    after: str
    is_new: bool

    def back(self) -> Handing:
        """Return the way back."""
        return self._replace(before=self.after, after=self.before)


def handing(host: str, chassis: str | None, *, is_back: bool) -> Handing:
    """Return what there is to hand over of *host*: to Trunkline, or back. A new host needs *chassis*.

    Raises:
        NeutronError: the database cannot be read, Neutron does not know the host, or nobody knows which
            chassis it is.
    """
    with _northbound() as nb:
        known = Hosts(nb.all_chassis()).chassis_of(host)
    if known is None and chassis is None and not is_back:
        raise NeutronError(
            f"no chassis is called {host!r} yet, or has that hostname; say with `chassis` which it will be"
        )
    if chassis not in (None, known or chassis):
        raise NeutronError(f"host {host!r} is the chassis {known!r}, and not {chassis!r}")
    before, after = (DRIVER, AGENT_DRIVER) if is_back else (AGENT_DRIVER, DRIVER)
    ports = _asked(lambda context: adoption.bound(context, host, before))
    if not ports and not _asked(lambda context: adoption.has_agent(context, host)):
        raise NeutronError(
            f"Neutron knows no agent on a host {host!r}; `openstack network agent list` shows its hosts"
        )
    return Handing(host, known or chassis or "", ports, before, after, is_new=known is None)


def obstacles(wanted: Handing) -> dict[Row, str]:
    """Return the ports that keep *wanted* from being done, with the reason."""
    if wanted.after != DRIVER:
        return {}
    reasons = {Row("Port", port.port_id): adoption.obstacle(port) for port in wanted.ports}
    return {row: reason for row, reason in reasons.items() if reason is not None}


def handed_over(wanted: Handing, *, is_dry: bool) -> Result:
    """Hand over what is *wanted*, and bring the rows of its ports to that; unless *is_dry*.

    If a row cannot be as it should be, all is as before again.

    Raises:
        NeutronError: the database cannot be read or written.
        UnreachableError, RefusedError: as `compare` does; all is as before again as far as Neutron knows.
    """
    ids = frozenset(port.port_id for port in wanted.ports)
    scope = Scope(port_ids=ids, segment_ids=frozenset(port.segment_id for port in wanted.ports))
    there = [{"name": wanted.chassis, "hostname": wanted.host, "ready_ports": []}] if wanted.chassis else []

    def read() -> Resources:
        found = _asked(lambda context: source.some(context, scope))
        return adoption.handed(found, wanted.host, wanted.ports, wanted.after) if is_dry else found

    def hand(way: Handing) -> None:
        _asked(lambda context: adoption.hand(context, way.host, ids, way.before, way.after))

    with _northbound() as nb:
        if is_dry:
            return compare(nb, read, scope, expected=there, is_dry=True)
        is_new = wanted.after == DRIVER and _expect(nb, wanted)
        hand(wanted)
        is_done = False
        try:
            result = compare(nb, read, scope, expected=there)
            is_done = not result.faults
        finally:
            if not is_done:
                hand(wanted.back())
        if not is_done:
            compare(nb, read, scope, expected=there)
            if is_new:
                nb.delete_chassis([wanted.chassis])
        return result


def handed_back(wanted: Handing) -> None:
    """Take back what `handed_over` has done; raises as it does."""
    handed_over(wanted.back(), is_dry=False)
    if wanted.is_new and wanted.after == DRIVER:
        with _northbound() as nb, suppress(NotFoundError):
            nb.delete_chassis([wanted.chassis])


def active(wanted: Handing) -> frozenset[str]:
    """Return which of the ports are ACTIVE.

    Raises:
        NeutronError: the database cannot be read.
    """
    found = _asked(lambda context: source.bound(context, {port.port_id for port in wanted.ports}))
    return frozenset(port.id for port in found if port.status == constants.PORT_STATUS_ACTIVE)


def not_up(wanted: Handing, port_ids: frozenset[str], timeout_s: float) -> frozenset[str]:
    """Wait until these ports are up on the chassis; return those that are not after *timeout_s*.

    Raises:
        UnreachableError: the northbound was lost.
    """
    if not port_ids:
        return port_ids

    def missing(rows: Rows) -> frozenset[str]:
        here = (row for row in rows["Port"].values() if row["up"] and row["chassis"] == wanted.chassis)
        return port_ids - {row["name"] for row in here}

    asked = (select("Port", ("name", "==", each), only=("name", "up", "chassis")) for each in port_ids)
    with _northbound() as nb, nb.watch(*asked) as watch:
        watch.wait_until(lambda rows: not missing(rows), timeout_s)
        return missing(watch.rows)


def _expect(nb: Northbound, wanted: Handing) -> bool:
    """Have a row of the chassis, so that ports may be requested on it; return whether it is a new one."""
    (found,) = nb.read(select("Chassis", ("name", "==", wanted.chassis), only=("name",)))
    if not found:
        # It belongs to no host yet: the first agent of that name has it.
        nb.transact([insert("Chassis", {"name": wanted.chassis, "hostname": wanted.host})])
    return not found


def _northbound() -> Northbound:
    remotes = cfg.CONF.trunkline.nb_connection
    return Northbound.connect(remotes, CONNECT_TIMEOUT_S, settings.tls(), prefers_leader=True)


def _asked(question: Callable[[Any], T]) -> T:
    """Return what *question* returns, of a context of Neutron's.

    Raises:
        NeutronError: the database does not answer, or is not Neutron's.
    """
    try:
        return question(n_context.get_admin_context())
    except (db_exc.DBError, db_exc.CantStartEngineError, SQLAlchemyError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise NeutronError(f"Neutron's database cannot be read: {reason}") from error
