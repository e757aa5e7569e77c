"""The worker: a process of a controller that works while it holds a lock of the northbound.

`neutron-periodic-workers` runs it. The workers of other controllers stand by: when a worker ends, the next
one has its lock at once.
"""

from __future__ import annotations

import threading
from importlib.metadata import version
from typing import TYPE_CHECKING

from neutron_lib import worker
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log

from neutron import policy
from trunkline.core.error import TrunklineError
from trunkline.neutron import settings
from trunkline.neutron.prompt import first_line
from trunkline.neutron.steward import Steward
from trunkline.northbound.client import Northbound, UnreachableError

if TYPE_CHECKING:
    from typing import Any

LOG = log.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
"""After what is no matter of a database that is away, the worker waits longer each time, up to this."""

STANDBY_S = 0.5


def _process_count() -> int:
    """Return the number by which `neutron-periodic-workers` gives each worker a process of its own.

    That of Neutron 28 leaves out all other workers; that of later ones has one process for all with 0.
    """
    return 0 if int(version("neutron").partition(".")[0]) <= 28 else 1


class Worker(worker.BaseWorker):
    """The worker *number* of *count*: each brings the status of its share of the ports to Neutron.

    The first one, 0, also compares everything, and keeps the agents.
    """

    def __init__(self, number: int, count: int) -> None:
        super().__init__(worker_process_count=_process_count(), desc="trunkline")
        self._number = number
        self._count = count
        self._is_ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble = ""
        self._retry_s = RETRY_S

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
            what = reason = ""
            try:
                self._work()
            except UnreachableError as error:
                what, reason = "the northbound is away", first_line(error)
            except db_exc.DBConnectionError as error:
                what, reason = "Neutron's database is away", first_line(error)
            except (TrunklineError, db_exc.DBError) as error:
                what, reason = "the worker starts anew", first_line(error)
                self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)
            except Exception:
                # Whatever it is: a worker that ended would leave its share of the ports to nobody.
                LOG.exception("Trunkline: the worker starts anew")
                self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)
            # Not while the error is handled: oslo.log would say it once more.
            if what:
                self._tell(what, reason)
            self._is_ending.wait(self._retry_s)

    def _tell(self, what: str, reason: str) -> None:
        """Log a trouble once, however often it comes before the worker has worked again."""
        if what != self._trouble:
            LOG.warning("Trunkline: %s: %s", what, reason)
        self._trouble = what

    def _work(self) -> None:
        """Wait for the lock, and work until it is lost."""
        # Neutron would do it when the first port becomes ACTIVE, which would wait 0.4 s for it.
        policy.init()
        remotes = cfg.CONF.trunkline.nb_connection
        connection = Northbound.connect(remotes, CONNECT_TIMEOUT_S, settings.tls(), prefers_leader=True)
        with connection as nb, nb.lock(f"trunkline_neutron_{self._number}") as lock:
            while not self._is_ending.is_set() and not lock.is_held(timeout_s=STANDBY_S):
                pass
            if self._is_ending.is_set():
                return
            has_begun = False
            with Steward(nb, self._number, self._count) as steward:
                while not self._is_ending.is_set() and lock.is_held():
                    steward.run()
                    self._trouble, self._retry_s = "", RETRY_S
                    if not has_begun:
                        LOG.info("Trunkline: worker %d works", self._number)
                    has_begun = True
