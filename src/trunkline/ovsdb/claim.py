"""Claims: how hosts with one name settle which is the chassis, in the row of that name (docs/adr/0030)."""

from __future__ import annotations

from typing import NamedTuple


class Claims(NamedTuple):
    """Other hosts that ask to be the chassis of a row, and those of them that are denied it.

    *holder* is the host that the row is to belong to from now on; None: that does not change.
    """

    hostname_by_host: dict[str, str]
    denied: frozenset[str]
    holder: str | None = None

    def entered(self, host: str, hostname: str) -> Claims:
        """Return these claims with that of *host*, not denied yet."""
        return self._replace(
            hostname_by_host=self.hostname_by_host | {host: hostname}, denied=self.denied - {host}
        )

    def left(self, host: str) -> Claims:
        """Return these claims without that of *host*."""
        others = {other: name for other, name in self.hostname_by_host.items() if other != host}
        return self._replace(hostname_by_host=others, denied=self.denied - {host})
