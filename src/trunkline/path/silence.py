"""Why a chassis does not say what it is asked, and what to do about it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.core.setting import ANSWERS

if TYPE_CHECKING:
    from trunkline.northbound.question import Answer

SWITCH_REMEDY = (
    "there, see whether ovs-vswitchd runs (systemctl status ovs-vswitchd) and answers (ovs-appctl version): "
    "if it is dead or hangs, systemctl restart openvswitch-switch; its log says why"
)


def remedy(answer: Answer) -> str | None:
    """Return what to do if *answer* says nothing of what was asked; None if its reason does not tell.

    The agent has answered, so it runs.
    """
    if answer.state == "refused" and ANSWERS in answer.reason:
        return f"there, allow it: ovs-vsctl remove Open_vSwitch . external_ids {ANSWERS}; or run this there"
    return SWITCH_REMEDY if "ovs-vswitchd" in answer.reason else None
