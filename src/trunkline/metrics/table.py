"""The metrics of a chassis: all that is said of them, in one place.

The collector makes them. `docs/metrics.md`, the rules of Prometheus and the dashboard of Grafana are
generated from this table, so that no page, alert or panel names a metric that is not there.
"""

from __future__ import annotations

from trunkline.metrics.metric import PREFIX, Alert, Metric, Panel


def _delay(name: str, help_: str, text: str) -> Metric:
    """Return the histogram of the delays of that *name*, with the alert *text*."""
    metric = f"{name}_seconds"
    buckets = f"sum by (instance, le) (rate({PREFIX}{metric}_bucket[15m]))"
    title = f"{name.capitalize()}, 99 %"
    panel = Panel(title, f"histogram_quantile(0.99, {buckets})", "s", "{{instance}}")
    query = f"histogram_quantile(0.9, {buckets}) > 5"
    remedy = "the log of the agent, and the load of the chassis and of ovs-vswitchd"
    alert = Alert(f"TrunklineSlow{name.capitalize()}", query, "10m", "warning", text, remedy)
    return Metric(metric, "histogram", "agent", (), help_, panel, (alert,))


METRICS = (
    Metric(
        "agent_up",
        "gauge",
        "all",
        (),
        "Whether the agent of this chassis answers: 1 or 0.",
        Panel("Agents that answer", "sum(trunkline_agent_up)", "none", "agents"),
        (
            Alert(
                "TrunklineAgentDown",
                "trunkline_agent_up == 0",
                "1m",
                "critical",
                "The agent of {{ $labels.instance }} does not answer. The switch forwards as before, and "
                "follows no change.",
                "systemctl status trunkline-agent, and trunkline check",
            ),
        ),
    ),
    Metric(
        "bridge_readable",
        "gauge",
        "all",
        (),
        "Whether the flows of the integration bridge could be read: 1 or 0.",
        None,
        (
            Alert(
                "TrunklineBridgeUnreadable",
                "trunkline_bridge_readable == 0",
                "2m",
                "warning",
                "The flows of the integration bridge of {{ $labels.instance }} cannot be read.",
                "systemctl status trunkline-metrics says why: a daemon is down, or permission is denied",
            ),
        ),
    ),
    Metric(
        "names_readable",
        "gauge",
        "all",
        (),
        "Whether the names of networks could be read from the northbound: 1 or 0. If not, the last ones are "
        "used, and `network KEY` for a network that is new.",
    ),
    Metric(
        "build_info",
        "gauge",
        "agent",
        ("chassis", "version"),
        "1, with the name of the chassis and the version of its agent.",
        Panel("Versions", "count by (version) (trunkline_build_info)", "none", "{{version}}"),
    ),
    Metric(
        "switch_connected",
        "gauge",
        "agent",
        (),
        "Whether the agent is connected to the integration bridge: 1 or 0.",
        None,
        (
            Alert(
                "TrunklineSwitchDisconnected",
                "trunkline_switch_connected == 0",
                "1m",
                "critical",
                "The agent of {{ $labels.instance }} has no connection to its switch.",
                "systemctl status ovs-vswitchd, and trunkline check",
            ),
        ),
    ),
    Metric(
        "northbound_connected",
        "gauge",
        "agent",
        (),
        "Whether the agent is connected to the northbound: 1 or 0.",
        Panel(
            "Chassis without the northbound",
            "sum(trunkline_northbound_connected == bool 0)",
            "none",
            "chassis",
        ),
        (
            Alert(
                "TrunklineNorthboundDisconnected",
                "trunkline_northbound_connected == 0",
                "2m",
                "warning",
                "The agent of {{ $labels.instance }} is not connected to the northbound, and keeps what it "
                "knew.",
                "trunkline nb status, and trunkline check",
            ),
        ),
    ),
    Metric(
        "settled",
        "gauge",
        "agent",
        (),
        "Whether the agent has nothing left to do: 1 or 0.",
        None,
        (
            Alert(
                "TrunklineUnsettled",
                "max_over_time(trunkline_settled[5m]) == 0",
                "5m",
                "warning",
                "The agent of {{ $labels.instance }} has had work left for 10 minutes.",
                "trunkline check, and the log of the agent",
            ),
        ),
    ),
    Metric(
        "requests_behind",
        "gauge",
        "agent",
        (),
        "How many requests to report (`sync`) the chassis has not answered yet.",
        Panel("Requests behind", "trunkline_requests_behind", "none", "{{instance}}"),
    ),
    Metric("networks", "gauge", "agent", (), "Networks that the agent has loaded."),
    Metric("ports", "gauge", "agent", (), "Ports that the agent has loaded, on any chassis."),
    Metric(
        "local_ports",
        "gauge",
        "agent",
        (),
        "Ports whose VIF is here and that may send.",
        Panel("Local ports", "trunkline_local_ports", "none", "{{instance}}"),
    ),
    Metric("vifs", "gauge", "agent", (), "Iface-ids that interfaces of the integration bridge have."),
    Metric(
        "flows",
        "gauge",
        "agent",
        ("state",),
        "Flows that should be on the switch (`desired`), and that were last seen there (`installed`).",
        Panel("Flows", "trunkline_flows", "none", "{{instance}} {{state}}"),
        (
            Alert(
                "TrunklineFlowsDiffer",
                'trunkline_flows{state="desired"} - ignoring (state) trunkline_flows{state="installed"} != 0',
                "5m",
                "critical",
                "The switch of {{ $labels.instance }} does not hold as many flows as it should.",
                "trunkline plan on the chassis, and trunkline check",
            ),
        ),
    ),
    Metric(
        "repairs",
        "counter",
        "agent",
        (),
        "Repairs of flows, ports or wiring that somebody else had changed.",
        Panel("Repairs", "increase(trunkline_repairs_total[15m])", "none", "{{instance}}"),
        (
            Alert(
                "TrunklineRepairs",
                "increase(trunkline_repairs_total[15m]) > 3",
                "0m",
                "warning",
                "Another program keeps changing what the agent of {{ $labels.instance }} has made.",
                "the log of the agent says what it repaired",
            ),
        ),
    ),
    Metric(
        "longest_turn_seconds",
        "gauge",
        "agent",
        (),
        "The longest turn of the agent's loop since it was started.",
        Panel("Longest turn", "trunkline_longest_turn_seconds", "s", "{{instance}}"),
    ),
    _delay(
        "convergence",
        "Time from a change of the northbound that the agent has read to the switch's acknowledgement of its "
        "flows. Changes that need no flows are not counted.",
        "Changes take {{ $value }} s until the switch of {{ $labels.instance }} has their flows.",
    ),
    _delay(
        "bind",
        "Time from a VIF that the agent has seen to the switch's acknowledgement of the flows of its port. "
        "VIFs without a port are not counted.",
        "VMs of {{ $labels.instance }} wait {{ $value }} s for their network.",
    ),
    Metric(
        "uplink_up",
        "gauge",
        "agent",
        ("physical_network",),
        "Whether a mapped physical network is reached: 1, or 0 if its mapping has a fault.",
        Panel(
            "Physical networks that are not reached",
            "sum by (physical_network) (trunkline_uplink_up == bool 0)",
            "none",
            "{{physical_network}}",
        ),
        (
            Alert(
                "TrunklineUplinkDown",
                "trunkline_uplink_up == 0",
                "30s",
                "critical",
                "{{ $labels.instance }} does not reach {{ $labels.physical_network }}.",
                "trunkline check",
            ),
        ),
    ),
    Metric(
        "faults",
        "gauge",
        "agent",
        ("subject",),
        "Faults of the chassis, by the first word of what each is about, such as `port` or `mapping`.",
        Panel("Faults", "sum by (subject) (trunkline_faults)", "none", "{{subject}}"),
        (
            Alert(
                "TrunklineFault",
                "trunkline_faults > 0",
                "2m",
                "warning",
                "{{ $labels.instance }} has {{ $value }} faults of the kind {{ $labels.subject }}.",
                "trunkline check",
            ),
        ),
    ),
    Metric(
        "network_frames",
        "counter",
        "switch",
        ("network", "band"),
        "Frames that a network's own flows have met, by their band: `uplink` are frames from the physical "
        "network, `bum` broadcast and multicast. It falls if a flow is replaced.",
        Panel(
            "Frames from the physical network",
            'sum by (network) (rate(trunkline_network_frames_total{band="uplink"}[5m]))',
            "pps",
            "{{network}}",
        ),
    ),
    Metric(
        "network_dropped_frames",
        "counter",
        "switch",
        ("network", "band"),
        "Frames that a network's own flows have dropped, by their band.",
        Panel(
            "Frames dropped by networks",
            "sum by (network, band) (rate(trunkline_network_dropped_frames_total[5m]))",
            "pps",
            "{{network}} {{band}}",
        ),
    ),
    Metric(
        "refused_frames",
        "counter",
        "switch",
        ("band",),
        "Frames of VMs that port security has dropped, by the band of the flows. `trunkline check` of a port "
        "says more.",
        Panel(
            "Frames of VMs refused",
            "sum by (band) (rate(trunkline_refused_frames_total[5m]))",
            "pps",
            "{{band}}",
        ),
        (
            Alert(
                "TrunklineFramesRefused",
                "sum by (instance, band) (rate(trunkline_refused_frames_total[5m])) > 100",
                "10m",
                "warning",
                "VMs of {{ $labels.instance }} keep sending frames that port security drops "
                "({{ $labels.band }}).",
                "trunkline flows on the chassis shows the drops; trunkline check says whose they are",
            ),
        ),
    ),
    Metric(
        "port_up",
        "gauge",
        "northbound",
        ("port",),
        "Whether a port of this chassis is up: 1 or 0.",
        Panel("Ports that are down", "count by (instance) (trunkline_port_up == 0)", "none", "{{instance}}"),
    ),
    Metric(
        "port_frames",
        "counter",
        "switch",
        ("port", "band"),
        "Frames that have met the flows of a port of this chassis, by their band: `vif`, or `subport` for "
        "one of a trunk, is all that its VM has sent, `deliver` the unicast that has reached it. Broadcast "
        "and multicast to it are among those of its network. It falls if a flow is replaced.",
        Panel(
            "Frames of ports",
            "sum by (port, band) (rate(trunkline_port_frames_total[5m]))",
            "pps",
            "{{port}} {{band}}",
        ),
    ),
    Metric(
        "port_refused_frames",
        "counter",
        "switch",
        ("port", "band"),
        "Frames of the VM of a port that port security has dropped, by the band of the flows.",
        Panel(
            "Frames of ports refused",
            "sum by (port, band) (rate(trunkline_port_refused_frames_total[5m]))",
            "pps",
            "{{port}} {{band}}",
        ),
    ),
    Metric(
        "read_seconds",
        "gauge",
        "all",
        ("source",),
        "How long the last question to the `agent`, the `switch` and the `northbound` took.",
        Panel(
            "Time of a scrape",
            "sum by (instance, source) (trunkline_read_seconds)",
            "s",
            "{{instance}} {{source}}",
        ),
    ),
)
"""All metrics, in the order of the exposition."""

BY_NAME = {metric.name: metric for metric in METRICS}

SCRAPE_ALERT = Alert(
    "TrunklineMetricsDown",
    'up{job="trunkline"} == 0',
    "2m",
    "warning",
    "Prometheus cannot scrape {{ $labels.instance }}.",
    "systemctl status trunkline-metrics on the chassis",
)
"""The alert of the metric that Prometheus itself has of each target."""


def alerts() -> list[Alert]:
    """Return all alerts."""
    return [SCRAPE_ALERT, *(alert for metric in METRICS for alert in metric.alerts)]
