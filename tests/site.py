"""A running web server with content, for tests that talk HTTP to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import Catalog
from exporter.config.model import Metrics, Web
from exporter.digest.digest import Digest
from exporter.escaping import Unembeddable, shell_word
from exporter.history.store import ReportStore
from exporter.incidents.register import Incidents
from exporter.report import Advice, Command, Report, Span
from exporter.reporter import Gist
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.prometheus.sink import KnownRule, PrometheusSink
from exporter.sinks.recent import RecentSink
from exporter.verdict.judgement import UNDECIDED
from exporter.web.content import Content, StateRow
from exporter.web.server import WebServer


def make_alert(
    number: int = 0,
    *,
    rule: str = "Clear Log Activities",
    priority: Priority = Priority.WARNING,
    host: str = "node-1",
    **fields: str,
) -> Alert:
    """Return an alert; ``number`` tells it from others, double underscores in a field's name are dots."""
    raw = {name.replace("__", "."): value for name, value in fields.items()}
    return Alert(
        time_ns=time.time_ns(),
        rule=rule,
        priority=priority,
        source="syscall",
        hostname=host,
        raw_output=f"18:29:39.273467556: {priority.label} Log files were tampered (number={number})",
        fields={"proc.name": "sh", "fd.name": "/var/log/syslog", **raw},
        tags=("T1070",),
    )


def make_report(alert: Alert) -> Report:
    """Return a small report that has the alert's values in prose, and in a command."""
    file = alert.get("fd.name") or ""
    commands: tuple[Command, ...] = ()
    with contextlib.suppress(Unembeddable):  # no command line can hold the value: no command
        run = f"ls -l -- {shell_word(file)}"
        title = (Span("text", "Look at "), Span("value", file))
        commands = (Command(title, "look", "host", "sh", run, (Span("text", "the owner"),), (), (), "", (), ""),)
    return Report(
        alert,
        Advice(
            composed=False,
            maturity="stable",
            ruleset="falco_rules.yaml",
            techniques=(),
            judgement=UNDECIDED,
            what=(Span("text", "emptied "), Span("value", file)),
            ask="ask who did it",
            summary=(Span("text", "A file was emptied: "), Span("value", file)),
            benign=(),
            unknown=(),
            close_if=(Span("text", "its owner confirms it."),),
            escalate_if=(Span("text", "nobody does."),),
            commands=commands,
            impact=(Span("text", "Traces may be gone."),),
            changes=(),
            recommendations=(),
            tuning=(),
            references=(),
        ),
    )


@dataclass
class Site:
    """The server and what feeds it."""

    server: WebServer
    recent: RecentSink
    prometheus: PrometheusSink
    metrics: SelfMetrics
    not_ready: dict[str, str]
    """A test puts reasons in here."""

    def write(self, *alerts: Alert) -> None:
        """Give alerts to both sinks."""
        self.prometheus.write(alerts)
        self.recent.write(alerts)

    def rejected(self, reason: str, listener: str = "listen") -> float:
        """Return how often the listener refused for the reason."""
        labels = {"listener": listener, "reason": reason}
        return self.metrics.registry.get_sample_value("falco_exporter_http_rejected_total", labels) or 0.0


@contextlib.contextmanager
def running_site(
    *,
    report_for: Callable[[Alert], Report] = make_report,
    metrics: Mapping[str, Any] | None = None,
    keep: int = 1_000,
    reports: ReportStore | None = None,
    catalog: Catalog | None = None,
    incidents: Incidents | None = None,
    advice_for: Callable[[Alert], Advice] | None = None,
    digest: Callable[[int, int], Digest] | None = None,
    **settings: Any,
) -> Iterator[Site]:
    """Serve on a free port of 127.0.0.1 unless the settings say otherwise."""
    registry = CollectorRegistry()
    own = SelfMetrics(registry)
    recent = RecentSink(keep, judge=lambda alert: report_for(alert).advice.judgement)
    prometheus = PrometheusSink(
        Metrics(**(metrics or {})),
        registry=registry,
        rules=[KnownRule("Clear Log Activities", Priority.WARNING, "syscall")],
        describe=lambda rule, source: None,
    )
    not_ready: dict[str, str] = {}
    content = Content(
        registry,
        own,
        recent if reports is None else reports,
        report_for,
        gist_for=lambda alert: Gist(report_for(alert).advice.what, report_for(alert).advice.summary),
        catalog=catalog,
        incidents=incidents,
        advice_for=advice_for,
        digest=digest,
        on_disk=reports is not None,
        not_ready=lambda: not_ready,
        state=lambda: [StateRow("Falco unix:///run/falco/falco.sock", "connected, Falco 0.43.1", healthy=True)],
    )
    server = WebServer(Web(**{"listen_address": "127.0.0.1:0", **settings}), content)
    server.start()
    try:
        yield Site(server, recent, prometheus, own, not_ready)
    finally:
        server.close()
