"""The mechanism driver `trunkline` of ML2 (entry point `neutron.ml2.mechanism_drivers`).

After each commit it brings the rows of the network or port at hand to the northbound, for `call_limit`
seconds at most, and never fails the call. What it could not write, the worker does (`worker`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from neutron.plugins.ml2.drivers import mech_agent
from neutron_lib import constants
from neutron_lib import exceptions as n_exc
from neutron_lib.api.definitions import portbindings, provider_net
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins.ml2 import api
from oslo_config import cfg
from oslo_log import log

from trunkline.neutron import agent, settings, source
from trunkline.neutron.agent import AGENT_TYPE
from trunkline.neutron.desired import NETWORK_TYPES
from trunkline.neutron.present import Scope
from trunkline.neutron.prompt import Prompt
from trunkline.neutron.trunk import TrunkDriver
from trunkline.neutron.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = log.getLogger(__name__)

_VOLATILE = frozenset({"status", "updated_at", "revision_number", "provisioning_blocks"})
"""What of a port may change without a change of its row."""

_GROUPS = ("security-group", "address-group")
"""What the names of extensions contain that only make sense with security groups."""

_CREATE_TAP = "ovs_create_tap"
"""The key of a binding's details by which os-vif makes the tap before it plugs it in."""

_LOSERS = "_trunkline_losers"
"""The attribute of a context for the ports that lose addresses, from the transaction until its commit."""

_VHOST_USER = ("dpdkvhostuser", "dpdkvhostuserclient")


