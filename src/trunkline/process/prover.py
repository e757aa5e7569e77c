"""The prover: a process of its own that proves this chassis for its agent, which has one thread for all else.

It is given a JSON object with `ovs` (a remote) and perhaps `network` (a name), and prints another one: what
`trunkline.path.isolation.answer` returns, or why there is no such answer.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any

from trunkline.core.error import TimedOutError, TrunklineError

_NICE = 10


def main() -> None:
    """Prove, and print what was found."""
    with suppress(OSError):
        # A service may be kept from it (SystemCallFilter). The agent and the switch come first if it may.
        os.nice(_NICE)
    asked = json.load(sys.stdin)
    json.dump(_found(str(asked["ovs"]), asked.get("network")), sys.stdout)


def _found(ovs_remote: str, network: str | None) -> dict[str, Any]:
    from trunkline.insight import chassis
    from trunkline.path import isolation
    from trunkline.path.isolation_question import FAILED, INCOMPLETE

    try:
        with isolation.asked(chassis.read(ovs_remote), network=network) as asked:
            return isolation.answer(asked)
    except TimedOutError as error:
        return {INCOMPLETE: str(error)}
    except TrunklineError as error:
        return {FAILED: str(error)}


if __name__ == "__main__":
    main()
