"""A question about flows, as it goes to another chassis: the parameters of a `Request`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trunkline.core.error import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "flows"
"""The kind of the question (`Request:kind`)."""


class FlowQuestion(NamedTuple):
    """Which flows are asked for: those with *cookie* under *cookie_mask*, in *table_id* alone if it is given.

    With *is_of_drops*, only those that have dropped frames. With *is_of_counts*, only how many there are of
    each kind, and what they counted.
    """

    cookie: int = 0
    cookie_mask: int = 0
    table_id: int | None = None
    is_of_drops: bool = False
    is_of_counts: bool = False

    @property
    def parameters(self) -> dict[str, str]:
        """What `question` understands."""
        found = {"cookie": f"{self.cookie:#x}", "mask": f"{self.cookie_mask:#x}"}
        if self.table_id is not None:
            found["table"] = str(self.table_id)
        return found | {
            name: "true"
            for name, is_so in (("drops", self.is_of_drops), ("counts", self.is_of_counts))
            if is_so
        }


def question(parameters: Mapping[str, str]) -> FlowQuestion:
    """Return the question that *parameters* ask.

    Raises:
        InvalidValueError: they ask for something else.
    """
    unknown = sorted(parameters.keys() - {"cookie", "mask", "table", "drops", "counts"})
    if unknown:
        raise InvalidValueError(
            f"flows have no {unknown[0]!r} that this agent could choose them by; "
            "have agents and programs be of one version"
        )
    table_id = _number(parameters, "table", 8) if "table" in parameters else None
    return FlowQuestion(
        _number(parameters, "cookie", 64),
        _number(parameters, "mask", 64),
        table_id,
        parameters.get("drops") == "true",
        parameters.get("counts") == "true",
    )


def _number(parameters: Mapping[str, str], name: str, bits: int) -> int:
    text = parameters.get(name, "0")
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << bits:
        raise InvalidValueError(f"{name} {text[:40]!r} is no number of {bits} bits; correct it")
    return value
