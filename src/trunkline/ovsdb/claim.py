"""Claims: what hosts with one name write to each other, in the `Chassis` row of that name (docs/adr/0030)."""

from __future__ import annotations

from typing import NamedTuple


class Claims(NamedTuple):
    """Other hosts that ask to be the chassis of a row, and those of them that are denied it.

    A *holder* is to be written as the host that the row is of; None: the row's stays.
    """

    hostname_by_host: dict[str, str]
    denied: frozenset[str]
    holder: str | None = None

    def entered(self, host: str, hostname: str) -> Claims:
        """Return these claims and that of *host*."""
        return self._replace(
            hostname_by_host=self.hostname_by_host | {host: hostname}, denied=self.denied - {host}
        )

    def left(self, host: str) -> Claims:
        """Return the claims of others than *host*."""
        others = {other: name for other, name in self.hostname_by_host.items() if other != host}
        return self._replace(hostname_by_host=others, denied=self.denied - {host})
