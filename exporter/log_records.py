"""The sink for log records, put together from the settings and the standard variables.

Owns which endpoints there are and what each is given; says in the log why no records are sent where none are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from exporter.alert import Alert
from exporter.config.model import Config
from exporter.config.routes import queue_of
from exporter.identity import labels_of
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.send.environment import check_resource_variables, to_batching, to_endpoints, why_disabled
from exporter.sparing import SparingReporter

if TYPE_CHECKING:
    from exporter.sinks.otel.routed import RoutedSink

logger = logging.getLogger(__name__)


def make_log_records(
    config: Config,
    reporter: SparingReporter,
    metrics: SelfMetrics,
    *,
    read_message: Callable[[bytes], Alert],
    incident_of: Callable[[Alert], str] | None,
) -> RoutedSink | None:
    """Return the sink, None where no records are to be sent. Raises ConfigError.

    ``read_message`` gives the alert of a message that waited on disk, ``incident_of`` the incident that an alert
    belongs to.
    """
    endpoints = to_endpoints(config, os.environ)
    if not endpoints:
        logger.info("no log records are sent: %s", why_disabled(config.otlp, os.environ))
        return None
    batching = to_batching(os.environ)
    check_resource_variables(os.environ)
    # Imported when wanted: OpenTelemetry's SDK costs a fifth of a start and some 10 MiB.
    from exporter.sinks.otel.encode.advice import BRIEF
    from exporter.sinks.otel.encode.record import Reports
    from exporter.sinks.otel.routed import RoutedSink
    from exporter.sinks.otel.routes import Router
    from exporter.sinks.otel.sink import Destination, OtelLogsSink

    base = config.web.external_url.rstrip("/")
    labels = labels_of(config.identity)
    sinks = {
        name: OtelLogsSink(
            config.otlp,
            Destination(endpoint, queue_of(config.queue, name), batching, name, labels),
            config.grouping,
            reports=Reports(
                reporter.brief_advice_for if config.otlp.advice == BRIEF else reporter.advice_for,
                f"{base}/reports/" if base else "",
                allowance=reporter.allowance,
                incident_of=incident_of,
                on_left_out=metrics.records_without_advice.inc,
                is_same_within_second=reporter.is_same_within_second,
            ),
            read_message=read_message,
            metrics=metrics,
        )
        for name, endpoint in endpoints.items()
    }
    return RoutedSink(sinks, Router(config.routes, reporter.verdict_of), metrics)
