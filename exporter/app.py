"""The program put together from its settings.

Owns which parts there are, their order at start (sinks, pages, sources) and at
stop (sources, sinks, pages), and what makes the exporter ready. Refuses to
print and to exit (see ``commands/``).
"""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.catalog.describe import describe
from exporter.catalog.shipped import ShippedCatalog
from exporter.config.model import Config
from exporter.digest.digest import PAGE_INCIDENT_ALERTS, Digest, knowledge_of, make_digest
from exporter.errors import ExporterError
from exporter.history.ended import make_ended_incidents
from exporter.history.sink import HistorySink
from exporter.history.store import Fallback, ReportStore
from exporter.identity import labels_of, make_hosts
from exporter.log_records import make_log_records
from exporter.pipeline import Pipeline, Sink, Source, Transform
from exporter.redaction import make_redaction
from exporter.reporter import Reporter
from exporter.selfmetrics import HistoryMetrics, SelfMetrics
from exporter.sinks.incidents import IncidentSink, Past, make_incidents
from exporter.sinks.prometheus.known import known_rules
from exporter.sinks.prometheus.settling import Settling
from exporter.sinks.prometheus.sink import PrometheusSink
from exporter.sinks.recent import RecentSink
from exporter.sinks.serve_grpc import ServeGrpcSink
from exporter.sources.decode import from_received
from exporter.sources.falco_grpc import FalcoGrpcSource
from exporter.sources.falco_http import FalcoHttpSource
from exporter.sources.followed_file import default_state_file
from exporter.sources.json_lines import JsonLinesSource
from exporter.sparing import SparingReporter
from exporter.state import AnySource, record_rows, source_row
from exporter.threads import ThreadDeaths
from exporter.web.access import may_show_reports
from exporter.web.content import Content, StateRow
from exporter.web.server import WebServer

logger = logging.getLogger(__name__)

SOURCE_SECONDS = 5.0
"""How long a source may take to end, however short the shutdown is: what it answers meanwhile needs its sinks."""
RESPONSE_SECONDS = 10.0
"""A batch that takes longer to pass through every sink counts as stuck."""


