"""Neutron's database, read by plain SELECTs: one for each table, and all as of one moment.

Neutron's own objects take 10 s of CPU for 10,000 ports, and these a thirtieth of that.
"""

from __future__ import annotations

import json
from collections import defaultdict
from sys import intern
from typing import TYPE_CHECKING, Any

from neutron.db import models_v2
from neutron.db.models.allowed_address_pair import AllowedAddressPair
from neutron.db.models.segment import NetworkSegment
from neutron.db.port_security.models import PortSecurityBinding
from neutron.plugins.ml2.models import PortBinding, PortBindingLevel
from neutron.services.trunk.models import SubPort, Trunk
from neutron_lib import constants
from neutron_lib.api import converters
from neutron_lib.db import api as db_api
from sqlalchemy import select

from trunkline.neutron.resource import DRIVER, Binding, Port, Resources, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from trunkline.neutron.present import Scope

MIGRATING_TO = "migrating_to"
"""The key of a binding's profile by which Nova says where the VM migrates to."""

_MAC_LENGTH = 17
"""Of a MAC in one of the usual spellings. Neutron keeps those of pairs as users spell them."""


def everything(context: Any) -> Resources:
    """Return all segments, and all ports, that a driver of the name `DRIVER` may have bound."""
    with db_api.CONTEXT_READER.using(context):
        return Resources(_segments(context), _ports(context))


def some(context: Any, scope: Scope) -> Resources:
    """Return the ports of *scope* and their sub-ports, with all segments of some networks.

    These are the networks of *scope*, those of the ports, and those that its segments are of.
    """
    with db_api.CONTEXT_READER.using(context):
        wanted = set(scope.port_ids) | _sub_port_ids(context, scope.port_ids)
        networks = set(scope.network_ids)
        if scope.segment_ids:
            found = select(NetworkSegment.network_id).where(NetworkSegment.id.in_(scope.segment_ids))
            networks |= set(context.session.execute(found).scalars())
        if wanted:
            found = select(models_v2.Port.network_id).where(models_v2.Port.id.in_(wanted))
            networks |= set(context.session.execute(found).scalars())
        return Resources(
            _segments(context, networks) if networks else [], _ports(context, wanted) if wanted else []
        )


def bound(context: Any, port_ids: Collection[str]) -> list[Port]:
    """Return these ports with their status and bindings; of all else they have the default."""
    port = models_v2.Port
    with db_api.CONTEXT_READER.using(context):
        rows = _reader(context, port_ids)
        bindings = _bindings(rows)
        return [
            Port(id_, mac, intern(status), bindings=tuple(bindings.get(id_, ())))
            for id_, mac, status in rows(port.id, port.mac_address, port.status)
        ]


def ports_in(context: Any, subnet_id: str) -> frozenset[str]:
    """Return the ports with addresses of the subnet as of now; until the transaction ends, none gets one.

    Without the lock, MariaDB would show what was there when the transaction began.
    """
    found = select(models_v2.IPAllocation.port_id).where(models_v2.IPAllocation.subnet_id == subnet_id)
    with db_api.CONTEXT_WRITER.using(context):
        return frozenset(context.session.execute(found.with_for_update()).scalars()) - {None}


def _sub_port_ids(context: Any, parent_ids: Collection[str]) -> set[str]:
    if not parent_ids:
        return set()
    found = (
        select(SubPort.port_id).join(Trunk, Trunk.id == SubPort.trunk_id).where(Trunk.port_id.in_(parent_ids))
    )
    return set(context.session.execute(found).scalars())


def _segments(context: Any, network_ids: Collection[str] | None = None) -> list[Segment]:
    network = models_v2.Network
    asked = select(
        NetworkSegment.id,
        network.id,
        network.name,
        NetworkSegment.network_type,
        NetworkSegment.physical_network,
        NetworkSegment.segmentation_id,
        network.mtu,
        network.vlan_transparent,
    ).join(network, network.id == NetworkSegment.network_id)
    if network_ids is not None:
        asked = asked.where(network.id.in_(network_ids))
    return [
        Segment._make((*values, bool(is_transparent)))
        for *values, is_transparent in context.session.execute(asked).tuples()
    ]


