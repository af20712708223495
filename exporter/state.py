"""How each part is, in words: the table on the landing page.

Owns the rows. A source that nobody has sent anything to is not called well or
ill: it waits, since when is said, and what makes an alert come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.config.model import Config
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.send.environment import why_disabled
from exporter.sources.falco_grpc import FalcoGrpcSource
from exporter.sources.falco_http import FalcoHttpSource
from exporter.sources.json_lines import JsonLinesSource
from exporter.times import span
from exporter.web.content import StateRow

if TYPE_CHECKING:
    from exporter.sinks.otel.routed import RoutedSink

AnySource = FalcoGrpcSource | FalcoHttpSource | JsonLinesSource
_POSTED = "; nobody has posted yet: the command check says what belongs in falco.yaml, test-alert posts an alert"


def source_row(source: AnySource, metrics: SelfMetrics, started: float) -> StateRow:
    """Return a source's row; ``started`` is when the exporter started, seconds since 1970."""
    if source.state != "up":
        return StateRow(source.name, source.state, healthy=False)
    version = source.falco_version if isinstance(source, FalcoGrpcSource) else ""
    connected = f"up, Falco {version}" if version else "up"
    if count := metrics.received_from(source.name):
        unreadable = metrics.unreadable_from(source.name)
        lost = f", {unreadable:,} of them could not be read: the log says why" if unreadable else ""
        return StateRow(source.name, f"{connected}, {count:,} received since the start{lost}", unreadable < count)
    since = datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%d %H:%M UTC")
    waiting = f"waiting for the first alert since the start, {span(time.time() - started)} ago ({since})"
    if isinstance(source, FalcoGrpcSource):
        return StateRow(source.name, f"{connected}, {waiting}", healthy=True)
    return StateRow(source.name, waiting + (_POSTED if isinstance(source, FalcoHttpSource) else ""))


def record_rows(log_records: RoutedSink | None, config: Config) -> Iterator[StateRow]:
    """Yield the rows of delivery and queue, for each endpoint."""
    if log_records is None:
        yield StateRow("Log records", f"off: {why_disabled(config.otlp, os.environ)}")
        return
    for name, status in log_records.statuses().items():
        which = f" ({name})" if len(log_records.sinks) > 1 else ""
        where = "on disk" if status.durable else "in memory"
        if status.failing_since is None and not status.has_delivered:
            yield StateRow(f"Log records{which}", f"nothing was sent yet to {status.endpoint}")
        else:
            delivery = status.last_error or f"delivered to {status.endpoint}"
            yield StateRow(f"Log records{which}", delivery, status.failing_since is None)
        yield StateRow(f"Queue{which}", f"{status.queued_records} records, {status.queued_bytes} bytes, {where}")
