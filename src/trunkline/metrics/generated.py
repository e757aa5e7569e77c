"""What is generated from the table of metrics: alert rules of Prometheus and a dashboard of Grafana."""

from __future__ import annotations

import json
from typing import Any

import yaml

from trunkline.metrics.metric import Alert, Panel
from trunkline.metrics.table import METRICS, alerts

_WIDTH, _HEIGHT = 12, 8
"""Of a panel; the dashboard has 24 columns."""

_DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def rules() -> str:
    """Return the alert rules of Prometheus, as YAML."""
    group = {"name": "trunkline", "rules": [_rule(alert) for alert in alerts()]}
    return str(yaml.safe_dump({"groups": [group]}, sort_keys=False, allow_unicode=True, width=110))


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.query,
        "for": alert.lasting,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.text, "description": alert.remedy},
    }


def dashboard() -> str:
    """Return the dashboard of Grafana, as JSON."""
    shown = [(metric.help, metric.panel) for metric in METRICS if metric.panel is not None]
    choice = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return json.dumps(
        {
            "uid": "trunkline",
            "title": "Trunkline",
            "tags": ["trunkline"],
            "schemaVersion": 39,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "templating": {"list": [choice]},
            "panels": [_panel(number, help_, panel) for number, (help_, panel) in enumerate(shown)],
        },
        indent=2,
    )


def _panel(number: int, help_: str, panel: Panel) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": help_,
        "datasource": _DATA_SOURCE,
        "gridPos": {
            "x": number % 2 * _WIDTH,
            "y": number // 2 * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": "A", "datasource": _DATA_SOURCE, "expr": panel.query, "legendFormat": panel.legend}
        ],
    }
