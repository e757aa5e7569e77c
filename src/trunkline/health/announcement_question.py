"""A question that has chassis announce ports once more, as it goes to them: the parameters of a `Request`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trunkline.core.error import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

KIND = "announce"
"""The kind of the question (`Request:kind`)."""

MOST_PORTS = 8
"""How many ports a question may name: each announcement is a broadcast that a whole network looks at."""


def parameters(names: Collection[str]) -> dict[str, str]:
    """Return what `ports` understands."""
    return {"ports": json.dumps(sorted(names))}


def ports(parameters: Mapping[str, str]) -> list[str]:
    """Return the names of the ports that *parameters* name.

    >>> ports({"ports": '["vm1", "vm2"]'})
    ['vm1', 'vm2']

    Raises:
        InvalidValueError: they name none, or too many.
    """
    try:
        found = json.loads(parameters.get("ports", ""))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise InvalidValueError(
            "`ports` is not a list of names as JSON; have agents and programs be of one version"
        )
    if len(found) > MOST_PORTS:
        raise InvalidValueError(f"a question may name {MOST_PORTS} ports to announce, not {len(found)}")
    return found
