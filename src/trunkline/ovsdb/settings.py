"""The chassis settings, from `Open_vSwitch.external_ids`: a change takes effect at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trunkline.core.error import TrunklineError
from trunkline.core.setting import (
    ANSWERS,
    AUDIT_INTERVAL,
    BRIDGE_MAPPINGS,
    DATAPATH_TYPE,
    DEFAULT_INTEGRATION_BRIDGE,
    INTEGRATION_BRIDGE,
    NB,
    PROBE,
    SYSTEM_ID,
    VLAN_PRUNING,
)
from trunkline.core.spelling import meant
from trunkline.host.unix_path import LONGEST_NAME
from trunkline.northbound.rpc import Tls
from trunkline.ovsdb import switch_row
from trunkline.ovsdb.patch_pair import BridgeMapping
from trunkline.ovsdb.switch_row import NB_IDENTITY
from trunkline.ovsdb.wiring import Wiring

KEYS = frozenset(
    {
        *(NB, BRIDGE_MAPPINGS, INTEGRATION_BRIDGE, DATAPATH_TYPE),
        *(VLAN_PRUNING, AUDIT_INTERVAL, ANSWERS, PROBE, NB_IDENTITY),
    }
)
"""Every setting there is; any other key that begins with `trunkline-` is a mistake."""

_FLAGS = {VLAN_PRUNING: "false", ANSWERS: "true", PROBE: "true"}
"""The settings that are true or false, and what each is if it is not set."""

_LAST_PORT = 65535

DEFAULT_AUDIT_INTERVAL_S = 60

# poll(2) counts milliseconds in 31 bits.
_AUDIT_INTERVAL_DIGITS = 6

ANY_NB = "any"
"""The value of `trunkline-nb-identity` that makes the chassis obey every northbound."""

_BRIDGE_NAME_BYTES = 15
"""The longest name of a bridge, which is a network device of Linux (IFNAMSIZ)."""


class SettingsError(TrunklineError):
    """A required chassis setting is missing, or one is invalid, so that the agent cannot use the settings."""


@dataclass(frozen=True)
class Settings:
    """The settings of a chassis.

    *nb_tls* has the files for `ssl:` remotes. *is_pruned* says that uplinks let only VLANs in use through,
    *has_answers* that questions to the chassis (`Request`) are answered, *is_probed* that it takes part in
    probes of the physical networks.
    *nb_identity* is the identity of the northbound that this chassis obeys (None: the first one that it
    meets; `ANY_NB`: every one). All flows are read back every *audit_interval_s* seconds (0: never). *faults*
    says which entries are ignored, and why.
    """

    chassis: str
    nb_remotes: str
    wiring: Wiring
    nb_tls: Tls | None = None
    is_pruned: bool = False
    has_answers: bool = True
    is_probed: bool = True
    nb_identity: str | None = None
    audit_interval_s: int = DEFAULT_AUDIT_INTERVAL_S
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def bridge_by_physnet(self) -> dict[str, str]:
        """The bridge mappings: the provider bridge of each physical network."""
        return {mapping.physnet: mapping.bridge for mapping in self.wiring.mappings}

    def staying(self, bridge: str, reason: str) -> Settings:
        """Return the settings with *bridge* as the integration bridge; *reason*: why not the one set."""
        return replace(
            self,
            wiring=replace(self.wiring, bridge=bridge),
            faults={**self.faults, f"setting {INTEGRATION_BRIDGE}": reason},
        )


def settings(external_ids: Mapping[str, str], tls: Tls | None = None) -> Settings:
    """Return the settings that *external_ids* hold; *tls* is what `ovs-vsctl set-ssl` says.

    Raises:
        SettingsError: `system-id` or `trunkline-nb` is missing; or the latter has an `ssl:` remote, and *tls*
            is None; or no remote is valid, or the name of the integration bridge is not.

    >>> settings({"system-id": "c1", "trunkline-nb": "unix:/nb.sock"}).wiring.bridge
    'br-int'
    """
    for key, example in ((SYSTEM_ID, "$(hostname)"), (NB, "tcp:192.0.2.1:6641")):
        if not external_ids.get(key, "").strip():
            raise SettingsError(
                f"{key} is not set for this chassis; "
                f"run: ovs-vsctl set Open_vSwitch . external_ids:{key}={example}"
            )
    nb_remotes, remote_faults = _remotes(external_ids[NB])
    is_tls = any(remote.strip().startswith("ssl:") for remote in nb_remotes.split(","))
    if is_tls and not (tls and all(tls)):
        raise SettingsError(
            f"{NB} is ssl: and this chassis has no certificate; "
            "run: ovs-vsctl set-ssl KEY.pem CERT.pem CA.pem"
        )
    bridge = external_ids.get(INTEGRATION_BRIDGE, "").strip() or DEFAULT_INTEGRATION_BRIDGE
    _check_bridge(bridge)
    mappings, faults = _mappings(external_ids.get(BRIDGE_MAPPINGS, ""))
    faults |= remote_faults | _unknown(external_ids)
    datapath_type = external_ids.get(DATAPATH_TYPE, "").strip()
    if datapath_type not in ("", "system", "netdev"):
        faults[f"setting {DATAPATH_TYPE}"] = f"{datapath_type!r} is neither system nor netdev; correct it"
        datapath_type = ""
    interval = external_ids.get(AUDIT_INTERVAL, "").strip() or str(DEFAULT_AUDIT_INTERVAL_S)
    if not (interval.isascii() and interval.isdecimal() and len(interval) <= _AUDIT_INTERVAL_DIGITS):
        faults[f"setting {AUDIT_INTERVAL}"] = (
            f"{interval[:20]!r} is not a number of seconds below 1,000,000; correct it"
        )
        interval = str(DEFAULT_AUDIT_INTERVAL_S)
    flags = {key: external_ids.get(key, "").strip().lower() or default for key, default in _FLAGS.items()}
    for key, value in flags.items():
        if value not in ("true", "false"):
            faults[f"setting {key}"] = (
                f"{value[:20]!r} is neither true nor false, and is taken as false; correct it"
            )
    return Settings(
        chassis=external_ids[SYSTEM_ID].strip(),
        nb_remotes=nb_remotes,
        wiring=Wiring(bridge, datapath_type, mappings),
        nb_identity=external_ids.get(NB_IDENTITY, "").strip() or None,
        audit_interval_s=int(interval),
        nb_tls=tls if is_tls else None,
        is_pruned=flags[VLAN_PRUNING] == "true",
        has_answers=flags[ANSWERS] == "true",
        is_probed=flags[PROBE] == "true",
        faults=faults,
    )


def _remotes(text: str) -> tuple[str, dict[str, str]]:
    """Return the valid remotes of *text*, comma separated, and a fault if any is invalid.

    Raises:
        SettingsError: no remote is valid.

    >>> _remotes("tcp:192.0.2.1:6641, unix:/nb.sock")
    ('tcp:192.0.2.1:6641,unix:/nb.sock', {})
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    faults = [fault for fault in map(_remote_fault, parts) if fault is not None]
    remotes = ",".join(part for part in parts if _remote_fault(part) is None)
    if not remotes:
        raise SettingsError(f"{NB}: {faults[0] if faults else 'it names no remote; write tcp:HOST:PORT'}")
    return remotes, {f"setting {NB}": "; ".join(faults)} if faults else {}


