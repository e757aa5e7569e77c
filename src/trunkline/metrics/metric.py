"""What is said of a metric: to Prometheus, to readers of its page, by a graph and by alerts."""

from __future__ import annotations

from typing import Literal, NamedTuple

PREFIX = "trunkline_"


class Panel(NamedTuple):
    """A graph of the dashboard: what it shows, as a query, in which unit of Grafana, and each line's name."""

    title: str
    query: str
    unit: str
    legend: str


class Alert(NamedTuple):
    """What somebody should be told if *query* has had a result for as long as *lasting*."""

    name: str
    query: str
    lasting: str
    severity: Literal["critical", "warning"]
    text: str
    remedy: str


class Metric(NamedTuple):
    """A metric: *source* is who is asked for it. One without an answer is left out of the exposition."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    source: Literal["agent", "switch", "northbound", "all"]
    labels: tuple[str, ...]
    help: str
    panel: Panel | None = None
    alerts: tuple[Alert, ...] = ()

    @property
    def is_of_ports(self) -> bool:
        """Whether it has a value for each port, and so is left out unless ports are asked for."""
        return "port" in self.labels

    @property
    def exposed(self) -> str:
        """The name that Prometheus sees."""
        return PREFIX + self.name + ("_total" if self.kind == "counter" else "")
