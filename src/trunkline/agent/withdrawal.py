"""A withdrawal: a chassis that gets another name takes the old one out of the northbound first."""

from __future__ import annotations

from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.write import Outcome
from trunkline.runtime.log import Log

log = Log("withdrawal")


class Withdrawal:
    """The last write of the chassis that *nb* reports for: its row is deleted, and its ports are released.

    Until then no other chassis can hold them, not even the same host by another name. The flows stay. The row
    of the new name is made in the same transaction, so that `sync` always has a row to ask.
    """

    def __init__(self, nb: NorthboundReplica) -> None:
        self.nb = nb
        self._is_asked = False
        self._successor: str | None = None
        self._may_succeed = True

    def run(self, successor: str) -> bool:
        """Go on as far as that is possible without waiting; return whether the withdrawal is over.

        *successor* is the name of the host from now on; it may change meanwhile. If the northbound goes away,
        it keeps the old row, and an operator can delete that.
        """
        self.nb.run()
        outcome = self.nb.outcome()
        if not self.nb.is_connected:
            log.warning(
                "northbound not reached; once it is back, delete the chassis", chassis=self.nb.chassis
            )
            return True
        if self._is_asked and outcome is not None:
            self._is_asked = False
            if outcome is not Outcome.DONE and self._may_succeed:
                # The role of this chassis allows no other row, or there is one of that name already.
                self._may_succeed = False
            else:
                log.info("withdrawn", chassis=self.nb.chassis, outcome=outcome.value)
                if self._successor in (None, successor):
                    return True
                self.nb.report_as(str(self._successor))
        if not self._is_asked and not self.nb.is_writing and self.nb.are_conditions_met:
            self._successor = successor if self._may_succeed else None
            self.nb.withdraw(list(self.nb.rows("Port")), self._successor)
            self._is_asked = True
        return False
