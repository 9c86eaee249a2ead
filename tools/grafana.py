"""Write contrib/grafana/aerostat.json, the dashboard: ``tools/grafana.py [--check]``.

A panel is a title, a unit and what it asks Prometheus for; where it stands follows from the order.
"""

import json
import sys
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).resolve().parents[1] / "contrib" / "grafana" / "aerostat.json"

Json = dict[str, Any]

SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
HOST = '{job="$job", instance=~"$instance"}'
GUEST = '{job="$job", instance=~"$instance", domain=~"$domain"}'
WIDTH = 24  # of Grafana's grid

# Title, unit, and by legend the expression.
NUMBERS = [
    ("Guests", "none", "sum(aerostat_connector_guests{host})"),
    ("Held", "bytes", "sum(aerostat_host_held_bytes{host})"),
    ("Budget", "bytes", "sum(aerostat_host_budget_bytes{host})"),
    ("Spare", "bytes", "sum(aerostat_host_spare_bytes{host})"),
    ("Exposed", "bytes", "sum(aerostat_host_exposed_bytes{host})"),
    ("In balloons", "bytes", "sum(aerostat_balloon_bytes{host})"),
    ("Overcommit", "percentunit", "avg(aerostat_host_overcommit_ratio{host})"),
    ("Host pressure", "percentunit", "max(aerostat_host_pressure_ratio{host})"),
]
HOSTS = [
    (
        "Accounts",
        "bytes",
        {
            "budget {{instance}}": "aerostat_host_budget_bytes{host}",
            "permitted {{instance}}": "aerostat_host_permitted_bytes{host}",
            "held {{instance}}": "aerostat_host_held_bytes{host}",
            "granted {{instance}}": "aerostat_host_granted_bytes{host}",
            "spare {{instance}}": "aerostat_host_spare_bytes{host}",
            "exposed {{instance}}": "aerostat_host_exposed_bytes{host}",
        },
    ),
    (
        "Taken and given",
        "Bps",
        {
            "taken {{instance}}": "rate(aerostat_reclaimed_bytes_total{host}[$__rate_interval])",
            "given {{instance}}": "rate(aerostat_returned_bytes_total{host}[$__rate_interval])",
        },
    ),
    (
        "Host pressure",
        "percentunit",
        {"{{instance}}": "aerostat_host_pressure_ratio{host}"},
    ),
    (
        "Reservations",
        "bytes",
        {
            "{{reservation}}": "aerostat_reservation_bytes{host}",
            "backed {{instance}}": "aerostat_host_reserved_backed_bytes{host}",
        },
    ),
]
GUESTS = [
    ("Size", "bytes", {"{{domain}}": "aerostat_guest_size_bytes{guest}"}),
    ("Balloon's target", "bytes", {"{{domain}}": "aerostat_balloon_target_bytes{guest}"}),
    ("Demand", "bytes", {"{{domain}}": "aerostat_guest_demand_bytes{guest}"}),
    ("Held on the host", "bytes", {"{{domain}}": "aerostat_guest_held_bytes{guest}"}),
    ("Available", "bytes", {"{{domain}}": "aerostat_guest_available_memory_bytes{guest}"}),
    ("Page cache", "bytes", {"{{domain}}": "aerostat_guest_disk_caches_bytes{guest}"}),
    ("Pressure", "percentunit", {"{{domain}}": "aerostat_guest_pressure_ratio{guest}"}),
    (
        "Swap",
        "Bps",
        {
            "out {{domain}}": "rate(aerostat_guest_swap_out_bytes_total{guest}[$__rate_interval])",
            "in {{domain}}": "rate(aerostat_guest_swap_in_bytes_total{guest}[$__rate_interval])",
        },
    ),
    (
        "Major faults",
        "ops",
        {"{{domain}}": "rate(aerostat_guest_major_faults_total{guest}[$__rate_interval])"},
    ),
    (
        "Allocation stalls",
        "ops",
        {"{{domain}}": "rate(aerostat_guest_alloc_stalls_total{guest}[$__rate_interval])"},
    ),
    (
        "Processes killed",
        "none",
        {"{{domain}}": "increase(aerostat_guest_oom_kills_total{guest}[$__rate_interval])"},
    ),
    ("Age of the figures", "s", {"{{domain}}": "aerostat_guest_stats_age_seconds{guest}"}),
]
MANAGER = [
    (
        "Conditions",
        "none",
        {"{{condition}}": "sum by (condition) (aerostat_guest_condition{guest})"},
    ),
    (
        "Decisions",
        "ops",
        {
            "{{reason}} {{outcome}}": "sum by (reason, outcome) "
            "(rate(aerostat_policy_decisions_total{host}[$__rate_interval]))"
        },
    ),
    (
        "Duration of a cycle",
        "s",
        {
            "half of them": "histogram_quantile(0.5, sum by (le) "
            "(rate(aerostat_policy_cycle_duration_seconds_bucket{host}[$__rate_interval])))",
            "99 of 100": "histogram_quantile(0.99, sum by (le) "
            "(rate(aerostat_policy_cycle_duration_seconds_bucket{host}[$__rate_interval])))",
            "interval {{instance}}": "aerostat_policy_interval_seconds{host}",
        },
    ),
    (
        "Requests",
        "ops",
        {
            "{{outcome}} {{instance}}": "rate(aerostat_requests_total{host}[$__rate_interval])",
        },
    ),
    (
        "Connectors",
        "none",
        {
            "{{connector}} up": "aerostat_connector_up{host}",
            "{{connector}} restarted": "increase("
            "aerostat_connector_helper_restarts_total{host}[1h])",
        },
    ),
    (
        "What the manager costs",
        "percentunit",
        {"CPU {{instance}}": "rate(process_cpu_seconds_total{host}[$__rate_interval])"},
    ),
]


