"""The prover: a process of its own that proves this chassis for its agent, which has one thread for all else.

It is given a line with a JSON object of `ovs` (a remote) and perhaps `network` (a name), and prints another
one: what `trunkline.path.isolation.answer` returns, or why there is no such answer. When its input ends,
nobody waits for that any more, and it ends too.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from typing import Any

from trunkline.core.error import TimedOutError, TrunklineError

_NICE = 10


def main() -> None:
    """Prove, and print what was found."""
    with suppress(OSError):
        # A service may be kept from it (SystemCallFilter). The agent and the switch come first if it may.
        os.nice(_NICE)
    asked = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_agent, daemon=True).start()
    json.dump(_found(str(asked["ovs"]), asked.get("network")), sys.stdout)


def _end_with_agent() -> None:
    """End this process when its input ends: an agent that was killed closes nothing by itself."""
    # Not by `sys.stdin`: Python cannot end while a thread waits in there.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


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
