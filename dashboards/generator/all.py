"""Every dashboard with the file that it goes to."""

from __future__ import annotations

from dashboards.generator.health import health
from dashboards.generator.overview import overview
from dashboards.generator.reports import loki_reports, victorialogs_reports
from dashboards.generator.rule_detail import rule_detail


def dashboards() -> dict[str, str]:
    """Return JSON by file name."""
    return {
        "falco-overview.json": overview().to_json(),
        "falco-alert-reports.json": loki_reports().to_json(),
        "falco-alert-reports-victorialogs.json": victorialogs_reports().to_json(),
        "falco-rule-detail.json": rule_detail().to_json(),
        "falco-exporter-health.json": health().to_json(),
    }
