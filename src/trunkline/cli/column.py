"""The options of this program for the columns that texts name.

Below the command line a text names a column, or an argument of the call that failed, in backticks. Other
programs use the same client and have no such options (`trunkline.core.error.TrunklineError`).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLUMNS = {
    "network_type": "--type",
    "physical_network": "--physical-network",
    "segmentation_id": "--segment",
    "mtu": "--mtu",
    "unknown_unicast": "--unknown-unicast",
    "remote_ports": "--remote-ports",
    "vlan_transparent": "--vlan-transparent/--no-vlan-transparent",
    "network": "--network",
    "mac": "--mac",
    "iface_id": "--iface-id",
    "addresses": "--ip",
    "enabled": "--enable/--disable",
    "chassis": "--chassis",
    "port_security": "--port-security/--no-port-security",
    "allowed_address_pairs": "--allowed-address",
    "unknown_macs": "--unknown-macs/--no-unknown-macs",
    "requested_chassis": "--requested-chassis",
    "parent": "--parent",
    "parent_vlan": "--parent-vlan",
    "options": "--option",
    "external_ids": "--external-id",
    "options:allow-duplicate-ip": "--allow-duplicate-ip/--no-allow-duplicate-ip",
}

_ARGUMENTS = {
    "db": "--db",
    "pidfile": "--pidfile",
    "log_file": "--log-file",
    "unixctl": "--unixctl",
    "ovs_remote": "--ovs",
    "remotes": "--nb",
    "listeners": "--remote",
    "cluster_local": "--cluster-local",
    "private_key": "--private-key",
    "certificate": "--certificate",
    "ca_cert": "--ca-cert",
    "adopts": "--adopt",
    "is_local": "--local",
    "has_sizes": "--sizes",
    "has_addresses": "--addresses",
    "ports": "--port",
}

OPTIONS: Mapping[str, str] = MappingProxyType(_COLUMNS | _ARGUMENTS)
"""The option for each column or argument; if that is true or false, both options."""

ARGUMENTS: Mapping[str, str] = MappingProxyType(_ARGUMENTS)
"""Those that are not columns. In a text about a file, a column keeps its name, which the file uses too."""

OF_NEUTRON: Mapping[str, str] = MappingProxyType(
    {
        "chassis": "--chassis",
        "remotes": "nb_connection of [trunkline]",
        "private_key": "nb_private_key of [trunkline]",
        "certificate": "nb_certificate of [trunkline]",
        "ca_cert": "nb_ca_cert of [trunkline]",
    }
)
"""What `trunkline-neutron` has of these: an option, or a setting of Neutron. A column keeps its name."""

# A name that a user gave is in quotes, and is not matched.
_NAMED = re.compile(r"(?<![^\s(])`([a-z_]+)(?::([a-z-]+))?(?:=([^`]*))?`")


def in_options(text: str, options: Mapping[str, str] = OPTIONS) -> str:
    """Return *text* with *options*, by column and argument, in place of these.

    >>> in_options("use `vlan_transparent=false` there, or another `parent`; see `trunkline --help`")
    'use --no-vlan-transparent there, or another --parent; see `trunkline --help`'
    >>> in_options("`options:control-frames=true` needs `port_security=false`; give `segmentation_id` 1–4094")
    '--option control-frames=true needs --no-port-security; give --segment 1–4094'
    """
    return _NAMED.sub(lambda named: _option(named, options), text)


def all_in_options(data: Any) -> Any:
    """Return *data*, as JSON, with `in_options` of each of its texts."""
    if isinstance(data, dict):
        return {key: all_in_options(value) for key, value in data.items()}
    if isinstance(data, list):
        return [all_in_options(value) for value in data]
    return in_options(data) if isinstance(data, str) else data


def _option(named: re.Match[str], options: Mapping[str, str]) -> str:
    column, key, value = named.groups()
    if f"{column}:{key}" in options:
        column, key = f"{column}:{key}", None
    if column not in options:
        return str(named[0])
    when_true, is_either, when_false = options[column].partition("/")
    if is_either:
        return when_false if value == "false" else when_true
    words = "=".join(word for word in (key, value) if word is not None)
    return f"{when_true} {words}".rstrip()
