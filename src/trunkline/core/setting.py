"""The names of the chassis settings: keys of `Open_vSwitch.external_ids` in the chassis' own database."""

from __future__ import annotations

SYSTEM_ID = "system-id"
NB = "trunkline-nb"
BRIDGE_MAPPINGS = "trunkline-bridge-mappings"
INTEGRATION_BRIDGE = "trunkline-integration-bridge"
DATAPATH_TYPE = "trunkline-datapath-type"
VLAN_PRUNING = "trunkline-vlan-pruning"
AUDIT_INTERVAL = "trunkline-audit-interval"
ANSWERS = "trunkline-answers"
PROBE = "trunkline-probe"

DEFAULT_INTEGRATION_BRIDGE = "br-int"
"""The name of the integration bridge if none is set. Neutron's agent and OVN use it too, so the agent takes
over a bridge with this name."""