class App:
    """Every part, built but not started. Raises ConfigError or CatalogError for what cannot be."""

    def __init__(self, config: Config) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.config = config
        self.registry = CollectorRegistry()
        # Before all others: a scrape sees every alert whose sender was answered.
        self.registry.register(Settling(lambda: self.pipeline.settle()))  # noqa: PLW0108 - it is made later
        ProcessCollector(registry=self.registry)
        self.metrics = SelfMetrics(self.registry)
        self.metrics.set_addresses(config.web.external_url, config.web.grafana_url)
        directories = config.catalog.directories
        self.reporter = Reporter(load_catalog(directories) if directories else ShippedCatalog())
        self.recent = RecentSink(config.web.recent_reports, judge=self.reporter.catalog.judge.judge)
        self._hosts = make_hosts(config.identity)
        self._sparing = SparingReporter(self.reporter, self.metrics)
        self.incidents = make_incidents(config.incidents, self.reporter.catalog, self._sparing.allowance)
        self.log_records = make_log_records(
            config,
            self._sparing,
            self.metrics,
            read_message=self._read_message,
            incident_of=self.incidents.id_of if self.incidents else None,
        )
        self.history = self._history_sink()
        self.pipeline = Pipeline(self._sinks(), self._transform())
        self.sources: tuple[AnySource, ...] = tuple(self._sources())
        self.web = self._web_server()
        self._started = time.time()
        self._stop = threading.Event()
        self._ended, self._woken = threading.Event(), threading.Event()
        self._stop_asked = False
        self._at_once = threading.Event()
        self._failure: BaseException | None = None
        self._deaths = ThreadDeaths(self._end_by)
        self._threads: list[threading.Thread] = []

    def _web_server(self) -> WebServer:
        return WebServer(
            self.config.web,
            Content(
                registry=self.registry,
                metrics=self.metrics,
                labels=labels_of(self.config.identity),
                reports=self._reports(),
                on_disk=self.history is not None,
                digest=None if self.history is None else self._digest,
                report_for=self.reporter.report_for,
                incidents=self.incidents,
                ended_incidents=make_ended_incidents(self.history, self.config.incidents, self.reporter.catalog),
                advice_for=self.reporter.advice_for,
                gist_for=self.reporter.gist_for,
                catalog=self.reporter.catalog,
                settle=self.pipeline.settle,
                not_ready=self.not_ready,
                warnings=self.warnings,
                state=self.state,
            ),
        )

    def _history_sink(self) -> HistorySink | None:
        if self.config.history.directory is None:
            return None
        metrics = HistoryMetrics(self.registry)
        return HistorySink(
            self.config.history,
            judge=self.reporter.catalog.judge.judge,
            read_message=from_received,
            metrics=metrics,
            losses=lambda: self.metrics.losses() | metrics.losses(),
        )

    def _reports(self) -> ReportStore:
        history = self.history
        return self.recent if history is None else Fallback(history.history, self.recent, lambda: not history.trouble)

    def _digest(self, since_ns: int, until_ns: int) -> Digest:
        assert self.history is not None
        known = knowledge_of(self.reporter.catalog, self.config.incidents.window_seconds)
        return make_digest(self.history.history, since_ns, until_ns, known, incident_alerts=PAGE_INCIDENT_ALERTS)

    def _read_message(self, message: bytes) -> Alert:
        """Read an alert that the queue kept as it came."""
        alert = from_received(message)
        return alert if self._hosts is None else self._hosts(alert)

    def _transform(self) -> Transform | None:
        """What happens to each alert before any sink sees it: its host gets its name, secrets are masked."""
        redact, rename = make_redaction(self.config.redaction), self._hosts
        if redact is None or rename is None:
            return redact or rename
        return lambda alert: redact(rename(alert))

    def _sinks(self) -> list[Sink]:
        """Metrics first: they never wait, whatever the others do."""
        catalog = self.reporter.catalog
        sinks: list[Sink] = [
            PrometheusSink(
                self.config.metrics,
                registry=self.registry,
                rules=known_rules(self.config.metrics, catalog),
                describe=lambda rule, source: describe(catalog, rule, source),
                judge=self._sparing.judge,
            ),
        ]
        if self.incidents is not None:
            tell = None if self.log_records is None else self.log_records.write_incidents
            url = self.config.web.external_url
            past = None if self.history is None else Past(self.history, catalog.judge.judge)
            sinks.append(IncidentSink(self.incidents, registry=self.registry, tell=tell, past=past, external_url=url))
        if may_show_reports(self.config.web):
            sinks.append(self.recent)
        if self.history is not None:
            sinks.append(self.history)
        if self.log_records is not None:
            sinks.append(self.log_records)
        if self.config.serve_grpc.address:
            sinks.append(ServeGrpcSink(self.config.serve_grpc, self.metrics))
        return sinks

    def _sources(self) -> Iterator[AnySource]:
        config = self.config
        for target in config.targets:
            yield FalcoGrpcSource(target, config.grpc, self.metrics)
        if config.http.address:
            yield FalcoHttpSource(config.http, self.metrics)
        if config.json_lines.stdin or config.json_lines.file:
            state_file = config.json_lines.state_file or default_state_file(
                config.queue.directory, os.environ.get("STATE_DIRECTORY", "")
            )
            yield JsonLinesSource(dataclasses.replace(config.json_lines, state_file=state_file), self.metrics)

    def start(self) -> None:
        """Start sinks, then the pages, then the sources. Raises ConfigError where something cannot be had."""
        self._deaths.watch()
        try:
            self.pipeline.start()
            self.web.start()
            for receiver in self._receivers():
                receiver.open()
        except BaseException:
            self._take_back()
            raise
        gc.collect()
        gc.freeze()
        for source in self.sources:
            thread = threading.Thread(target=self._run, args=(source,), name=f"source {source.name}")
            thread.start()
            self._threads.append(thread)
        logger.info("metrics on %s/metrics (listening on %s)", self.web.url, self.config.web.listen_address)
        if may_show_reports(self.config.web):
            logger.info("report pages on, at /reports")
        else:
            logger.info(
                "report pages off: the listener can be reached from other machines and asks for no password; set "
                "web.reports_address to 127.0.0.1:9377, or web.config_file with a password or client certificates"
            )

    def prepare(self) -> None:
        """Make what the first alert would wait for, while there is none. Raises CatalogError for a damaged file."""
        self.reporter.catalog.prepare("syscall")

    def _receivers(self) -> Iterator[FalcoHttpSource]:
        return (source for source in self.sources if isinstance(source, FalcoHttpSource))

    def _take_back(self) -> None:
        """Undo a start that failed."""
        for receiver in self._receivers():
            receiver.close()
        self.web.close()
        self.pipeline.close(0)
        self._deaths.close()

    def _run(self, source: Source) -> None:
        """A source that returns has ended for good; one that raises has a mistake in it, and ends everything."""
        try:
            source.run(self.pipeline, self._stop)
        except ExporterError as exc:  # says itself what to do
            self._end_by(exc)
        except BaseException as exc:
            logger.exception("%s: ended by a programming error", source.name)
            self._end_by(exc)
        if all(thread is threading.current_thread() or not thread.is_alive() for thread in self._threads):
            self._end()

    def _end_by(self, error: BaseException) -> None:
        self._failure = error
        self._end()

    def _end(self) -> None:
        self._ended.set()
        self._woken.set()

    def request_stop(self, *, at_once: bool = False) -> None:
        """Ask for the end; returns at once, fit for a signal handler. A second time there is no lame duck."""
        if at_once or self._stop_asked:
            self._at_once.set()
        self._stop_asked = True
        self._end()

    def wake(self) -> None:
        """Let ``wait`` return; fit for a signal handler."""
        self._woken.set()

    def wait(self) -> bool:
        """Wait for the end; False where it was woken for something else. Raises what ended a source."""
        self._woken.wait()
        self._woken.clear()
        if self._failure is not None:
            raise self._failure
        return self._ended.is_set()

    def listeners(self) -> Mapping[str, Sequence[socket.socket]]:
        """Return the receivers' open ports, by address, for another application; the caller closes them."""
        return {receiver.address: receiver.duplicates() for receiver in self._receivers()}

    def adopt(self, listeners: Mapping[str, Sequence[socket.socket]]) -> None:
        """Listen at ports that are open already, where the settings name them."""
        for receiver in self._receivers():
            receiver.adopt([listening.dup() for listening in listeners.get(receiver.address, ())])

    def close(self) -> None:
        """Let senders go elsewhere, stop sources, drain sinks within the deadline, stop the pages. Twice is safe."""
        self._be_lame_duck()
        seconds = self.config.shutdown_seconds
        source_seconds = max(seconds, SOURCE_SECONDS)
        begun = time.monotonic()
        deadline = begun + seconds
        self._stop.set()
        for thread in self._threads:
            thread.join(max(0.0, begun + source_seconds - time.monotonic()))
            if thread.is_alive():
                logger.warning("%s did not end within %g s", thread.name, source_seconds)
        self.pipeline.close(max(0.0, deadline - time.monotonic()))
        self.web.close()
        self._deaths.close()

    def _be_lame_duck(self) -> None:
        """Go on taking posts while every sender learns that this exporter is not ready any more."""
        seconds = self.config.shutdown.lame_duck_seconds
        if not self._stop_asked or self._failure is not None or seconds <= 0 or self._stop.is_set():
            return
        if any(receiver.state == "up" for receiver in self._receivers()):
            logger.info("stopping: not ready any more; alerts are still accepted for %g s", seconds)
            self._at_once.wait(seconds)

    def responds(self) -> bool:
        """Whether alerts still pass through the pipeline and the pages' thread lives."""
        return self.pipeline.responds(RESPONSE_SECONDS) and self.web.is_alive

    def not_ready(self) -> Mapping[str, str]:
        """What keeps the exporter from being ready: part and reason."""
        reasons = {source.name: source.state for source in self.sources if source.state != "up"} | self._deaths.reasons
        if self._stop_asked:
            reasons["shutdown"] = "the exporter is stopping"
        if self.log_records is not None and (reason := self.log_records.unready_reason()):
            reasons["log records"] = reason
        return reasons

    def warnings(self) -> Mapping[str, str]:
        """What goes wrong although alerts can be kept: part and what to do."""
        found: dict[str, str] = {}
        for receiver in self._receivers():
            found |= {f"{receiver.name} ({reason})": text for reason, text in receiver.warnings().items()}
        if self.history is not None:
            found |= self.history.warnings()
        return found

    def state(self) -> Sequence[StateRow]:
        """The landing page's table."""
        rows = [StateRow("Alerts", self.pipeline.arrivals())]
        rows += [source_row(source, self.metrics, self._started) for source in self.sources]
        rows += [StateRow(part, text, healthy=False) for part, text in self.warnings().items()]
        if self.history is not None and not self.history.trouble:
            rows.append(StateRow("History", self.history.state(), healthy=True))
        return [*rows, *record_rows(self.log_records, self.config)]