def _reader(context: Any, ids: Collection[str] | None) -> Callable[..., Iterable[Any]]:
    """Return what reads columns of a table, the first being a port's id: of the ports *ids*, or of all."""

    def rows(column: Any, *columns: Any) -> Iterable[Any]:
        asked = select(column, *columns)
        found: Iterable[Any] = (
            context.session.execute(asked if ids is None else asked.where(column.in_(ids))).tuples().all()
        )
        return found

    return rows


def _ports(context: Any, ids: Collection[str] | None = None) -> list[Port]:
    rows = _reader(context, ids)
    addresses: Mapping[str, list[str]] = defaultdict(list)
    for port_id, address in rows(models_v2.IPAllocation.port_id, models_v2.IPAllocation.ip_address):
        addresses[port_id].append(address)
    pairs: Mapping[str, list[str]] = defaultdict(list)
    pair = AllowedAddressPair
    for port_id, mac, address in rows(pair.port_id, pair.mac_address, pair.ip_address):
        if len(mac) != _MAC_LENGTH:
            mac = converters.convert_to_sanitized_mac_address(mac)
        pairs[port_id].append(f"{mac},{address}")
    secured = dict(rows(PortSecurityBinding.port_id, PortSecurityBinding.port_security_enabled))
    trunks = {port_id: (parent, tag) for port_id, parent, tag in _sub_ports(context, ids)}
    bindings = _bindings(rows)
    port = models_v2.Port
    return [
        Port(
            id=id_,
            mac=mac,
            status=intern(status),
            is_enabled=bool(is_enabled),
            is_secured=bool(secured.get(id_, True)),
            addresses=tuple(sorted(addresses[id_])) if id_ in addresses else (),
            pairs=tuple(sorted(pairs[id_])) if id_ in pairs else (),
            bindings=tuple(bindings.get(id_, ())),
            parent_id=trunks[id_][0] if id_ in trunks else None,
            parent_vlan=trunks[id_][1] if id_ in trunks else None,
        )
        for id_, mac, status, is_enabled in rows(port.id, port.mac_address, port.status, port.admin_state_up)
    ]


def _sub_ports(context: Any, ids: Collection[str] | None) -> Iterable[Any]:
    asked = select(SubPort.port_id, Trunk.port_id, SubPort.segmentation_id).join(
        Trunk, Trunk.id == SubPort.trunk_id
    )
    found: Iterable[Any] = (
        context.session.execute(asked if ids is None else asked.where(SubPort.port_id.in_(ids)))
        .tuples()
        .all()
    )
    return found


def _bindings(rows: Callable[..., Iterable[Any]]) -> dict[str, list[Binding]]:
    """Return the bindings of each port; *rows* yields columns of a table that has its id."""
    level, binding = PortBindingLevel, PortBinding
    segments = {
        (port_id, host): intern(segment_id)
        for port_id, host, driver, segment_id in rows(
            level.port_id, level.host, level.driver, level.segment_id
        )
        if driver == DRIVER and segment_id is not None
    }
    found: dict[str, list[Binding]] = defaultdict(list)
    for port_id, host, status, vif_type, profile in rows(
        binding.port_id, binding.host, binding.status, binding.vif_type, binding.profile
    ):
        found[port_id].append(
            Binding(
                intern(host),
                is_active=status == constants.ACTIVE,
                vif_type=intern(vif_type),
                segment_id=segments.get((port_id, host)),
                migrating_to=_migrating_to(profile),
            )
        )
    return found


def _migrating_to(profile: str) -> str | None:
    """Return what the *profile* of a binding, JSON or nothing, says of a migration."""
    if MIGRATING_TO not in profile:
        return None
    try:
        return str(json.loads(profile)[MIGRATING_TO])
    except (ValueError, LookupError, TypeError):
        return None
