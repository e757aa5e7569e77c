"""The comparison for a command: outside of Neutron's processes, with their configuration and database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# All tables have to be known before one of them is asked.
from neutron.db.migration.models import head as _head  # noqa: F401
from neutron_lib import context as n_context
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_db import options as db_options
from sqlalchemy.exc import SQLAlchemyError

from trunkline.core.error import TrunklineError
from trunkline.neutron import settings, source
from trunkline.neutron.comparison import compare
from trunkline.northbound.client import Northbound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from trunkline.neutron.comparison import Result
    from trunkline.neutron.resource import Resources

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
    context = n_context.get_admin_context()
    remotes = cfg.CONF.trunkline.nb_connection
    with Northbound.connect(remotes, CONNECT_TIMEOUT_S, settings.tls(), prefers_leader=True) as nb:
        return compare(nb, lambda: _everything(context), is_dry=is_dry)


def _everything(context: Any) -> Resources:
    try:
        return source.everything(context)
    except (db_exc.DBError, db_exc.CantStartEngineError, SQLAlchemyError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise NeutronError(f"Neutron's database cannot be read: {reason}") from error