@registry.has_registry_receivers
class TrunklineDriver(mech_agent.SimpleAgentMechanismDriverBase):
    """Binds ports on chassis of Trunkline, and keeps the northbound as Neutron's database says."""

    connectivity = portbindings.CONNECTIVITY_L2

    def __init__(self) -> None:
        settings.register()
        super().__init__(
            AGENT_TYPE,
            portbindings.VIF_TYPE_OVS,
            {portbindings.CAP_PORT_FILTER: True, portbindings.OVS_HYBRID_PLUG: False},
        )
        self._prompt = Prompt()
        self._strangers: set[str] = set()
        self._trunks = TrunkDriver()

    def initialize(self) -> None:
        """Check the settings, and have Neutron bind failed ports again when a chassis comes back."""
        from neutron.plugins.ml2.plugin import Ml2Plugin

        if AGENT_TYPE not in Ml2Plugin._rebind_on_revive_agent_types:
            Ml2Plugin._rebind_on_revive_agent_types.append(AGENT_TYPE)
        if cfg.CONF.trunkline.security_groups == "ignore":
            LOG.warning(
                "Trunkline: [trunkline] security_groups = ignore: the API offers security groups, and "
                "Trunkline does not enforce them; filter elsewhere"
            )

    def get_workers(self) -> list[Worker]:
        """Return the workers of this controller; `neutron-periodic-workers` runs each in a process."""
        count = cfg.CONF.trunkline.status_workers
        return [Worker(number, count) for number in range(count)]

    # -- what the API offers -----------------------------------------------------------------------

    def supported_extensions(self, extensions: set[str]) -> set[str]:
        """Return those of *extensions* that ports here honour: without security groups, unless told to."""
        if cfg.CONF.trunkline.security_groups == "ignore":
            return extensions
        return {alias for alias in extensions if not _is_of_groups(alias)}

    @registry.receives(resources.PORT, [events.BEFORE_CREATE])
    def _fill_in_groups(self, resource: Any, event: Any, trigger: Any, payload: Any = None) -> None:
        """Say that a port asks for no group: Neutron's bulk create fails if the attribute is not there."""
        for attributes in payload.states:
            if isinstance(attributes, dict):
                attributes.setdefault("security_groups", constants.ATTR_NOT_SPECIFIED)

    @registry.receives(resources.PORT, [events.BEFORE_CREATE, events.BEFORE_UPDATE])
    def _refuse_distributed(self, resource: Any, event: Any, trigger: Any, payload: Any = None) -> None:
        """Refuse that a port becomes one of a distributed router (DVR), which no chassis carries.

        Those that are there already are left to hosts of the driver that has them.
        """
        *old, new = payload.states
        if _is_distributed(new) and not any(map(_is_distributed, old)):
            raise n_exc.InvalidInput(
                error_message="Trunkline carries no distributed router (DVR); make it a centralized one"
            )

    def check_vlan_transparency(self, context: Any) -> bool:
        """Return whether the network may be VLAN transparent: any may."""
        return True

    def check_vlan_qinq(self, context: Any) -> bool:
        """Return whether the network may carry QinQ: none may."""
        return False

    @staticmethod
    def provider_network_attribute_updates_supported() -> list[str]:
        """Return which provider attributes of a network in use may change."""
        return [provider_net.SEGMENTATION_ID]

    # -- binding -----------------------------------------------------------------------------------

    def bind_port(self, context: Any) -> None:
        """Bind the port of *context* on the chassis that its host is called like."""
        try:
            super().bind_port(context)
        except n_exc.SubnetNotFound:
            # Somebody is deleting the network: its subnets go first.
            LOG.info("Trunkline: port %s is not bound: its subnet is deleted", context.current["id"])
            return
        if context.host in self._strangers or context.host_agents(AGENT_TYPE):
            return
        for other in agent.alike(context.plugin_context, context.host):
            self._strangers.add(context.host)
            LOG.warning(
                "Trunkline: port %s is not bound: no chassis has the hostname %s, but one has %s. If that is "
                "this host, set external_ids:hostname there to what Nova calls it",
                *(context.current["id"], context.host, other),
            )

    def get_allowed_network_types(self, agent: Any = None) -> tuple[str, ...]:
        """Return the types of networks that a chassis carries."""
        return NETWORK_TYPES

    def get_mappings(self, agent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the bridge of each physical network of *agent*."""
        mappings: Mapping[str, str] = agent["configurations"].get("bridge_mappings", {})
        return mappings

    def get_supported_vif_type(self, agent: Mapping[str, Any]) -> str:
        """Return how VMs are plugged in on *agent*: by vhost-user if its Open vSwitch has DPDK."""
        known = agent["configurations"].get("ovs_capabilities", {}).get("iface_types", ())
        is_dpdk = agent["configurations"].get("datapath_type") == "netdev" and any(
            each in known for each in _VHOST_USER
        )
        return str(portbindings.VIF_TYPE_VHOST_USER if is_dpdk else portbindings.VIF_TYPE_OVS)

    def get_vif_type(self, context: Any, agent: Mapping[str, Any], segment: Any) -> str:
        """Return how the VM of the port of *context* is plugged in on *agent*."""
        return self.get_supported_vif_type(agent)

    def get_vif_details(self, context: Any, agent: Mapping[str, Any], segment: Any) -> dict[str, Any]:
        """Return what Nova needs to know to plug in the VM of the port of *context* on *agent*."""
        found = agent["configurations"]
        details = {
            **self.vif_details,
            portbindings.VIF_DETAILS_BRIDGE_NAME: found.get("integration_bridge") or "br-int",
            portbindings.OVS_DATAPATH_TYPE: found.get("datapath_type") or "system",
        }
        if self.get_supported_vif_type(agent) == portbindings.VIF_TYPE_VHOST_USER:
            is_client = "dpdkvhostuserclient" in found["ovs_capabilities"]["iface_types"]
            name = f"{constants.VHOST_USER_DEVICE_PREFIX}{context.current['id']}"[:14]
            details |= {
                portbindings.CAP_PORT_FILTER: False,
                # Which end QEMU is: the one that Open vSwitch is not.
                portbindings.VHOST_USER_MODE: portbindings.VHOST_USER_MODE_SERVER
                if is_client
                else portbindings.VHOST_USER_MODE_CLIENT,
                portbindings.VHOST_USER_OVS_PLUG: True,
                portbindings.VHOST_USER_SOCKET: os.path.join(cfg.CONF.trunkline.vhostuser_socket_dir, name),
            }
        else:
            details[_CREATE_TAP] = details[portbindings.OVS_DATAPATH_TYPE] == "system"
        return details

    # -- what was committed ------------------------------------------------------------------------

    def _network(self, context: Any) -> None:
        ids = frozenset({context.current["id"]})
        self._prompt.bring(Scope(network_ids=ids, segment_ids=_segment_ids(context.network_segments)))

    create_network_postcommit = _network
    update_network_postcommit = _network
    delete_network_postcommit = _network

    def _port(self, context: Any) -> None:
        old, new = context.original or {}, context.current
        changed = {key for key in new if new[key] != old.get(key)}
        # If not even the status has changed, Neutron has given the port addresses of a new subnet before.
        if old and "status" in changed and changed <= _VOLATILE:
            return
        if context.host and new[portbindings.VIF_TYPE] == portbindings.VIF_TYPE_UNBOUND:
            # ML2 binds it next, and calls again: until then its row stays as it is.
            return
        self._bring_port(context)

    def _bring_port(self, context: Any) -> None:
        new = context.current
        if not (context.host or context.original_host):
            return
        segments = _segment_ids(context.network.network_segments)
        scope = Scope(port_ids=frozenset({new["id"]}), segment_ids=segments)
        self._prompt.bring(scope, reports=new["status"] == constants.PORT_STATUS_DOWN)

    create_port_postcommit = _port
    update_port_postcommit = _port
    delete_port_postcommit = _bring_port

    @registry.receives(resources.SUBNET, [events.PRECOMMIT_DELETE_ASSOCIATIONS, events.PRECOMMIT_DELETE])
    def _subnet_goes(self, resource: Any, event: Any, trigger: Any, payload: Any = None) -> None:
        """Note the ports with addresses of a subnet: Neutron takes these away now, and tells no driver.

        A subnet that goes with its network has only the second of the events, and its addresses until then.
        """
        context = payload.context
        losers = source.ports_in(context, payload.resource_id)
        setattr(context, _LOSERS, getattr(context, _LOSERS, frozenset()) | losers)

    @registry.receives(resources.SUBNET, [events.AFTER_DELETE])
    def _subnet_gone(self, resource: Any, event: Any, trigger: Any, payload: Any = None) -> None:
        losers: frozenset[str] = getattr(payload.context, _LOSERS, frozenset())
        setattr(payload.context, _LOSERS, frozenset())
        self._prompt.bring_ports(losers)

    @registry.receives(resources.SEGMENT, [events.AFTER_CREATE, events.AFTER_DELETE])
    def _segment(self, resource: Any, event: Any, trigger: Any, payload: Any = None) -> None:
        segment = payload.latest_state
        ids = frozenset({segment["id"]})
        self._prompt.bring(Scope(network_ids=frozenset({segment["network_id"]}), segment_ids=ids))

    @registry.receives(resources.AGENT, [events.AFTER_DELETE])
    def _agent(self, resource: Any, event: Any, trigger: Any, payload: Any = None) -> None:
        """Delete the chassis of an agent that was deleted; a live one registers again."""
        gone = payload.latest_state
        if gone is not None and gone["agent_type"] == AGENT_TYPE:
            self._prompt.forget_chassis(gone["host"], gone["configurations"])


def _is_of_groups(alias: str) -> bool:
    return any(word in alias for word in _GROUPS)


def _segment_ids(segments: Any) -> frozenset[str]:
    return frozenset(segment[api.ID] for segment in segments or ())


def _is_distributed(port: Mapping[str, Any]) -> bool:
    return bool(port.get("device_owner") == constants.DEVICE_OWNER_DVR_INTERFACE)
