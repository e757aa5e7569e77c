"""A departure: a chassis that gets another name takes the old one out of the northbound first."""

from __future__ import annotations

from trunkline.agent.log import Log
from trunkline.ovsdb.nb_replica import NorthboundReplica

log = Log("departure")


class Departure:
    """The last write of the chassis that *nb* reports for: its row goes, and its ports are nobody's.

    Until then nobody else can hold them, not even the same host by another name. The flows stay.
    """

    def __init__(self, nb: NorthboundReplica) -> None:
        self.nb = nb
        self._is_asked = False

    def run(self) -> bool:
        """Go on as far as that is possible without waiting; return whether it is over.

        A northbound that goes away meanwhile keeps the old name, and an operator can delete it.
        """
        self.nb.run()
        outcome = self.nb.outcome()
        if not self.nb.is_connected:
            log.warning(
                "northbound not reached; once it is back, delete the chassis", chassis=self.nb.chassis
            )
            return True
        if self._is_asked and outcome is not None:
            log.info("withdrawn", chassis=self.nb.chassis, outcome=outcome.value)
            return True
        if not self._is_asked and not self.nb.is_writing:
            self.nb.withdraw(list(self.nb.rows("Port")))
            self._is_asked = True
        return False