def _remote_fault(remote: str) -> str | None:
    if not remote.isprintable():
        # `ovs` would write it into the log unescaped.
        return f"{remote[:40]!r} has characters that are not allowed in a remote; correct it"
    kind, _, place = remote.partition(":")
    if kind == "unix" and len(place.rpartition("/")[2].encode()) > LONGEST_NAME:
        return f"it names a socket of more than {LONGEST_NAME} bytes; give it a shorter name"
    host, _, port = place.rpartition(":")
    is_port = (
        port.isascii() and port.isdecimal() and len(port) <= len("65535") and 0 < int(port) <= _LAST_PORT
    )
    if (kind == "unix" and place) or (kind in ("tcp", "ssl") and host and is_port):
        return None
    return f"{remote[:40]!r} is not a remote; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT"


def _check_bridge(bridge: str) -> None:
    if "/" in bridge or not bridge.isprintable() or len(bridge.encode()) > _BRIDGE_NAME_BYTES:
        raise SettingsError(
            f"{INTEGRATION_BRIDGE} {bridge[:40]!r} is not a valid name of a bridge; "
            f"give at most {_BRIDGE_NAME_BYTES} printable characters without a slash"
        )


def _unknown(external_ids: Mapping[str, str]) -> dict[str, str]:
    """Return a fault for each key that looks like a setting and is not one."""
    faults = {}
    for key in external_ids.keys() - KEYS - {switch_row.RESTORE_MARK}:
        if key.startswith("trunkline-"):
            faults[f"setting {key[:80]}"] = f"there is no such setting; {meant(key, KEYS)}"
    return faults


def _mappings(text: str) -> tuple[tuple[BridgeMapping, ...], dict[str, str]]:
    """Return the valid mappings of *text*, and a fault for each entry that is invalid.

    >>> _mappings("physnet1:br-ex, nonsense")[0]
    (BridgeMapping(physnet='physnet1', bridge='br-ex'),)
    """
    bridge_by_physnet: dict[str, str] = {}
    faults: dict[str, str] = {}
    for entry in (part.strip() for part in text.split(",")):
        if not entry:
            continue
        physnet, colon, bridge = (part.strip() for part in entry.partition(":"))
        if not (physnet and colon and bridge) or ":" in bridge:
            faults[f"mapping {entry}"] = "it is not of the form PHYSNET:BRIDGE; correct it"
        elif bridge_by_physnet.get(physnet, bridge) != bridge:
            faults[f"mapping {entry}"] = (
                f"{physnet} is already mapped to {bridge_by_physnet[physnet]}; remove one"
            )
        elif physnet not in bridge_by_physnet and bridge in bridge_by_physnet.values():
            faults[f"mapping {entry}"] = f"{bridge} already carries another physical network; remove one"
        else:
            bridge_by_physnet[physnet] = bridge
    return tuple(BridgeMapping(*pair) for pair in sorted(bridge_by_physnet.items())), faults