def dashboard() -> Json:
    """Return the dashboard as Grafana imports it."""
    panels = [_number(*number, place) for place, number in enumerate(NUMBERS)]
    top = 4
    for title, graphs in (("Host", HOSTS), ("Guests", GUESTS), ("Manager", MANAGER)):
        panels.append(_row(title, top))
        top += 1
        for place, (name, unit, asked) in enumerate(graphs):
            panels.append(_graph(name, unit, asked, place, top))
        top += 8 * -(-len(graphs) // 2)
    for number, panel in enumerate(panels, start=1):
        panel["id"] = number
    return {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__requires": [{"type": "datasource", "id": "prometheus", "name": "Prometheus"}],
        "uid": "aerostat",
        "title": "aerostat",
        "description": "Memory of virtual machines: who has it, who needs it, what was moved.",
        "tags": ["aerostat", "kvm", "memory"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                _variable("job", "label_values(aerostat_build_info, job)"),
                _variable(
                    "instance", 'label_values(aerostat_build_info{job="$job"}, instance)', many=True
                ),
                _variable("domain", f"label_values(aerostat_guest_info{HOST}, domain)", many=True),
            ]
        },
        "panels": panels,
    }


def _variable(name: str, query: str, *, many: bool = False) -> Json:
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,  # when the time range changes: guests come and go
        "sort": 1,
        "multi": many,
        "includeAll": many,
        "current": {"text": "All", "value": "$__all"} if many else {},
    }


def _panel(kind: str, title: str, unit: str, asked: dict[str, str]) -> Json:
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "expr": expression.replace("{host}", HOST).replace("{guest}", GUEST),
                "legendFormat": legend,
            }
            for number, (legend, expression) in enumerate(asked.items())
        ],
    }


def _number(title: str, unit: str, expression: str, place: int) -> Json:
    width = WIDTH // len(NUMBERS)
    return _panel("stat", title, unit, {"": expression}) | {
        "gridPos": {"x": place * width, "y": 0, "w": width, "h": 4},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}},
    }


def _graph(title: str, unit: str, asked: dict[str, str], place: int, top: int) -> Json:
    half = WIDTH // 2
    return _panel("timeseries", title, unit, asked) | {
        "gridPos": {"x": place % 2 * half, "y": top + place // 2 * 8, "w": half, "h": 8},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}},
    }


def _row(title: str, top: int) -> Json:
    return {"type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}}


def main(arguments: list[str]) -> int:
    """Write the dashboard, or say with --check whether the one that is there is this."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    if arguments == ["--check"]:
        return int(DASHBOARD.read_text() != text)
    DASHBOARD.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
