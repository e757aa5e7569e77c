"""Tenure: which of several hosts of one name is that chassis (docs/adr/0030-a-name-is-asked-for.md)."""

from __future__ import annotations

import time

import ovs.poller

from trunkline.ovsdb.claim import Claims
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.replica import Outcome
from trunkline.runtime.log import Log

log = Log("tenure")

PATIENCE_S = 5.0
"""How long the host that has the name may take to deny it to another; a host that is gone does not."""

ASK_AGAIN_S = 30.0
"""How long a host stands back before it asks again: the other one may be gone."""

FORGET_S = 3 * ASK_AGAIN_S
"""How long the host that has the name remembers one that does not ask again."""

RETRY_S = 1.0
"""How long to wait after the northbound refused a write."""


class Tenure:
    """Whether this host is the chassis of its name, or stands back for another host that is.

    The row of a chassis says of which host it is. Another host of that name enters a claim in the row; who
    has the name denies it, and where nobody does within `PATIENCE_S` the name goes over. So a host that is
    made anew gets its name, and one whose image was copied does not. Nothing is written while there is one
    host of the name.
    """

    def __init__(self) -> None:
        self.is_held = False
        self._hostname = ""
        self.fault: str | None = None
        self._session: object = None
        self._is_writing = False
        self._wake_s: float | None = None
        self._retry_s: float | None = None
        self._asked_s: float | None = None
        self._denied_s: float | None = None
        self._heard_s: dict[str, float] = {}

    def run(self, nb: NorthboundReplica, hostname: str) -> bool:
        """Go on as far as that is possible without waiting; return whether this host is the chassis.

        People know this host as *hostname*. While the northbound is away that stays as it was.
        """
        now_s = time.monotonic()
        self._wake_s, self._hostname = None, hostname
        self._end_write(nb, now_s)
        if not nb.is_connected:
            return self.is_held
        if self._session != nb.session:
            # Whoever has the name needs time to come back, too.
            self._session, self._asked_s, self._denied_s = nb.session, None, None
        claims = nb.claims
        for former in nb.former_hosts - {nb.host}:
            # It asked before this host's database was started anew, and is no other host.
            claims = claims.left(former)
        self.is_held = nb.is_ours
        wanted = self._as_holder(claims, now_s) if self.is_held else self._as_claimant(nb, claims, now_s)
        if wanted != nb.claims and not nb.is_writing and self._retry_s is None:
            nb.write_claims(wanted)
            self._is_writing = True
        return self.is_held

    def _end_write(self, nb: NorthboundReplica, now_s: float) -> None:
        if self._retry_s is not None and now_s >= self._retry_s:
            self._retry_s = None
        if self._is_writing:
            outcome = nb.outcome()
            self._is_writing = outcome is None and nb.is_writing
            if outcome is Outcome.FAILED:
                log.error("the northbound refused a write", error=nb.error)
                self._retry_s = now_s + RETRY_S
        self._wake_at(self._retry_s)

    def _wake_at(self, due_s: float | None) -> None:
        if due_s is not None:
            self._wake_s = due_s if self._wake_s is None else min(self._wake_s, due_s)

    def wait(self, poller: ovs.poller.Poller) -> None:
        """Have *poller* wake when `run` has something to do."""
        if self._wake_s is not None:
            poller.timer_wait(max(0, int((self._wake_s - time.monotonic()) * 1000) + 1))

    # -- the host that has the name ----------------------------------------------------------------

    def _as_holder(self, claims: Claims, now_s: float) -> Claims:
        """Deny the name to others, and forget those that do not ask any more."""
        self._asked_s = self._denied_s = self.fault = None
        heard_s = {}
        for host, hostname in claims.hostname_by_host.items():
            if host not in self._heard_s:
                log.error("another host has the same system-id, and stands back", hostname=hostname)
            # One that was denied by an earlier agent of this host has as long as any other.
            heard_s[host] = self._heard_s.get(host, now_s) if host in claims.denied else now_s
        self._heard_s = {host: at_s for host, at_s in heard_s.items() if now_s < at_s + FORGET_S}
        others = {host: claims.hostname_by_host[host] for host in self._heard_s}
        if others:
            self._wake_at(min(self._heard_s.values()) + FORGET_S)
            names = ", ".join(sorted(set(others.values())))
            self.fault = (
                f"host {names} has it too; this one, {self._hostname}, was there first and goes on, "
                f"and {names} stands back. {_REMEDY} {names}"
            )
        return Claims(others, frozenset(others))

    # -- another host of that name -----------------------------------------------------------------

    def _as_claimant(self, nb: NorthboundReplica, claims: Claims, now_s: float) -> Claims:
        """Ask for the name, and take it where nobody denies it."""
        self._heard_s = {}
        if nb.host not in claims.hostname_by_host:
            self._asked_s = self._denied_s = None
            return claims.entered(nb.host, self._this_host(nb))
        if nb.host not in claims.denied:
            self._denied_s = None
            self._asked_s = now_s if self._asked_s is None else self._asked_s
            if now_s >= self._asked_s + PATIENCE_S:
                return claims.left(nb.host)._replace(holder=nb.host)
            self._wake_at(self._asked_s + PATIENCE_S)
            return claims
        self._asked_s = None
        self._denied_s = now_s if self._denied_s is None else self._denied_s
        if self.fault is None:
            log.error("another host is the chassis of this name; standing back", hostname=nb.hostname)
        self.fault = (
            f"host {nb.hostname} has it too and was there first; this one, {self._hostname}, stands "
            f"back: what its switch has stays as it is. {_REMEDY} this host"
        )
        if now_s >= self._denied_s + ASK_AGAIN_S:
            return claims._replace(denied=claims.denied - {nb.host})
        self._wake_at(self._denied_s + ASK_AGAIN_S)
        return claims

    def _this_host(self, nb: NorthboundReplica) -> str:
        """Return what an operator knows this host by: a copy of an image often has its hostname, too."""
        address = nb.local_address
        return self._hostname if address is None else f"{self._hostname} ({address})"


_REMEDY = "Give each host a name of its own: ovs-vsctl set Open_vSwitch . external_ids:system-id=NAME, on"
