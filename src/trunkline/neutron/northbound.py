"""The connections of a process of Neutron to the northbound: one for each thread."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from oslo_config import cfg

from trunkline.neutron import settings
from trunkline.northbound.client import Northbound, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

CONNECT_TIMEOUT_S = 2.0

_here = threading.local()


def connection() -> Northbound:
    """Return the connection of this thread. A process that was forked has its own.

    Raises:
        UnreachableError: no server answers.
    """
    if getattr(_here, "pid", None) != os.getpid():
        _here.nb, _here.pid = None, os.getpid()
    if _here.nb is None:
        remotes = cfg.CONF.trunkline.nb_connection
        _here.nb = Northbound.connect(remotes, CONNECT_TIMEOUT_S, settings.tls(), prefers_leader=True)
    nb: Northbound = _here.nb
    return nb


def drop() -> None:
    """Close the connection of this thread; the next call makes a new one."""
    if getattr(_here, "pid", None) == os.getpid() and _here.nb is not None:
        _here.nb.close()
        _here.nb = None


def asked(question: Callable[[Northbound], T], limit_s: float) -> T:
    """Return what *question* returns of the northbound, within *limit_s* altogether.

    A connection that nobody has used for a while may have ended: then *question* is asked once more, on a new
    one. So it must be one that can be asked twice.

    Raises:
        UnreachableError: there was no answer in time.
    """
    end_s = time.monotonic() + limit_s

    def once() -> T:
        try:
            nb = connection()
            with nb.within(end_s - time.monotonic()):
                return question(nb)
        except UnreachableError:
            drop()
            raise

    try:
        return once()
    except UnreachableError:
        return once()
