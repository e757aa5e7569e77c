"""Export: rows of the northbound as the documents that would make them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from trunkline.manifest.difference import given
from trunkline.manifest.form import KIND, SPECS, columns
from trunkline.manifest.wanted import cleared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trunkline.manifest.form import Kind
    from trunkline.manifest.present import Present
    from trunkline.northbound.operation import Row


class _Dumper(yaml.CSafeDumper):
    """Puts in quotes what is a text to YAML 1.1, as PyYAML has it, and something else to YAML 1.2."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:0o[0-7]+|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?)"),
    list("-+.0123456789"),
)


def documents(there: Present) -> Iterator[dict[str, Any]]:
    """Yield a document for each row of *there*: the networks, then the ports, each by name.

    A column that is empty is left out, and so is what Trunkline itself writes.
    """
    for kind in SPECS:
        rows = there.rows(kind)
        for name in sorted(rows):
            yield _document(kind, rows[name])


def _document(kind: Kind, row: Row) -> dict[str, Any]:
    empty, values = cleared(kind), {name: given(row, name) for name in columns(kind)}
    return {KIND: kind} | {name: value for name, value in values.items() if value != empty[name]}


def text(wanted: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the YAML of each of the documents *wanted*."""
    for document in wanted:
        yield "---\n" + yaml.dump(
            document, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True
        )
