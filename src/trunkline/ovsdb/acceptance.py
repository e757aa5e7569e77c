"""Acceptance: a chassis obeys one northbound until it is told to forget which."""

from __future__ import annotations

from contextlib import closing

from trunkline.core.error import TrunklineError
from trunkline.northbound.peer import SWITCH
from trunkline.northbound.rpc import Rpc
from trunkline.ovsdb.switch_row import NB_IDENTITY

TIMEOUT_S = 5.0


class AcceptanceError(TrunklineError):
    """The switch's database refused the change."""


def forget_northbound(remote: str) -> None:
    """Have the chassis whose `Open_vSwitch` database is at *remote* obey the northbound that it meets next.

    Raises:
        UnreachableError: the database is not there.
        AcceptanceError: it refused.
    """
    forget = {
        "op": "mutate",
        "table": "Open_vSwitch",
        "where": [],
        "mutations": [["external_ids", "delete", ["set", [NB_IDENTITY]]]],
    }
    with closing(Rpc.connect(remote, TIMEOUT_S, peer=SWITCH)) as rpc:
        results = rpc.request("transact", ["Open_vSwitch", forget], TIMEOUT_S)
    for result in results:
        if result and "error" in result:
            raise AcceptanceError(f"{remote} refused: {result['error']}; is it the switch's own database?")
