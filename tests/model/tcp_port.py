"""TCP ports of the loopback interface that the servers of tests can listen on."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 32_767
"""Below the ports that Linux gives to clients (ip_local_port_range, ip(7)): none of them comes in between."""

_claims: list[socket.socket] = []
_random = random.SystemRandom()


def free_port() -> int:
    """Return a port that nobody listens on, and that no other call returns, in whatever process.

    The UDP port of that number is bound for as long as this process runs: that is the claim.
    """
    while True:
        port = _random.randint(FIRST, LAST)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
