"""Hosts as Neutron and Nova name them, and the chassis that they are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class Hosts:
    """Which chassis each host is, by *chassis*, rows of `Chassis`.

    A host is called as its chassis' `hostname`, or as its `name` (the `system-id`). If neither is the same,
    it is the chassis whose hostname has the same first label, if there is one alone: of a host, one program
    says `compute-7` and another one `compute-7.example.org`.
    """

    def __init__(self, chassis: Iterable[Mapping[str, Any]]) -> None:
        known = list(chassis)
        rows = [(str(row["name"]), str(row["hostname"])) for row in known]
        count = Counter(hostname for _, hostname in rows)
        labels = Counter(_label(hostname) for _, hostname in rows)
        self._host_by_name = {
            name: hostname if hostname and count[hostname] == 1 else name for name, hostname in rows
        }
        self._name_by_host = {
            _label(hostname): name for name, hostname in rows if labels[_label(hostname)] == 1
        }
        self._name_by_host |= {name: name for name, _ in rows}
        self._ready_by_name = {str(row["name"]): frozenset(row["ready_ports"]) for row in known}
        self._name_by_host |= {host: name for name, host in self._host_by_name.items()}

    def chassis_of(self, host: str) -> str | None:
        """Return the name of the chassis that *host* is, None if it is none."""
        return self._name_by_host.get(host) or self._name_by_host.get(_label(host))

    def is_ready(self, host: str, port: str) -> bool:
        """Return whether the chassis that *host* is waits for the VM of *port*, which migrates there."""
        return port in self._ready_by_name.get(self.chassis_of(host) or "", ())

    def host_of(self, chassis: str) -> str | None:
        """Return what Neutron calls the chassis, None if there is no such chassis.

        That is its hostname, or its name if it has no hostname or another chassis has the same.
        """
        return self._host_by_name.get(chassis)


def _label(host: str) -> str:
    return host.partition(".")[0].lower()
