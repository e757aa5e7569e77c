"""The question whether frames cross networks on another chassis, as it goes there, and its answer."""

from __future__ import annotations

KIND = "prove"
"""The kind of the question (`Request:kind`)."""

NETWORK = "network"
"""Its one parameter: the name of the network to look at, all if there is none."""

FAILED, INCOMPLETE = "failed", "incomplete"
"""What stands in place of an answer: why nothing was proved; that what is compared changed all the time."""

MOST_S = 60.0
"""How long a proof may take; two seconds of CPU for 36,000 flows, if the machine has one to spare."""
