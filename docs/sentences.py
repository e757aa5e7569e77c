"""One sentence for each table and column of the northbound, for `docs/northbound.md`.

The schema says what a column may hold. It has no place to say what the column is for.
"""

from __future__ import annotations

TABLES: dict[str, str] = {
    "NB_Global": "The one row about the whole database.",
    "Network": "A logical L2 network on one physical network: a VLAN of it, or its untagged (flat) network.",
    "Port": "A logical port of a network. Its VIF is the interface whose `iface-id` is the port's "
    "`iface_id`, or its name if that is empty.",
    "Chassis": "A host that runs Open vSwitch and an agent. Its agent writes the row.",
    "Request": "A question to some chassis. Each of them answers it once, and whoever asked deletes it.",
    "Answer": "What one chassis has answered to a question. Its agent writes it, and deletes it if need be.",
    "Probe": "What `trunkline probe` last found of a network, for `check`, `trace` and `status`.",
    "Connection": "Another address where the database's server listens, as in the databases of Open vSwitch.",
    "SSL": "The key and certificates of the database's server.",
    "RBAC_Role": "What a client of a connection with this `role` may write (ovsdb-server(7)).",
    "RBAC_Permission": "What a role may write in one table.",
}

_EXTERNAL_IDS = "For other programs; Trunkline neither reads nor writes it."

