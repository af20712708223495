"""falco-exporter's ``falco_events``, as it was, for dashboards that still ask for it.

Owns that metric's labels: the priority as a number, the tags with a leading
and a trailing comma, fields as Falco wrote them. Off unless a setting turns
it on.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter.alert import Alert
from exporter.config.model import Metrics
from exporter.sinks.prometheus.series import Key, Labels, SeriesTable

LEGACY_LABELS = ("rule", "priority", "hostname", "source", "k8s_ns_name", "k8s_pod_name", "tags")


class LegacyEvents:
    """Counts alerts by falco-exporter's labels, under the same limits as the other metrics."""

    def __init__(self, settings: Metrics) -> None:
        self._table = SeriesTable(LEGACY_LABELS, limit=settings.series_limit, idle_seconds=settings.series_idle_seconds)

    def count(self, alerts: Sequence[Alert], now_ns: int) -> None:
        """Count the batch."""
        for alert in alerts:
            fields = alert.fields
            key: Key = (
                alert.rule,
                str(int(alert.priority)),
                alert.hostname,
                alert.source,
                fields.get("k8s.ns.name", ""),
                fields.get("k8s.pod.name", ""),
                f",{','.join(alert.tags)},",
            )
            series = self._table.series.get(key) or self._table.admit(key, now_ns)
            series.count += 1
            series.seen_ns = now_ns

    def counts(self, now_ns: int) -> list[tuple[Labels, int]]:
        """Return labels and count of every series that was not idle for too long."""
        self._table.evict_idle(now_ns)
        return self._table.counts()
