"""Why a chassis does not say what it is asked, and what to do about it there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline.core.setting import ANSWERS
from trunkline.path.outcome import Silence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trunkline.northbound.question import Answer
    from trunkline.path.hop import Entry
    from trunkline.path.trace import Ask

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


def asked_until_silent(ask: Ask) -> Ask:
    """Return *ask*, but that a chassis which has not said what it was asked is not asked again.

    For a command that asks the same chassis many times, and would wait for it each time.
    """
    silences: dict[str, Silence] = {}

    def asked(names: Sequence[str], entry: Entry) -> Mapping[str, dict[str, Any] | Silence]:
        others = [name for name in names if name not in silences]
        found = ask(others, entry) if others else {}
        silences.update((name, each) for name, each in found.items() if isinstance(each, Silence))
        return {**found, **{name: silences[name] for name in names if name in silences}}

    return asked
