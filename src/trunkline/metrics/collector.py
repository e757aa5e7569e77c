"""The collector: it asks the agent, the switch and the northbound at each scrape, and makes the metrics."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from trunkline.core.cookie import COOKIE_OURS, COOKIE_OURS_MASK, Subject
from trunkline.core.error import TrunklineError
from trunkline.core.pipeline import Band, Table
from trunkline.health import own_agent
from trunkline.health.cause import CAUSES
from trunkline.insight.connection import Connection
from trunkline.metrics.metric import PREFIX
from trunkline.metrics.table import METRICS
from trunkline.northbound.operation import select

if TYPE_CHECKING:
    from trunkline.insight.chassis import Chassis
    from trunkline.insight.connection import InstalledFlow
    from trunkline.northbound.client import Northbound

_SUBJECT_BITS = COOKIE_OURS_MASK | 0xFF << 32
_OF_NETWORKS = COOKIE_OURS | Subject.NETWORK << 32
_OF_PORTS = COOKIE_OURS | Subject.PORT << 32
_REFUSING = (Table.PORT_SECURITY, Table.REFUSED)
"""The tables in which flows of ports drop, a few for each port."""

_PASSING = (Table.CLASSIFY, Table.DISPATCH)
"""The tables in which a frame meets a flow of the port that sent it, and of the one that gets it."""

_PATIENCE_S = 3.0

_BAND_BY_PLACE = {(band.table.value, band.priority): band.name.lower() for band in Band}

Values = dict[str, dict[tuple[str, ...], float]]
"""The value of each metric, by its name and then by its labels.

