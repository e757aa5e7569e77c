"""Trunks: a sub-port is bound where its trunk's port is; all else is a matter of rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from neutron.db import models_v2
from neutron.plugins.ml2.models import PortBindingLevel
from neutron.services.trunk.drivers import base
from neutron_lib import exceptions as n_exc
from neutron_lib.api.definitions import portbindings
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins import directory
from neutron_lib.services.trunk import constants
from oslo_log import log
from sqlalchemy import select

from trunkline.neutron.agent import AGENT_TYPE
from trunkline.neutron.resource import DRIVER

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG = log.getLogger(__name__)

SUB_PORT = constants.TRUNK_SUBPORT_OWNER
"""The `device_owner` of a sub-port."""


class TrunkDriver(base.DriverBase):
    """The part of Neutron's trunk plugin that knows how chassis carry trunks: VLANs, and bound ports too."""

    is_loaded = True
    rpc_required = False

    def __init__(self) -> None:
        super().__init__(
            DRIVER,
            (portbindings.VIF_TYPE_OVS, portbindings.VIF_TYPE_VHOST_USER),
            (constants.SEGMENTATION_TYPE_VLAN,),
            AGENT_TYPE,
            can_trunk_bound_port=True,
        )

    @registry.receives(resources.TRUNK_PLUGIN, [events.AFTER_INIT])
    def register(self, resource: Any, event: Any, trigger: Any, payload: Any = None) -> None:
        """Register with the trunk plugin, and follow trunks and their ports."""
        super().register(resource, event, trigger, payload)
        for kind in (resources.TRUNK, resources.SUBPORTS):
            registry.subscribe(self._wanted, kind, events.PRECOMMIT_CREATE)
            registry.subscribe(self._added, kind, events.AFTER_CREATE)
            registry.subscribe(self._removed, kind, events.AFTER_DELETE)
        registry.subscribe(self._moved, resources.PORT, events.AFTER_UPDATE)

    def _wanted(self, resource: Any, event: Any, trigger: Any, payload: Any) -> None:
        """Refuse a trunk that a chassis cannot carry, unless another driver has bound its port."""
        trunk = payload.latest_state
        ids = [trunk.port_id, *(each.port_id for each in trunk.sub_ports)]
        session, port, network = payload.context.session, models_v2.Port, models_v2.Network
        drivers = select(PortBindingLevel.driver).where(PortBindingLevel.port_id == trunk.port_id)
        if set(session.execute(drivers).scalars()) - {DRIVER}:
            return
        asked = select(port.id, port.network_id, network.vlan_transparent).join(
            network, network.id == port.network_id
        )
        found = session.execute(asked.where(port.id.in_(ids))).tuples().all()
        for network_id, count in Counter(network_id for _, network_id, _ in found).items():
            if count > 1:
                raise n_exc.InvalidInput(
                    error_message="Trunkline carries a network on a trunk only once, and "
                    f"{count} ports of this one are in network {network_id}"
                )
        if trunk.sub_ports and any(id_ == trunk.port_id and is_open for id_, _, is_open in found):
            raise n_exc.InvalidInput(
                error_message=f"port {trunk.port_id} is in a VLAN transparent network, which carries "
                "all tags of its VM: it can have no sub-ports"
            )

    def _added(self, resource: Any, event: Any, trigger: Any, payload: Any) -> None:
        trunk = payload.states[0]
        context = payload.context.elevated()
        try:
            host = directory.get_plugin().get_port(context, trunk.port_id)[portbindings.HOST_ID]
            self._bind(context, _sub_ports(resource, payload), host, SUB_PORT)
            trunk.update(status=constants.TRUNK_ACTIVE_STATUS)
        except n_exc.NotFound:
            LOG.debug("Trunkline: trunk %s was deleted meanwhile", trunk.id)

    def _removed(self, resource: Any, event: Any, trigger: Any, payload: Any) -> None:
        self._bind(payload.context.elevated(), _sub_ports(resource, payload), "", "")

    def _moved(self, resource: Any, event: Any, trigger: Any, payload: Any) -> None:
        """Bind the sub-ports where the trunk's port is bound now."""
        old, new = payload.states[0], payload.latest_state
        details = new.get("trunk_details")
        if details and new[portbindings.HOST_ID] != old[portbindings.HOST_ID]:
            sub_ports = details["sub_ports"]
            self._bind(payload.context.elevated(), sub_ports, new[portbindings.HOST_ID], SUB_PORT)

    def _bind(self, context: Any, sub_ports: Iterable[Any], host: str, owner: str) -> None:
        plugin = directory.get_plugin()
        for each in sub_ports:
            values = {portbindings.HOST_ID: host, "device_owner": owner}
            try:
                plugin.update_port(context, each["port_id"], {"port": values})
            except n_exc.PortNotFound:
                LOG.debug("Trunkline: sub-port %s was deleted meanwhile", each["port_id"])


def _sub_ports(resource: Any, payload: Any) -> Iterable[Any]:
    """Return the sub-ports that an event is about."""
    found: Iterable[Any] = (
        payload.metadata["subports"] if resource == resources.SUBPORTS else payload.states[0].sub_ports
    )
    return found
