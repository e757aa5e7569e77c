"""The worker: a process of a controller that works while it holds a lock of the northbound.

`neutron-periodic-workers` runs it. The workers of other controllers stand by: when a worker ends, the next
one has its lock at once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from neutron_lib import worker
from oslo_config import cfg
from oslo_log import log

from trunkline.core.error import TrunklineError
from trunkline.neutron import settings
from trunkline.neutron.steward import Steward
from trunkline.northbound.client import Northbound, UnreachableError

if TYPE_CHECKING:
    from typing import Any

LOG = log.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
RETRY_S = 1.0
STANDBY_S = 0.5


class Worker(worker.BaseWorker):
    """The worker *number* of *count*: each brings the status of its share of the ports to Neutron.

    The first one, 0, also compares everything, and keeps the agents.
    """

    def __init__(self, number: int, count: int) -> None:
        super().__init__(worker_process_count=1, desc="trunkline")
        self._number = number
        self._count = count
        self._is_ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._was_away = False

    def start(self, **kwargs: Any) -> None:
        """Start to work, in a thread of this process."""
        super().start(name="neutron-trunkline", desc=f"trunkline worker {self._number}")
        self._thread = threading.Thread(target=self._run, name=f"trunkline-{self._number}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the work; `wait` returns when it has ended."""
        self._is_ending.set()

    def wait(self) -> None:
        """Wait until the work has ended."""
        if self._thread is not None:
            self._thread.join()

    def reset(self) -> None:
        """Do nothing: the settings are read when they are needed."""

    def _run(self) -> None:
        while not self._is_ending.is_set():
            try:
                self._work()
            except UnreachableError as error:
                if not self._was_away:
                    LOG.warning("Trunkline: the northbound is away: %s", error)
                self._was_away = True
            except TrunklineError as error:
                LOG.warning("Trunkline: tried again in %g s: %s", RETRY_S, error)
            except Exception:
                # Neutron's database may be away: whatever it is, the worker goes on when it is over.
                LOG.exception("Trunkline: the worker starts anew")
            self._is_ending.wait(RETRY_S)

    def _work(self) -> None:
        """Wait for the lock, and work until it is lost."""
        remotes = cfg.CONF.trunkline.nb_connection
        connection = Northbound.connect(remotes, CONNECT_TIMEOUT_S, settings.tls(), prefers_leader=True)
        with connection as nb, nb.lock(f"trunkline_neutron_{self._number}") as lock:
            while not self._is_ending.is_set() and not lock.is_held(timeout_s=STANDBY_S):
                pass
            if self._is_ending.is_set():
                return
            LOG.info("Trunkline: worker %d works", self._number)
            self._was_away = False
            with Steward(nb, self._number, self._count) as steward:
                while not self._is_ending.is_set() and lock.is_held():
                    steward.run()