A histogram has the number of delays up to each bound, by the bound, and without a label their sum.
"""


@dataclass
class Sources:
    """Who is asked: *chassis* reads where the switch and its northbound are, *connect* asks the latter."""

    chassis: Callable[[], Chassis]
    connect: Callable[[Chassis], Northbound]
    tell: Callable[[str], None]
    """Is told in one line what cannot be read, and when it can be again."""

    ports: re.Pattern[str] | None = None
    """The names of ports that have metrics of their own, as a whole; None if no port has."""

    _reasons: dict[str, str] = field(default_factory=dict)
    _network_by_key: dict[int, str] = field(default_factory=dict)
    _port_by_key: dict[int, str] = field(default_factory=dict)

    def values(self) -> Values:
        """Return all that can be read now."""
        found: Values = {}
        self._ask(found, "agent", "agent_up", lambda: of_agent(own_agent.answer("state")))
        there: list[Chassis] = []
        self._ask(found, "northbound", "names_readable", lambda: self._names(there))
        self._ask(found, "switch", "bridge_readable", lambda: self._of_switch(there))
        return found

    def _ask(self, found: Values, source: str, is_up: str, ask: Callable[[], Values]) -> None:
        begin_s = time.monotonic()
        reason = ""
        try:
            found.update(ask())
        except TrunklineError as error:
            reason = str(error)
        found[is_up] = {(): float(not reason)}
        found.setdefault("read_seconds", {})[source,] = time.monotonic() - begin_s
        if reason != self._reasons.get(source, ""):
            self._reasons[source] = reason
            self.tell(f"{source}: {reason or 'it answers again'}")

    def _names(self, there: list[Chassis]) -> Values:
        chassis = self.chassis()
        there.append(chassis)
        asked = [select("Network", only=("unique_key", "name"))]
        if self.ports and chassis.name:
            is_here = ("chassis", "==", chassis.name)
            asked.append(select("Port", is_here, only=("unique_key", "name", "up")))
        nb = self.connect(chassis)
        try:
            networks, *of_ports = nb.read(*asked)
        finally:
            nb.close()
        self._network_by_key = {row["unique_key"]: row["name"] for row in networks}
        if self.ports is None:
            return {}
        ports = [row for rows in of_ports for row in rows if self.ports.fullmatch(row["name"])]
        self._port_by_key = {row["unique_key"]: row["name"] for row in ports}
        return {"port_up": {(row["name"],): float(bool(row["up"])) for row in ports}}

    def _of_switch(self, there: list[Chassis]) -> Values:
        chassis = there[0] if there else self.chassis()
        with Connection(chassis.management_socket, _PATIENCE_S) as bridge:
            of_networks = bridge.flows(_OF_NETWORKS, _SUBJECT_BITS)
            refusing, passing = (
                [flow for table in tables for flow in bridge.flows(_OF_PORTS, _SUBJECT_BITS, table.value)]
                for tables in (_REFUSING, _PASSING if self.ports else ())
            )
        found = of_flows(of_networks, refusing, self._network_by_key)
        return found if self.ports is None else found | of_port_flows(passing, refusing, self._port_by_key)


def of_agent(said: Mapping[str, Any]) -> Values:
    """Return the metrics of what the agent *said* of itself (`trunkline.process.state`)."""
    faults = Counter(dict.fromkeys((cause.noun for cause in CAUSES if cause.noun), 0))
    faults.update(subject.partition(" ")[0] for subject in said["faults"])
    unreached = {subject[8:] for subject in said["faults"] if subject.startswith("mapping ")}
    latest, reported = said.get("nb_cfg_latest"), said["nb_cfg"]
    plain = {
        "switch_connected": said["switch"],
        "northbound_connected": said["northbound"],
        "settled": said["settled"],
        "networks": said["networks"],
        "ports": said["ports"],
        "vifs": said["vifs"],
        "repairs": said["repairs"],
        "longest_turn_seconds": said["longest_turn_ms"] / 1000,
        "local_ports": said.get("local_ports"),
        "requests_behind": None if None in (latest, reported) else latest - reported,
    }
    found: Values = {name: {(): float(value)} for name, value in plain.items() if value is not None}
    found["build_info"] = {(str(said["chassis"]), str(said["version"])): 1.0}
    found["flows"] = {
        (state,): float(said[key])
        for state, key in (("desired", "flows"), ("installed", "installed_flows"))
        if said.get(key) is not None
    }
    found |= {f"{name}_seconds": _buckets(said[name]) for name in ("convergence", "bind") if name in said}
    found["uplink_up"] = {
        (physnet,): float(physnet not in unreached) for physnet in sorted({*said["uplinks"], *unreached})
    }
    found["faults"] = {(kind,): float(count) for kind, count in sorted(faults.items())}
    return found


def _buckets(delays: Mapping[str, Any]) -> dict[tuple[str, ...], float]:
    bounds = [*(str(bound) for bound in delays["bounds"]), "+Inf"]
    reached = zip(bounds, accumulate(delays["counts"]), strict=True)
    return {**{(bound,): float(count) for bound, count in reached}, (): float(delays["sum"])}


def of_flows(
    of_networks: Iterable[InstalledFlow], refusing: Iterable[InstalledFlow], network_by_key: Mapping[int, str]
) -> Values:
    """Return the metrics of the flows *of_networks* and of those of ports, *refusing*, that drop."""
    frames: Counter[tuple[str, ...]] = Counter()
    dropped: Counter[tuple[str, ...]] = Counter()
    refused: Counter[tuple[str, ...]] = Counter()
    for flow in of_networks:
        key = flow.cookie & 0xFFFFFFFF
        labels = network_by_key.get(key, f"network {key}"), _band(flow)
        (dropped if flow.is_drop else frames)[labels] += flow.counters.packet_count
    for flow in refusing:
        if flow.is_drop:
            refused[_band(flow),] += flow.counters.packet_count
    return {
        "network_frames": dict(frames),
        "network_dropped_frames": dict(dropped),
        "refused_frames": dict(refused),
    }


def of_port_flows(
    passing: Iterable[InstalledFlow], refusing: Iterable[InstalledFlow], port_by_key: Mapping[int, str]
) -> Values:
    """Return the metrics of the ports of *port_by_key*: what *passing* let on, and *refusing* dropped."""

    def counted(flows: Iterable[InstalledFlow]) -> dict[tuple[str, ...], float]:
        frames: Counter[tuple[str, ...]] = Counter()
        for flow in flows:
            name = port_by_key.get(flow.cookie & 0xFFFFFFFF)
            if name is not None:
                frames[name, _band(flow)] += flow.counters.packet_count
        return dict(frames)

    return {
        "port_frames": counted(flow for flow in passing if not flow.is_drop),
        "port_refused_frames": counted(flow for flow in refusing if flow.is_drop),
    }


def _band(flow: InstalledFlow) -> str:
    return _BAND_BY_PLACE.get((flow.table, flow.priority), f"table {flow.table}")


class ChassisCollector(Collector):
    """What the library asks at each scrape; two scrapes at once are answered one after the other."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that have values now."""
        with self._lock:
            values = self._sources.values()
        for metric in METRICS:
            if metric.name in values and metric.kind == "histogram":
                histogram = HistogramMetricFamily(PREFIX + metric.name, metric.help)
                reached = dict(values[metric.name])
                sum_s = reached.pop(())
                histogram.add_metric([], [(bound, count) for (bound,), count in reached.items()], sum_s)
                yield histogram
            elif metric.name in values:
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = kind(PREFIX + metric.name, metric.help, labels=metric.labels)
                for labels, value in values[metric.name].items():
                    family.add_metric(list(labels), value)
                yield family
