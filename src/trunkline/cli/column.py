"""The columns that texts name, as the options of this program that write them.

Below the command line a text names a column, or an argument of the call that failed, in backticks: other
programs use the same client, and have no such options (`trunkline.core.error.TrunklineError`).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "network_type": "--type",
        "physical_network": "--physical-network",
        "segmentation_id": "--segment",
        "mtu": "--mtu",
        "unknown_unicast": "--unknown-unicast",
        "remote_ports": "--remote-ports",
        "vlan_transparent": "--vlan-transparent/--no-vlan-transparent",
        "network": "--network",
        "mac": "--mac",
        "addresses": "--ip",
        "enabled": "--enable/--disable",
        "port_security": "--port-security/--no-port-security",
        "allowed_address_pairs": "--allowed-address",
        "unknown_macs": "--unknown-macs/--no-unknown-macs",
        "requested_chassis": "--requested-chassis",
        "parent": "--parent",
        "parent_vlan": "--parent-vlan",
        "options": "--option",
        "options:allow-duplicate-ip": "--allow-duplicate-ip/--no-allow-duplicate-ip",
        "db": "--db",
        "pidfile": "--pidfile",
        "log_file": "--log-file",
        "unixctl": "--unixctl",
        "ovs_remote": "--ovs",
        "remotes": "--nb",
        "listeners": "--remote",
        "cluster_local": "--cluster-local",
        "adopts": "--adopt",
    }
)
"""The option that writes each column, or gives each argument; of one that is true or false, both options."""

ARGUMENTS = frozenset({"adopts"})
"""Those that are no columns: in what is said of a file, a column is called what the file calls it."""

# Not a name that somebody gave, which stands in quotes.
_NAMED = re.compile(r"(?<![^\s(])`([a-z_]+)(?::([a-z-]+))?(?:=([^`]*))?`")


def in_options(text: str, only: Collection[str] = OPTIONS.keys()) -> str:
    """Return *text* with the columns and arguments that it names as options of this program: *only* those.

    >>> in_options("use `vlan_transparent=false` there, or another `parent`; see `trunkline --help`")
    'use --no-vlan-transparent there, or another --parent; see `trunkline --help`'
    >>> in_options("`options:control-frames=true` needs `port_security=false`; give `segmentation_id` 1–4094")
    '--option control-frames=true needs --no-port-security; give --segment 1–4094'
    """
    return _NAMED.sub(lambda named: _option(named) if named[1] in only else named[0], text)


def _option(named: re.Match[str]) -> str:
    column, key, value = named.groups()
    if f"{column}:{key}" in OPTIONS:
        column, key = f"{column}:{key}", None
    if column not in OPTIONS:
        return str(named[0])
    when_true, is_either, when_false = OPTIONS[column].partition("/")
    if is_either:
        return when_false if value == "false" else when_true
    words = "=".join(word for word in (key, value) if word is not None)
    return f"{when_true} {words}".rstrip()
