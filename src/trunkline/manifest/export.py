"""Export: rows of the northbound as the documents that would make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.core.name import natural
from trunkline.manifest.difference import given
from trunkline.manifest.emission import Emission
from trunkline.manifest.form import KIND, SPECS, columns
from trunkline.manifest.wanted import cleared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trunkline.manifest.form import Kind
    from trunkline.manifest.present import Present
    from trunkline.northbound.operation import Row


def documents(there: Present) -> Iterator[dict[str, Any]]:
    """Yield a document for each row of *there*: the networks, then the ports, each by name.

    A column that is empty is left out, and so is what Trunkline itself writes.
    """
    for kind in SPECS:
        rows = there.rows(kind)
        for name in sorted(rows, key=natural):
            yield _document(kind, rows[name])


def _document(kind: Kind, row: Row) -> dict[str, Any]:
    empty, values = cleared(kind), {name: given(row, name) for name in columns(kind)}
    return {KIND: kind} | {name: value for name, value in values.items() if value != empty[name]}


def text(wanted: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Return the YAML of each of the documents *wanted*."""
    emission = Emission(allow_unicode=True, is_marked=True)
    return map(emission.text, wanted)
