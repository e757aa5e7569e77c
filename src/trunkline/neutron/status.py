"""The status of Neutron's ports, by what chassis say in the northbound: from the present state alone.

A port is ACTIVE if it is up on the chassis of its active binding, and DOWN if it is not. While it migrates,
it is ACTIVE only once the other chassis is ready too: that is what Nova waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neutron.db import models_v2, provisioning_blocks
from neutron.db.models.provisioning_block import ProvisioningBlock
from neutron.plugins.ml2.models import PortBinding
from neutron_lib import constants
from neutron_lib import exceptions as n_exc
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import resources
from neutron_lib.db import api as db_api
from neutron_lib.plugins import directory
from oslo_db import exception as db_exc
from oslo_log import log
from sqlalchemy import delete, exists, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trunkline.neutron.host import Hosts
    from trunkline.neutron.resource import Port

LOG = log.getLogger(__name__)

TOGETHER = 16
"""How many ports become ACTIVE together: if somebody else changes one meanwhile, all are read again."""


def is_up(port: Port, row: Mapping[str, Any], hosts: Hosts) -> bool:
    """Return whether *port* is up where it should be, by its *row* of `Port`."""
    main, additional = port.main, port.additional_host()
    if main is None or main.segment_id is None:
        return False
    is_there = row["chassis"] is not None and row["chassis"] == hosts.chassis_of(main.host)
    return bool(row["up"]) and is_there and (additional is None or hosts.is_ready(additional, port.id))


def report(context: Any, ports: Iterable[Port], rows: Mapping[str, Mapping[str, Any]], hosts: Hosts) -> None:
    """Bring the status of *ports* to what *rows* say, by the name of the row.

    A port without a row stays as it is.

    Raises:
        DBConnectionError: Neutron's database is away.
    """
    come: list[str] = []
    for port in ports:
        main = port.main
        row = rows.get(port.id)
        if row is None or main is None or main.segment_id is None:
            continue
        is_active = port.status == constants.PORT_STATUS_ACTIVE
        if is_up(port, row, hosts) == is_active:
            continue
        if is_active:
            _change(_down, context, port.id)
        elif len(port.bindings) > 1 or main.migrating_to is not None:
            # Neutron tells Nova of a migration in a way of its own.
            _change(_up, context, port.id)
        else:
            come.append(port.id)
    for first in range(0, len(come), TOGETHER):
        some = come[first : first + TOGETHER]
        try:
            _up_together(context, some)
        except db_exc.DBConnectionError:
            raise
        except Exception as error:
            # One of them, and the others are not to wait for it.
            LOG.debug("Trunkline: ports become ACTIVE one by one: %s", error)
            for port_id in some:
                _change(_up, context, port_id)


def _change(work: Callable[[Any, str], None], context: Any, port_id: str) -> None:
    """Do *work* with the port.

    One port that Neutron cannot change must not keep the others: the next comparison tries again.
    """
    try:
        work(context, port_id)
    except db_exc.DBConnectionError:
        raise
    except (db_exc.DBReferenceError, n_exc.PortNotFound):
        LOG.debug("Trunkline: port %s was deleted meanwhile", port_id)
    except Exception:
        LOG.exception("Trunkline: the status of port %s could not be changed", port_id)


def _up(context: Any, port_id: str) -> None:
    provisioning_blocks.provisioning_complete(
        context, port_id, resources.PORT, provisioning_blocks.L2_AGENT_ENTITY
    )


@db_api.retry_if_session_inactive()
def _up_together(context: Any, port_ids: list[str]) -> None:
    """Do for several ports what `_up` does for one, in half of the time.

    Neutron's `provisioning_complete` and its one listener, ML2, read each port four times. Here the blocks of
    all are deleted at once, and ML2 reads once all ports that nothing holds back.
    """
    block, port, binding = ProvisioningBlock, models_v2.Port, PortBinding
    ours = select(port.standard_attr_id).where(port.id.in_(port_ids))
    with db_api.CONTEXT_WRITER.using(context):
        context.session.execute(
            delete(block)
            .where(
                block.entity == provisioning_blocks.L2_AGENT_ENTITY,
                block.standard_attr_id.in_(context.session.execute(ours).scalars().all()),
            )
            .execution_options(synchronize_session=False)
        )
    # In another transaction: of two that delete the last two blocks, one sees that there is none.
    ready = (
        select(port.id)
        .join(binding, (binding.port_id == port.id) & (binding.status == constants.ACTIVE))
        .where(
            port.id.in_(port_ids),
            port.admin_state_up.is_(True),
            binding.vif_type.not_in((portbindings.VIF_TYPE_UNBOUND, portbindings.VIF_TYPE_BINDING_FAILED)),
            ~exists().where(block.standard_attr_id == port.standard_attr_id),
        )
    )
    with db_api.CONTEXT_READER.using(context):
        found = context.session.execute(ready).scalars().all()
    directory.get_plugin().update_port_statuses(context, dict.fromkeys(found, constants.PORT_STATUS_ACTIVE))


def _down(context: Any, port_id: str) -> None:
    provisioning_blocks.add_provisioning_component(
        context, port_id, resources.PORT, provisioning_blocks.L2_AGENT_ENTITY
    )
    directory.get_plugin().update_port_status(context, port_id, constants.PORT_STATUS_DOWN)
