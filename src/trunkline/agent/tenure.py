"""Tenure: which of several hosts with one name is that chassis (docs/adr/0030-a-name-is-asked-for.md)."""

from __future__ import annotations

import time

import ovs.poller

from trunkline.ovsdb.claim import Claims
from trunkline.ovsdb.nb_replica import NorthboundReplica
from trunkline.ovsdb.write import Outcome
from trunkline.runtime.log import Log

log = Log("tenure")

PATIENCE_S = 5.0
"""How long the holder of the name has to deny it to another host. A holder that is gone denies nothing."""

ASK_AGAIN_S = 30.0
"""How long a host that was denied the name waits before it asks again: the holder may be gone by then."""

FORGET_S = 3 * ASK_AGAIN_S
"""After how long the holder forgets a host that has not asked again."""

RETRY_S = 1.0
"""How long to wait after the northbound refused a write."""


class Tenure:
    """Whether this host is the chassis of its name, or stands back for another host that is.

    The row of a chassis says which host it belongs to. Another host with that name enters a claim in the row,
    and the holder denies it. If nobody denies it within `PATIENCE_S`, the name goes to the other host. So a
    host that was installed anew gets its name back, and a host made from a copied image does not get that of
    the original. While only one host has the name, nothing is written.
    """

    def __init__(self) -> None:
        self.is_held = False
        self.has_unwritten = False
        """Whether claims are to be written once another write to the northbound has ended."""
        self._hostname = ""
        self.fault: str | None = None
        self._session: object = None
        self._is_writing = False
        self._wake_s: float | None = None
        self._retry_s: float | None = None
        self._asked_s: float | None = None
        self._denied_s: float | None = None
        self._asked_s_by_host: dict[str, float] = {}

    def run(self, nb: NorthboundReplica, hostname: str) -> bool:
        """Go on as far as that is possible without waiting; return whether this host is the chassis.

        *hostname* is this host's name for people. While the northbound is away, the answer stays as it was.
        """
        now_s = time.monotonic()
        self._wake_s, self._hostname, self.has_unwritten = None, hostname, False
        self._end_write(nb, now_s)
        if not nb.is_connected:
            return self.is_held
        if self._session != nb.session:
            # The holder needs time to connect again, too.
            self._session, self._asked_s, self._denied_s = nb.session, None, None
        written = claims = nb.claims
        for former in nb.former_hosts - {nb.host}:
            # That is this host, as it was known before its database was started anew.
            claims = claims.left(former)
        self.is_held = nb.is_ours
        wanted = self._as_holder(claims, now_s) if self.is_held else self._as_claimant(nb, claims, now_s)
        if wanted != written and self._retry_s is None:
            self.has_unwritten = nb.is_writing
            if not nb.is_writing:
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
        """Return claims that deny the name to others, without those that no longer ask."""
        self._asked_s = self._denied_s = self.fault = None
        asked_s_by_host = {}
        for host, hostname in claims.hostname_by_host.items():
            if host not in self._asked_s_by_host:
                log.error("another host has the same system-id, and stands back", hostname=hostname)
            # One that an earlier agent of this host denied may ask again for as long as any other.
            asked_s_by_host[host] = self._asked_s_by_host.get(host, now_s) if host in claims.denied else now_s
        self._asked_s_by_host = {
            host: at_s for host, at_s in asked_s_by_host.items() if now_s < at_s + FORGET_S
        }
        others = {host: claims.hostname_by_host[host] for host in self._asked_s_by_host}
        if others:
            self._wake_at(min(self._asked_s_by_host.values()) + FORGET_S)
            names = ", ".join(sorted(set(others.values())))
            self.fault = (
                f"host {names} has it too; this host, {self._hostname}, was first and goes on, "
                f"{names} stands back. {_REMEDY} {names}"
            )
        return Claims(others, frozenset(others))

    # -- another host of that name -----------------------------------------------------------------

    def _as_claimant(self, nb: NorthboundReplica, claims: Claims, now_s: float) -> Claims:
        """Return claims that ask for the name, or take it if nobody denied it in time."""
        self._asked_s_by_host = {}
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
            f"host {nb.hostname} has it too and was first; this host, {self._hostname}, stands "
            f"back: its switch keeps what it has. {_REMEDY} this host"
        )
        if now_s >= self._denied_s + ASK_AGAIN_S:
            return claims._replace(denied=claims.denied - {nb.host})
        self._wake_at(self._denied_s + ASK_AGAIN_S)
        return claims

    def _this_host(self, nb: NorthboundReplica) -> str:
        """Return the hostname and the address of this host: a copied image often has the same hostname."""
        address = nb.local_address
        return self._hostname if address is None else f"{self._hostname} ({address})"


_REMEDY = "Give each host a name of its own: ovs-vsctl set Open_vSwitch . external_ids:system-id=NAME, on"
