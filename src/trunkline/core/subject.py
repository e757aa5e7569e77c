"""Subjects: what a view, a flow or a fault belongs to, with one type for each kind."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from trunkline.core.cookie import Subject


class ChassisSubject(NamedTuple):
    """The chassis itself, for what belongs to no network. `CHASSIS` is its only value."""

    kind: Literal[Subject.CHASSIS] = Subject.CHASSIS


class NetworkSubject(NamedTuple):
    """A network. As in all subjects, *kind* tells it from a subject of another kind with the same id."""

    id: UUID
    kind: Literal[Subject.NETWORK] = Subject.NETWORK


class PortSubject(NamedTuple):
    """A port."""

    id: UUID
    kind: Literal[Subject.PORT] = Subject.PORT


class MacSubject(NamedTuple):
    """A MAC in a network."""

    network_id: UUID
    mac: int
    kind: Literal[Subject.MAC] = Subject.MAC


class VifSubject(NamedTuple):
    """The interfaces on this switch with one iface-id."""

    iface_id: str
    kind: Literal[Subject.VIF] = Subject.VIF


SubjectId: TypeAlias = ChassisSubject | NetworkSubject | PortSubject | MacSubject | VifSubject

CHASSIS = ChassisSubject()
