"""Notes to the service manager, by sd_notify(3): a datagram to `$NOTIFY_SOCKET`."""

from __future__ import annotations

import os
import socket

READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(state: str) -> None:
    """Send *state*, lines of `NAME=value`, without waiting, if a service manager asked for it.

    Raises:
        OSError: it cannot be sent.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setblocking(False)
        manager.sendto(state.encode(), address)
