"""A lock of the northbound's server, by which one of several programs works and the others stand by.

The lock is that of RFC 7047 section 4.1.8. It lasts as long as its connection, so the lock of a program that
ends is free at once. Each member of a cluster has locks of its own: all who want one must ask the leader.
When another member becomes the leader, two may hold the lock for `LOOK_S`. So a lock only keeps work from
being done twice; what its holders write has to be guarded all the same.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trunkline.northbound import member
from trunkline.northbound.rpc import RequestError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from trunkline.northbound.rpc import Rpc

_TIMEOUT_S = 5.0

LOOK_S = 2.0
"""How often the server is asked whether it is still the leader."""


class Lock:
    """The lock *name*, wanted on a connection of its own; a context manager that gives it back.

    *name* is an identifier (RFC 7047 section 3.1, `<id>`). *connect* returns a connection, to the leader if
    there is one, given a time limit in seconds.
    """

    def __init__(self, connect: Callable[[float], Rpc], name: str) -> None:
        self._connect = connect
        self._name = name
        self._rpc: Rpc | None = None
        self._is_held = False
        self._looked_s = 0.0

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back, or stop waiting for it."""
        self._is_held = False
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None

    def is_held(self, timeout_s: float = 0.0) -> bool:
        """Return whether the lock is held; wait for it for *timeout_s* if it is not.

        If the connection was lost, or its server no longer leads, the lock is wanted anew.

        Raises:
            UnreachableError: no server answers, or none of them leads now; the next call tries again.
        """
        try:
            rpc = self._wanted()
            end_s = time.monotonic() + timeout_s
            while not self._is_held and (left_s := end_s - time.monotonic()) > 0:
                self._take(rpc, left_s)
            while self._take(rpc, 0.0):
                pass
        except UnreachableError:
            self.close()
            raise
        return self._is_held

    def _wanted(self) -> Rpc:
        """Return the connection on which the lock is held or waited for."""
        if self._rpc is None:
            self._rpc = self._connect(_TIMEOUT_S)
            self._require_leader(self._rpc)
            try:
                self._is_held = self._rpc.request("lock", [self._name], _TIMEOUT_S)["locked"] is True
            except (RequestError, TypeError, KeyError) as error:
                raise UnreachableError(f"{self._rpc.remote}: gives no locks: {error}") from error
        elif time.monotonic() >= self._looked_s + LOOK_S:
            self._require_leader(self._rpc)
        return self._rpc

    def _require_leader(self, rpc: Rpc) -> None:
        self._looked_s = time.monotonic()
        if not member.is_leader(rpc, _TIMEOUT_S):
            raise UnreachableError(f"{rpc.remote}: does not lead its cluster; name all members in `remotes`")

    def _take(self, rpc: Rpc, timeout_s: float) -> bool:
        """Take note of the next notification; return False if none comes within *timeout_s*."""
        notification = rpc.notification(timeout_s)
        if notification is None:
            return False
        if notification.params == [self._name]:
            self._is_held = {"locked": True, "stolen": False}.get(notification.method, self._is_held)
        return True