COLUMNS: dict[str, dict[str, str]] = {
    "NB_Global": {
        "identity": "What tells this database from another. Copies and backups keep it. A chassis obeys one.",
        "nb_cfg": "The number of the last request of `trunkline sync` or `trunkline status`.",
        "nb_cfg_timestamp": "When that request was made, in ms since 1970.",
        "next_network_key": "The `unique_key` of the next network; a key is never used twice.",
        "next_port_key": "The `unique_key` of the next port.",
        "connections": "Where the server listens, in addition to its command line options.",
        "ssl": "The key and certificates that the server uses for `pssl:`.",
        "options": "Reserved for settings of the whole database.",
        "external_ids": _EXTERNAL_IDS,
    },
    "Network": {
        "name": "The name that operators and ports use.",
        "unique_key": "The network key: `metadata` in the pipeline.",
        "network_type": "Whether it is a VLAN or the untagged (flat) network.",
        "physical_network": "The physical network that carries it. A chassis maps it to a bridge.",
        "segmentation_id": "The VLAN id; empty for a flat network.",
        "mtu": "The MTU of its ports, in bytes. Empty: not managed.",
        "unknown_unicast": "Whether a VM's frame to an unknown MAC goes to the wire or is dropped. Empty: "
        "`forward`.",
        "remote_ports": "Whether ports on other chassis have flows of their own, or are left to what the "
        "physical switches learn. Empty: `explicit`.",
        "vlan_transparent": "Whether VMs may send VLAN tags inside the network. If it is flat, no VLAN "
        "network may share its physical network.",
        "external_ids": _EXTERNAL_IDS,
    },
    "Port": {
        "name": "The port's name, and the `iface-id` of its VIF unless `iface_id` says another one.",
        "iface_id": "The `iface-id` of its VIF, such as the UUID that libvirt gives it. No other port may "
        "have it, or be called so. Empty: the port's name.",
        "unique_key": "The port key: `reg6` and `reg7` in the pipeline.",
        "network": "The network that it is in. A network with ports cannot be deleted.",
        "mac": "Its MAC address, in lower case with colons; any other spelling is a fault.",
        "addresses": "Its IP addresses, 1,024 at most. If it has none, and no allowed pair gives its own MAC "
        "a prefix, port security only checks its MAC.",
        "enabled": "Whether it may send and receive. Empty: yes.",
        "port_security": "Whether it may send only from its own and its allowed addresses. Empty: yes.",
        "allowed_address_pairs": "Further MACs that it may use, each as `MAC` or `MAC,IP-or-prefix`, 1,024 "
        "pairs at most. Frames to them are delivered to it.",
        "unknown_macs": "Whether it also receives the network's unknown unicast; needs `port_security` off.",
        "requested_chassis": "The chassis that should hold it; during a migration `main,additional`. Empty: "
        "the first chassis that has its VIF.",
        "chassis": "The name of the chassis that holds it; written by that chassis.",
        "up": "Whether frames can pass on that chassis; written by that chassis.",
        "parent": "For a sub-port of a trunk: the name of the port whose VIF it shares.",
        "parent_vlan": "For a sub-port: its tag on that VIF.",
        "options": "Settings of the port. `announce=false`: it is not announced. `control-frames=true`, "
        "which needs `port_security` off: spanning tree, LLDP and other control frames pass to and from it. "
        "`allow-duplicate-ip=true`: it and another port of its network may have the same addresses.",
        "external_ids": _EXTERNAL_IDS,
    },
    "Chassis": {
        "name": "`external_ids:system-id` of its `Open_vSwitch` row.",
        "hostname": "The host's name, for people: `external_ids:hostname` of `Open_vSwitch`, or the "
        "system's.",
        "host": "What tells this host from another with the same `system-id`. It is new with each start of "
        "the host's `ovsdb-server`.",
        "claims": "Other hosts with that `system-id` that ask for the row, and their names for people. A "
        "host that is not denied within 5 s takes the row.",
        "denied": "Those of `claims` that the present host has denied.",
        "bridge_mappings": "The bridge of each physical network, from its settings.",
        "integration_bridge": "The name of its integration bridge.",
        "datapath_type": "That of the integration bridge, such as `system` (the kernel's) or `netdev`.",
        "iface_types": "The types of interfaces that its Open vSwitch knows.",
        "ready_ports": "Ports that migrate to it, once their VIFs wait there and the switch has their flows.",
        "nb_cfg": "The last request of `sync` or `status` that it has applied.",
        "nb_cfg_heard": "The last request that its agent knows of, if it has not applied it within 0.5 s. "
        "Such a chassis is behind, and not silent.",
        "nb_cfg_timestamp": "When it applied `nb_cfg`, in ms since 1970 by its own clock.",
        "silent_at": "The last request that it had answered, by `nb_cfg` or `nb_cfg_heard`, when `trunkline "
        "sync --wait` found that it does not answer. It is silent until it answers another.",
        "version": "The version of its agent.",
        "faults": "What it cannot honour: the reason for each subject, such as `network blue`.",
        "external_ids": _EXTERNAL_IDS,
    },
    "Request": {
        "kind": "What is asked, such as `state`: the agent's own state. An agent refuses unknown kinds.",
        "parameters": "What the kind needs to know, by name.",
        "chassis": "The names of the chassis that are asked.",
        "by": "Who asks: the CN of the certificate over a connection with a role, else a name for people.",
        "slot": "Tells apart the questions that one asker has at the same time: 8 at most.",
        "ttl_s": "For how long a chassis answers it and keeps its answer, in s after it has heard of it.",
        "asked_ms": "When it was asked, in ms since the epoch, by the asker's clock.",
    },
    "Answer": {
        "request": "The question. If that is deleted, it becomes empty, and the chassis deletes the answer.",
        "chassis": "The name of the chassis that answers.",
        "state": "`done`, `refused` (an unknown kind, or the chassis answers no questions) or `failed`.",
        "body": "JSON: what was asked for, or an object whose `reason` says why there is none.",
        "over": "Other questions to the chassis that are still there `ttl_s` after it has heard of them.",
    },
    "Probe": {
        "network": "The network that was probed. Its row goes with the network.",
        "probed_ms": "When the last probe of it ended, in ms since the epoch, by its asker's clock.",
        "body": "JSON: what the last probe found, and what earlier ones found where it did not look.",
        "duplicates": "JSON: who else used addresses of its ports when that was last asked; empty: nobody.",
    },
    "Connection": {
        "target": "Where to listen or connect: `ptcp:`, `pssl:`, `punix:` and so on.",
        "max_backoff": "The longest wait between two attempts to connect, in ms.",
        "inactivity_probe": "How long a client may be silent before it is probed, in ms; 0: no probes.",
        "read_only": "Whether its clients may only read.",
        "role": "The RBAC role of its clients, by name. Empty: no restriction.",
        "other_config": "Further settings of ovsdb-server.",
        "external_ids": _EXTERNAL_IDS,
        "is_connected": "Whether a client is connected; written by the server.",
        "status": "The connection's state in words; written by the server.",
    },
    "SSL": {
        "private_key": "The file of the server's private key (PEM).",
        "certificate": "The file of the server's certificate (PEM).",
        "ca_cert": "The file of the authority (CA) that must have issued the clients' certificates.",
        "bootstrap_ca_cert": "Not used by a server; it is part of the standard table.",
        "ssl_protocols": "The TLS versions that it accepts. Empty: ovsdb-server's default.",
        "ssl_ciphers": "The ciphers that it accepts. Empty: ovsdb-server's default.",
        "external_ids": _EXTERNAL_IDS,
    },
    "RBAC_Role": {
        "name": "The role's name.",
        "permissions": "Its permission for each table, by the table's name.",
    },
    "RBAC_Permission": {
        "table": "The name of the table.",
        "authorization": "A client may write a row only if one of these columns holds the client's name.",
        "insert_delete": "Whether the client may insert and delete rows.",
        "update": "The columns that the client may change.",
    },
}
