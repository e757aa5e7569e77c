"""The form of a hop, as a JSON Schema: what another chassis answers is checked before it is used."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEXT = {"type": "string"}
_TEXT_OR_NONE = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_COUNT_OR_NONE = {"type": ["integer", "null"]}
_AGE = {"type": "number"}
_AGE_OR_NONE = {"type": ["number", "null"]}
_MOST_CHARACTERS = 300
_RULES = {"type": "array", "items": {"type": "integer"}}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _array(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_STEP = _object(
    bridge=_TEXT,
    table=_COUNT,
    band=_TEXT_OR_NONE,
    row=_TEXT_OR_NONE,
    text=_TEXT,
    rules=_RULES,
    packets=_COUNT_OR_NONE,
    age_s=_AGE_OR_NONE,
)
_OUT = _object(
    kind={"enum": ["vif", "wire", "other"]},
    interface=_TEXT,
    vlans={"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 4095}},
    mtu=_COUNT_OR_NONE,
    port=_TEXT_OR_NONE,
    physnet=_TEXT_OR_NONE,
    fault=_TEXT_OR_NONE,
)
_DROP = _object(
    table=_COUNT_OR_NONE,
    band=_TEXT_OR_NONE,
    bridge=_TEXT_OR_NONE,
    rules=_RULES,
    text=_TEXT,
    remedy=_TEXT_OR_NONE,
)
_COUNTER = _object(packets=_COUNT, age_s=_AGE, idle_s=_AGE_OR_NONE)
_DROPPED = _object(
    band=_TEXT, packets=_COUNT, idle_s=_AGE_OR_NONE, text=_TEXT, rules=_RULES, remedy=_TEXT_OR_NONE
)

FORM = _object(
    chassis=_TEXT,
    fault=_TEXT_OR_NONE,
    steps=_array(_STEP),
    out=_array(_OUT),
    more=_COUNT,
    drop={"anyOf": [{"type": "null"}, _DROP]},
    dropped=_array(_DROPPED),
    counters={"type": "object", "additionalProperties": _COUNTER},
)
FORM["properties"] |= {"in": _TEXT_OR_NONE, "mtu": _COUNT_OR_NONE, "raw": _TEXT}
FORM["properties"] |= {"heard_s": _AGE_OR_NONE, "announced_s": _AGE_OR_NONE, "waited_s": _AGE}
"""What each hop has; later versions add to it. `heard_s` is how long ago a frame of the sender came,
`announced_s` how long ago the agent announced the sender, and `waited_s` for how long the counters were
waited for before they were read."""


@cache
def _checked() -> Callable[[Any], Any]:
    import fastjsonschema

    compiled: Callable[[Any], Any] = fastjsonschema.compile(FORM, use_default=False)
    return compiled


def problem(found: Any, chassis: str) -> str | None:
    """Return what is wrong with *found* as the hop of *chassis*; None if it is one."""
    from fastjsonschema import JsonSchemaValueException

    try:
        _checked()(found)
    except JsonSchemaValueException as error:
        return str(error.message)[:_MOST_CHARACTERS]
    return None if found["chassis"] == chassis else f"it is of chassis {found['chassis'][:80]!r}"


def parts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a hop has of *found*, which is one: what a trace itself adds to hops is not an answer's."""
    return {key: found[key] for key in FORM["properties"] if key in found}
