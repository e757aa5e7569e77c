"""The pipeline's apps: pure functions from a view to flows.

The bands of `trunkline.core.pipeline` say which app owns which part of which table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Protocol

from trunkline.apps import classifier, l2, port_security, provider
from trunkline.core.flow import Flow
from trunkline.core.view import View


class App(Protocol):
    """A part of the pipeline; the modules of this package are apps."""

    def flows(self, view: View) -> Iterable[Flow]:
        """Return the flows of *view* in this app's bands; they depend only on *view*."""
        ...


APPS: tuple[App, ...] = (classifier, port_security, l2, provider)


def flows(view: View) -> Iterator[Flow]:
    """Return the flows of *view* in the whole pipeline; no two of them overlap at equal priority."""
    return chain.from_iterable([app.flows(view) for app in APPS])
