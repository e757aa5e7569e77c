"""Cookies: 64 bits of a flow that say that it is ours, which app made it, and from which row."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from trunkline.core.pipeline import Owner


class Subject(IntEnum):
    """The kind of row that a flow was made from; the value is part of its cookie."""

    CHASSIS = 0
    NETWORK = 1
    PORT = 2
    MAC = 3
    VIF = 4


COOKIE_OURS = 0x7472 << 48
"""The top 16 bits of every cookie of ours ("tr")."""

COOKIE_OURS_MASK = 0xFFFF << 48
"""The bits of a cookie that say that it is ours."""


COOKIE_PROBE = 0x7470 << 48 | Owner.PROBE << 40
"""The cookie of the flows that catch the frames of a probe ("tp"). The agent does not compare them with what
should be: they are there for a session, and the switch itself takes them away."""


def cookie(owner: Owner, subject: Subject, key: int = 0) -> int:
    """Return the cookie of a flow that *owner* made from the row with *key* (0 to 2**32 - 1).

    Bits 63–48: ours; 47–40: owner; 39–32: kind of row; 31–0: its unique key.

    >>> hex(cookie(Owner.L2, Subject.PORT, 0x2A))
    '0x747203020000002a'
    """
    return COOKIE_OURS | owner << 40 | subject << 32 | key


class CookieParts(NamedTuple):
    """The parts of a cookie of ours."""

    owner: Owner
    subject: Subject
    key: int


def cookie_parts(value: int) -> CookieParts | None:
    """Return the parts of the cookie *value*, or None if it is not one of ours.

    >>> cookie_parts(cookie(Owner.PROVIDER, Subject.NETWORK, 7))
    CookieParts(owner=<Owner.PROVIDER: 4>, subject=<Subject.NETWORK: 1>, key=7)
    >>> cookie_parts(0) is None
    True
    """
    if value & COOKIE_OURS_MASK != COOKIE_OURS:
        return None
    try:
        return CookieParts(Owner(value >> 40 & 0xFF), Subject(value >> 32 & 0xFF), value & 0xFFFFFFFF)
    except ValueError:
        return None
