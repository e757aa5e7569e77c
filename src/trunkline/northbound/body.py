"""The body of an answer: JSON that a chassis has written, which may be in wrong hands.

Whatever it says can be printed, counted with and written again as JSON: numbers are finite and have 64 bits
at most, no more than `MOST_DEPTH` lists and objects are inside each other, and texts are Unicode.
"""

from __future__ import annotations

import json
import math
from typing import Any

from trunkline.core.error import TrunklineError

MOST_DEPTH = 32
"""How deep data may be. The answers of agents are five deep at most."""

_MOST_DIGITS = 20
"""Of a number with 64 bits; -2**63 has no more."""


class UnreadableError(TrunklineError):
    """The answer of another chassis is not what this program understands."""


def value(text: str | bytes) -> Any:
    """Return what *text* says; raise UnreadableError if it is not such JSON.

    >>> value('{"packets": 3}')
    {'packets': 3}
    >>> value('{"age_s": 1e999}')
    Traceback (most recent call last):
    trunkline.northbound.body.UnreadableError: 1e999 is no number that can be used
    """
    try:
        found = json.loads(text, parse_int=_int, parse_float=_float, parse_constant=_refuse)
        _check(found, MOST_DEPTH)
    except RecursionError:
        raise UnreadableError("it is nested too deep") from None
    except ValueError as error:
        raise UnreadableError(f"it is not JSON: {error}") from None
    return found


def _int(text: str) -> int:
    return int(text) if len(text) <= _MOST_DIGITS else _refuse(text)


def _float(text: str) -> float:
    found = float(text)
    return found if math.isfinite(found) else _refuse(text)


def _refuse(text: str) -> Any:
    raise UnreadableError(f"{text[:40]} is no number that can be used")


def _check(found: Any, most: int) -> None:
    """Raise an error if *found* is deeper than *most*, or has half of a pair of surrogates in a text."""
    if isinstance(found, str):
        found.encode()
    elif isinstance(found, dict | list):
        if not most:
            raise UnreadableError("it is nested too deep")
        for each in found:
            _check(each, most - 1)
        for each in found.values() if isinstance(found, dict) else ():
            _check(each, most - 1)
