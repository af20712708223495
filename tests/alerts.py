"""Alerts, compared by more than their uid."""

from __future__ import annotations

from typing import Any

from exporter.alert import Alert


def members(alert: Alert) -> tuple[Any, ...]:
    """Everything that an alert says."""
    return (
        alert.time_ns, alert.rule, alert.priority, alert.source, alert.hostname, alert.raw_output, alert.output,
        list(alert.all_fields().items()), list(alert.tags), alert.received, alert.uid,
        alert.form.names, alert.size_bytes, [alert.get(name) for name in alert.form.names],
    )  # fmt: skip
