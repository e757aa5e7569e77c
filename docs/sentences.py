"""What the tables and columns of the northbound mean, a sentence each, for `docs/northbound.md`.

The schema says what a column may hold; it has no place for what it is for.
"""

from __future__ import annotations

TABLES: dict[str, str] = {
    "NB_Global": "The one row of what concerns the whole database.",
    "Network": "A logical L2 network on one physical network: a VLAN of it, or its untagged (flat) network.",
    "Port": "A logical port of a network. Its VIF is the interface that has its name as `iface-id`.",
    "Chassis": "A host that runs Open vSwitch and an agent. Its agent writes the row.",
    "Connection": "A further place where the database's server listens, as in the databases of Open vSwitch.",
    "SSL": "The key and certificates of the database's server.",
    "RBAC_Role": "What a client of a connection with this `role` may write (ovsdb-server(7)).",
    "RBAC_Permission": "What a role may write in one table.",
}

_EXTERNAL_IDS = "For other programs; Trunkline neither reads nor writes it."

COLUMNS: dict[str, dict[str, str]] = {
    "NB_Global": {
        "identity": "What tells this database from another; a copy and a backup keep it. Chassis obey one.",
        "nb_cfg": "The number of the last request of `trunkline sync` or `trunkline status`.",
        "nb_cfg_timestamp": "When that request was made, in ms since 1970.",
        "next_network_key": "The next network's `unique_key`; a key is not used twice.",
        "next_port_key": "The next port's `unique_key`.",
        "connections": "Where the server listens besides its own options.",
        "ssl": "The key and certificates that the server uses for `pssl:`.",
        "options": "Reserved for settings of the whole database.",
        "external_ids": _EXTERNAL_IDS,
    },
    "Network": {
        "name": "The name that operators and ports use.",
        "unique_key": "The network key: `metadata` in the pipeline.",
        "network_type": "Whether it is a VLAN or the untagged network.",
        "physical_network": "The physical network that carries it. A chassis maps it to a bridge.",
        "segmentation_id": "The VLAN id; empty for a flat network.",
        "mtu": "The MTU of its ports, in bytes; empty: not managed.",
        "unknown_unicast": "A VM's frame to an unknown MAC: to the wire, or nowhere. Empty: `forward`.",
        "remote_ports": "Ports on other chassis: with flows of their own, or left to what the physical "
        "switches learn. Empty: `explicit`.",
        "vlan_transparent": "Whether VMs may send VLAN tags inside the network. A flat one then shares its "
        "physical network with no VLAN network.",
        "external_ids": _EXTERNAL_IDS,
    },
    "Port": {
        "name": "The port's name, and the `iface-id` of its VIF.",
        "unique_key": "The port key: `reg6` and `reg7` in the pipeline.",
        "network": "The network that it is in; a network that has ports cannot be deleted.",
        "mac": "Its MAC address, in lower case with colons; any other spelling is a fault.",
        "addresses": "Its IP addresses, 1,024 at most. Where there is none, and no allowed pair gives its "
        "own MAC a prefix, port security holds it to its MAC only.",
        "enabled": "Whether it may send and receive. Empty: yes.",
        "port_security": "Whether it may send from its own and its allowed addresses only. Empty: yes.",
        "allowed_address_pairs": "Further MACs, 1,024 pairs at most, each as `MAC` or `MAC,IP-or-prefix`, "
        "that it may use and that are delivered to it.",
        "unknown_macs": "Whether it also receives the network's unknown unicast; needs `port_security` off.",
        "requested_chassis": "The chassis that shall hold it; during a migration `main,additional`. Empty: "
        "the first that has its VIF.",
        "chassis": "The name of the chassis that holds it; written by that chassis.",
        "up": "Whether a frame can pass on that chassis, which writes it.",
        "parent": "Of a trunk's sub-port: the name of the port whose VIF it shares.",
        "parent_vlan": "Of a sub-port: its tag on that VIF.",
        "options": "Settings of one port; `announce=false` stops its announcements, and "
        "`control-frames=true`, which needs `port_security` off, lets spanning tree, LLDP and other control "
        "frames pass to and from it. `allow-duplicate-ip=true`: it may have addresses that another port of "
        "its network has.",
        "external_ids": _EXTERNAL_IDS,
    },
    "Chassis": {
        "name": "`external_ids:system-id` of its `Open_vSwitch` row.",
        "hostname": "The host's name, for people: `Open_vSwitch` `external_ids:hostname`, or the system's.",
        "host": "What tells this host from another of the same `system-id`: new with each start of its "
        "`ovsdb-server`.",
        "claims": "Other hosts of that `system-id` that ask for the row, and their names for people. One "
        "that is not denied it within 5 s takes it.",
        "denied": "Those among `claims` that the host has told that it is there.",
        "bridge_mappings": "Bridge by physical network, as its settings say.",
        "nb_cfg": "The last request of `sync` or `status` that it has applied.",
        "nb_cfg_heard": "The last request that its agent has heard of and had not applied within 0.5 s: it "
        "is behind, and not silent.",
        "nb_cfg_timestamp": "When it applied that, in ms since 1970 by its own clock.",
        "silent_at": "The last request that it had answered, by `nb_cfg` or `nb_cfg_heard`, when "
        "`trunkline sync --wait` found that it does not answer: it is silent until it answers another.",
        "version": "The version of its agent.",
        "faults": "What it cannot honour: reason by subject, such as `network blue`.",
        "external_ids": _EXTERNAL_IDS,
    },
    "Connection": {
        "target": "Where to listen or connect: `ptcp:`, `pssl:`, `punix:` and so on.",
        "max_backoff": "The longest wait between two attempts to connect, in ms.",
        "inactivity_probe": "How long a client may be silent before it is probed, in ms; 0: it never is.",
        "read_only": "Whether its clients may only read.",
        "role": "The name of the RBAC role of its clients; empty: no restriction.",
        "other_config": "Further settings of ovsdb-server.",
        "external_ids": _EXTERNAL_IDS,
        "is_connected": "Whether a client is connected; written by the server.",
        "status": "The connection's state in words; written by the server.",
    },
    "SSL": {
        "private_key": "The file of the server's private key (PEM).",
        "certificate": "The file of the server's certificate (PEM).",
        "ca_cert": "The file of the CA that clients must show.",
        "bootstrap_ca_cert": "Unused by a server; it is part of the standard table.",
        "ssl_protocols": "The TLS versions that it speaks; empty: ovsdb-server's default.",
        "ssl_ciphers": "The ciphers that it speaks; empty: ovsdb-server's default.",
        "external_ids": _EXTERNAL_IDS,
    },
    "RBAC_Role": {
        "name": "The role's name.",
        "permissions": "Permission by the name of the table that it is for.",
    },
    "RBAC_Permission": {
        "table": "The name of the table.",
        "authorization": "The columns, one of which must hold the client's name for it to write a row.",
        "insert_delete": "Whether it may insert and delete rows.",
        "update": "The columns that it may change.",
    },
}
