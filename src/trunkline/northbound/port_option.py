"""The options of a port: every key that `Port.options` may have, and its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.error import InvalidValueError
from trunkline.core.spelling import meant
from trunkline.northbound.schema import ALLOW_DUPLICATE_IP, ANNOUNCE, CONTROL_FRAMES, FIRST_CHASSIS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_BOOLEAN = ("true", "false")

VALUES: Mapping[str, Collection[str] | None] = {
    ALLOW_DUPLICATE_IP: _BOOLEAN,
    ANNOUNCE: _BOOLEAN,
    CONTROL_FRAMES: _BOOLEAN,
    FIRST_CHASSIS: None,
}
"""The values of each option, None for any value. To add an option, add a line here."""

WRITTEN = frozenset({FIRST_CHASSIS})
"""The options that follow from other columns; a user does not give them."""


def option_fault(options: Mapping[str, str]) -> str | None:
    """Return what is wrong with the first wrong one of *options*, None if all are right.

    >>> option_fault({"announce": "false"})
    >>> option_fault({"announce": "no"})
    "option announce is 'no'; use true or false"
    >>> option_fault({"anounce": "false"})
    "there is no option 'anounce'; did you mean announce?"
    """
    for key, value in sorted(options.items()):
        values = VALUES.get(key)
        if key not in VALUES:
            return f"there is no option {key[:80]!r}; {meant(key, VALUES.keys() - WRITTEN)}"
        if values is not None and value not in values:
            return f"option {key} is {value[:80]!r}; use {' or '.join(values)}"
    return None


def check_options(options: Mapping[str, str]) -> None:
    """Raise InvalidValueError if one of *options* is wrong; an empty value, which removes it, is right."""
    fault = option_fault({key: value for key, value in options.items() if value})
    if fault is not None:
        raise InvalidValueError(fault)
