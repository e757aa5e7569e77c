"""Subjects: what a view, a flow or a fault is of, with one type a kind."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from trunkline.core.cookie import Subject


class ChassisSubject(NamedTuple):
    """The chassis itself: what belongs to no network. `CHASSIS` is the one there is."""

    kind: Literal[Subject.CHASSIS] = Subject.CHASSIS


class NetworkSubject(NamedTuple):
    """A network. Its *kind*, as of all subjects, keeps it apart from another one of the same id."""

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
    """What stands on this switch with an iface-id."""

    iface_id: str
    kind: Literal[Subject.VIF] = Subject.VIF


SubjectId: TypeAlias = ChassisSubject | NetworkSubject | PortSubject | MacSubject | VifSubject

CHASSIS = ChassisSubject()
