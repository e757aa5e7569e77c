"""Former integration bridges: our flows are deleted there, and the bridges become what they were before.

Flows must not stay on a bridge that no agent looks after: its ofports will belong to other VIFs one day.
"""

from __future__ import annotations

import os

import ovs.poller

from trunkline.bridge.forwarding import Forwarding
from trunkline.ovsdb.vswitch import SwitchReplica
from trunkline.runtime.log import Log

log = Log("former_bridge")


class FormerBridges:
    """The bridges of *switch* that are marked as used and are not the integration bridge.

    The mark is in the database, so that an agent goes on where the one before it stopped.
    """

    def __init__(self, switch: SwitchReplica, rundir: str) -> None:
        self._switch = switch
        self._rundir = rundir
        self._forwarding_by_bridge: dict[str, Forwarding] = {}

    def run(self, bridge: str) -> None:
        """Delete our flows from all of them but *bridge*, as far as that is possible without waiting."""
        left = set(self._switch.used_bridges.values()) - {bridge}
        for name in self._forwarding_by_bridge.keys() - left:
            self._forwarding_by_bridge.pop(name).close()
        for name in left:
            if name not in self._forwarding_by_bridge:
                log.info("leaving a former integration bridge", bridge=name)
                target = f"unix:{os.path.join(self._rundir, name)}.mgmt"
                self._forwarding_by_bridge[name] = Forwarding(target)
            forwarding = self._forwarding_by_bridge[name]
            forwarding.run()
            forwarding.send()

    @property
    def released(self) -> frozenset[str]:
        """The bridges that were seen to have no flow of ours left."""
        return frozenset(
            name for name, forwarding in self._forwarding_by_bridge.items() if forwarding.is_applied
        )

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        for forwarding in self._forwarding_by_bridge.values():
            forwarding.wait(poller)

    def close(self) -> None:
        """End all connections."""
        for forwarding in self._forwarding_by_bridge.values():
            forwarding.close()
