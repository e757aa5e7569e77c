"""The status of Neutron's ports, by what chassis say in the northbound: from the present state alone.

A port is ACTIVE if it is up on the chassis of its active binding, and DOWN if it is not. While it migrates,
it is ACTIVE only once the other chassis is ready too: that is what Nova waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neutron.db import provisioning_blocks
from neutron_lib import constants
from neutron_lib import exceptions as n_exc
from neutron_lib.callbacks import resources
from neutron_lib.plugins import directory
from oslo_db import exception as db_exc
from oslo_log import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trunkline.neutron.host import Hosts
    from trunkline.neutron.resource import Port

LOG = log.getLogger(__name__)


def is_up(port: Port, row: Mapping[str, Any], hosts: Hosts) -> bool:
    """Return whether *port* is up where it should be, by its *row* of `Port`."""
    main, additional = port.main, port.additional_host()
    if main is None or main.segment_id is None:
        return False
    is_there = row["chassis"] is not None and row["chassis"] == hosts.chassis_of(main.host)
    return bool(row["up"]) and is_there and (additional is None or hosts.is_ready(additional, port.id))


def report(
    context: Any, ports: Iterable[Port], rows: Mapping[str, Mapping[str, Any]], hosts: Hosts
) -> list[str]:
    """Bring the status of *ports* to what *rows* say, by the name of the row; return whose it changed.

    A port without a row stays as it is.

    Raises:
        DBConnectionError: Neutron's database is away.
    """
    changed: list[str] = []
    for port in ports:
        main = port.main
        row = rows.get(port.id)
        if row is None or main is None or main.segment_id is None:
            continue
        is_active = port.status == constants.PORT_STATUS_ACTIVE
        if is_up(port, row, hosts) == is_active:
            continue
        try:
            (_down if is_active else _up)(context, port.id)
        except db_exc.DBConnectionError:
            raise
        except (db_exc.DBReferenceError, n_exc.PortNotFound):
            LOG.debug("Trunkline: port %s was deleted meanwhile", port.id)
            continue
        except Exception:
            # One port that Neutron cannot change must not keep the others: the next comparison tries again.
            LOG.exception("Trunkline: the status of port %s could not be changed", port.id)
            continue
        changed.append(port.id)
    return changed


def _up(context: Any, port_id: str) -> None:
    provisioning_blocks.provisioning_complete(
        context, port_id, resources.PORT, provisioning_blocks.L2_AGENT_ENTITY
    )


def _down(context: Any, port_id: str) -> None:
    provisioning_blocks.add_provisioning_component(
        context, port_id, resources.PORT, provisioning_blocks.L2_AGENT_ENTITY
    )
    directory.get_plugin().update_port_status(context, port_id, constants.PORT_STATUS_DOWN)
