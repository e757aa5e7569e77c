"""The restore wait: with it in its database, an ovs-vswitchd that starts keeps the kernel's cached flows.

It takes OpenFlow flows meanwhile, but handles no frame that the cache does not cover, until the wait goes
(`flow-restore-wait`, ovs-vswitchd.conf.db(5)). Whoever sets it has to take it away.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from trunkline.northbound.peer import SWITCH
from trunkline.northbound.rpc import Rpc
from trunkline.ovsdb.datum import pairs
from trunkline.ovsdb.switch_row import RESTORE_MARK, RESTORE_WAIT, RootRow

if TYPE_CHECKING:
    from trunkline.ovsdb.vswitch import SwitchReplica

_OURS = "TRUE"
"""Open vSwitch takes it for `true` (`smap_get_bool`). `ovs-ctl` and people write `true`: if they set it after
us, that shows."""


def is_ours(switch: SwitchReplica) -> bool:
    """Return whether an agent has set the wait, and nobody has set it after that."""
    wait = "" if switch.root is None else pairs(switch.root, RootRow.other_config).get(RESTORE_WAIT)
    return is_marked(switch) and wait == _OURS


def is_marked(switch: SwitchReplica) -> bool:
    """Return whether an agent has set the wait, even if somebody else has changed it since."""
    return RESTORE_MARK in switch.external_ids


def begin(switch: SwitchReplica) -> None:
    """Have the wait written, with our mark."""
    transaction = switch.begin("trunkline agent: ovs-vswitchd is gone; it is to wait for its flows")
    root = switch.require_root()
    root.verify("other_config")
    root.setkey("other_config", RESTORE_WAIT, _OURS)
    root.setkey("external_ids", RESTORE_MARK, "true")
    switch.commit(transaction)


def ask(switch: SwitchReplica) -> None:
    """Have a write made that changes nothing, but that ovs-vswitchd answers (`SwitchReplica.is_realized`)."""
    transaction = switch.begin("trunkline agent: is ovs-vswitchd back?")
    switch.bump_next_cfg()
    switch.commit(transaction)


def end(switch: SwitchReplica) -> None:
    """Have our wait and its mark removed; a wait of somebody else stays."""
    transaction = switch.begin("trunkline agent: ovs-vswitchd no longer has to wait for its flows")
    remove(switch)
    switch.commit(transaction)


def remove(switch: SwitchReplica) -> None:
    """Remove our wait and its mark, in the present transaction; a wait of somebody else stays."""
    root = switch.require_root()
    root.verify("other_config")
    if is_ours(switch):
        root.delkey("other_config", RESTORE_WAIT)
    root.delkey("external_ids", RESTORE_MARK)


def take_away(remote: str, timeout_s: float) -> None:
    """Remove our wait and its mark from the database at *remote*, for an agent that ends; it may block.

    Raises:
        UnreachableError, RequestError: the database is not there, or does not accept it.
    """
    mutations = [
        ["other_config", "delete", ["map", [[RESTORE_WAIT, _OURS]]]],
        ["external_ids", "delete", ["set", [RESTORE_MARK]]],
    ]
    with closing(Rpc.connect(remote, timeout_s, peer=SWITCH)) as rpc:
        rpc.request(
            "transact",
            ["Open_vSwitch", {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": mutations}],
            timeout_s,
        )
