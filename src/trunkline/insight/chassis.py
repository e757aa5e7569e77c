"""The chassis that a command runs on: its bridge, its settings and its VIFs, as its own database has them."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.core.setting import DEFAULT_INTEGRATION_BRIDGE, INTEGRATION_BRIDGE, NB, SYSTEM_ID
from trunkline.host.remote import parse_switch
from trunkline.host.rundir import rundir as default_rundir
from trunkline.host.unix_path import short
from trunkline.insight.connection import SwitchError, permission_remedy
from trunkline.northbound import member
from trunkline.northbound.peer import SWITCH
from trunkline.northbound.rpc import Rpc, Tls, UnreachableError, sensible

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT_S = 5.0
_DATABASE = "Open_vSwitch"


class Interface(NamedTuple):
    """An interface of the integration bridge, and what the port is called whose VIF it is, None if of none.

    *port* is the port's name if that is known, and else the iface-id.
    """

    name: str
    port: str | None


@dataclass(frozen=True)
class Chassis:
    """What the chassis' own database says; *remote* is where that was asked."""

    remote: str
    bridge: str = DEFAULT_INTEGRATION_BRIDGE
    nb_remotes: str | None = None
    nb_tls: Tls | None = None
    interface_by_ofport: Mapping[int, Interface] = field(default_factory=dict)
    name: str | None = None

    @property
    def rundir(self) -> str:
        """Where Open vSwitch has its sockets: that of the database's own if the bridge's is there, too."""
        kind, _, place = self.remote.partition(":")
        beside = Path(place).parent
        if kind == "unix" and (beside / f"{self.bridge}.mgmt").is_socket():
            return str(beside)
        return default_rundir()

    @property
    def management_socket(self) -> Path:
        """The socket by which the integration bridge is asked for its flows."""
        return Path(self.rundir) / f"{self.bridge}.mgmt"


def read(remote: str | None = None) -> Chassis:
    """Return the chassis whose database is at *remote*, by default that of this machine.

    Raises:
        SwitchError: the database does not answer, or may not be asked by this user.
        InvalidValueError: *remote* is not written as a remote is.
    """
    where = remote or f"unix:{default_rundir()}/db.sock"
    place = parse_switch(where)
    if place.kind == "unix":
        _refuse_closed(Path(place.place))
    selects = [
        _select("Open_vSwitch", "external_ids", "ssl"),
        _select("SSL", "_uuid", "private_key", "certificate", "ca_cert"),
        _select("Bridge", "name", "ports"),
        _select("Port", "_uuid", "interfaces"),
        _select("Interface", "_uuid", "name", "ofport", "external_ids"),
    ]
    try:
        rpc = Rpc.connect(where, _TIMEOUT_S, peer=SWITCH)
        try:
            results = member.transact(rpc, _DATABASE, selects, _TIMEOUT_S)
        finally:
            rpc.close()
        with sensible(where):
            return _chassis(where, *(result["rows"] for result in results))
    except UnreachableError as error:
        raise SwitchError(f"the chassis' own database does not answer: {error}") from error


def _refuse_closed(path: Path) -> None:
    """Raise `SwitchError` if nobody lets this user connect to *path*."""
    with socket.socket(socket.AF_UNIX) as probe, short(path) as place:
        number = probe.connect_ex(place)
    if number in (errno.EACCES, errno.EPERM):
        raise SwitchError(f"cannot open {path}: permission denied; {permission_remedy()}", number)
    if number:
        raise SwitchError(
            f"cannot open {path}: {os.strerror(number).lower()}; start Open vSwitch, "
            "or say where it is with `ovs_remote` or $OVS_RUNDIR"
        )


def _select(table: str, *columns: str) -> dict[str, Any]:
    return {"op": "select", "table": table, "where": [], "columns": list(columns)}


def _chassis(
    remote: str, roots: list[Any], ssl: list[Any], bridges: list[Any], ports: list[Any], interfaces: list[Any]
) -> Chassis:
    external_ids = as_map(roots[0]["external_ids"]) if roots else {}
    used = as_items(roots[0]["ssl"]) if roots else []
    tls = [
        Tls(row["private_key"], row["certificate"], row["ca_cert"]) for row in ssl if row["_uuid"][1] in used
    ]
    bridge = external_ids.get(INTEGRATION_BRIDGE, "").strip() or DEFAULT_INTEGRATION_BRIDGE
    inside = {uuid for row in bridges if row["name"] == bridge for uuid in as_items(row["ports"])}
    plugged = {uuid for row in ports if row["_uuid"][1] in inside for uuid in as_items(row["interfaces"])}
    return Chassis(
        remote=remote,
        bridge=bridge,
        nb_remotes=external_ids.get(NB, "").strip() or None,
        nb_tls=tls[0] if tls else None,
        name=external_ids.get(SYSTEM_ID, "").strip() or None,
        interface_by_ofport={
            ofport: Interface(str(row["name"]), as_map(row["external_ids"]).get("iface-id"))
            for row in interfaces
            if row["_uuid"][1] in plugged
            for ofport in as_items(row["ofport"])
        },
    )


def as_map(value: Any) -> dict[str, str]:
    """Return the pairs of a map of strings (RFC 7047 section 5.1)."""
    return {str(key): str(item) for key, item in value[1]}


def as_items(value: Any) -> list[Any]:
    """Return the items of a set, references as ids; a single one comes as itself (RFC 7047 section 5.1)."""
    items = value[1] if isinstance(value, list) and value[0] == "set" else [value]
    return [item[1] if isinstance(item, list) else item for item in items]
