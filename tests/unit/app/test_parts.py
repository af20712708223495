"""Which part gets which setting, and which other part. Nothing listens here."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import pytest

from exporter.alert import Alert
from exporter.app import App
from exporter.config.model import (
    Catalog,
    Config,
    Identity,
    JsonLines,
    Queue,
    Redaction,
)
from exporter.history.store import Fallback
from exporter.sources.decode import from_json
from exporter.sources.followed_file import FollowedFile
from exporter.sources.json_lines import JsonLinesSource, StandardInput
from exporter.verdict.judgement import UNDECIDED
from tests.unit.app.parts import ALERTS, HOST, LOOPBACK, spend, value
from tests.waiting import wait_until


def test_the_pages_have_every_part(app: App) -> None:
    """What they show, and whom they ask."""
    content, reporter = app.web._content, app.reporter
    assert app.web._settings is app.config.web
    assert (content.registry, content.metrics, content.labels) == (app.registry, app.metrics, {"cluster": "prod"})
    assert content.incidents is app.incidents
    assert content.catalog is reporter.catalog
    assert content.on_disk is True
    asked = (content.digest, content.report_for, content.advice_for, content.gist_for, content.settle)
    assert asked == (
        app._digest, reporter.report_for, reporter.advice_for, reporter.gist_for, app.pipeline.settle,
    )  # fmt: skip
    assert (content.not_ready, content.warnings, content.state) == (app.not_ready, app.warnings, app.state)
    assert app.history is not None
    ended = content.ended_incidents
    assert ended is not None
    assert ended._history is app.history.history
    assert ended._settings.window_seconds == 1_234.0
    assert ended._judge == reporter.catalog.judge.judge
    assert set(vars(content) if hasattr(content, "__dict__") else {field.name for field in fields(content)}) == {
        "registry", "metrics", "reports", "report_for", "gist_for", "on_disk", "incidents", "ended_incidents",
        "advice_for", "settle", "not_ready", "warnings", "state", "digest", "catalog", "labels",
    }  # fmt: skip


def test_pages_show_the_recent_alerts_while_the_history_is_in_trouble(app: App, bare: App) -> None:
    """Without a history always."""
    reports = app.web._content.reports
    assert isinstance(reports, Fallback)
    assert app.history is not None
    assert reports._store is app.history.history
    app.history.trouble = "the disk is full"
    assert reports._store is app.recent
    content = bare.web._content
    assert content.reports is bare.recent
    assert (content.on_disk, content.digest, content.ended_incidents) == (False, None, None)


def test_sinks_in_their_order(app: App, bare: App) -> None:
    """Metrics first; what is off is not there."""
    assert [sink.name for sink in app.pipeline.sinks] == [
        "prometheus", "incidents", "recent", "history", "otel_logs", "serve_grpc",
    ]  # fmt: skip
    assert [sink.name for sink in bare.pipeline.sinks] == ["prometheus", "incidents", "recent"]
    assert app.pipeline.sinks[2:5] == (app.recent, app.history, app.log_records)


def test_each_sink_has_its_settings(app: App, bare: App) -> None:
    """And the parts that it works with."""
    metrics, incidents, _, history, records, api = app.pipeline.sinks
    assert metrics._extra_fields == ("proc.name",)  # type: ignore[attr-defined]
    assert value(app, "falco_rule_events_total", rule=ALERTS[0].rule, priority="Warning", source="syscall") is not None
    assert metrics._judge == app._sparing.judge  # type: ignore[attr-defined]
    assert incidents.incidents is app.incidents  # type: ignore[attr-defined]
    assert incidents._address == "https://reports.example/incidents/"  # type: ignore[attr-defined]
    assert incidents._tell == records.write_incidents  # type: ignore[attr-defined]
    past = incidents._past  # type: ignore[attr-defined]
    assert (past.sink, past.judge) == (history, app.reporter.catalog.judge.judge)
    alone = bare.pipeline.sinks[1]
    assert (alone._tell, alone._past, alone._address) == (None, None, "")  # type: ignore[attr-defined]
    assert api._settings is app.config.serve_grpc  # type: ignore[attr-defined]
    assert value(app, "falco_exporter_grpc_subscribers") == 0
    assert app.recent._limit == app.config.web.recent_reports
    assert app.recent._judge == app.reporter.catalog.judge.judge


def test_the_history_has_its_settings(app: App) -> None:
    """It judges, reads, counts and asks for losses."""
    history = app.history
    assert history is not None
    assert (history._directory, history._bounds.limit_age_seconds) == (app.config.history.directory, 4_321.0)
    assert history._judge == app.reporter.catalog.judge.judge
    assert history._read_message(ALERTS[0].received) == ALERTS[0]
    history.metrics.failing.set(1)
    assert value(app, "falco_exporter_history_failing") == 1
    app.metrics.file_gaps.labels("x").inc()
    history.metrics.dropped.labels("full").inc(2)
    assert sorted(history._losses().values()) == [1, 2]


def test_alerts_that_wait_behind_their_answers_are_counted_when_somebody_looks(bare: App) -> None:
    """A registry's first collector settles them."""
    bare.pipeline.keep(ALERTS[:3])
    events = [sample for family in bare.registry.collect() for sample in family.samples]
    assert sum(sample.value for sample in events if sample.name == "falco_rule_events_total") == 3


def test_metrics_of_the_process_and_the_addresses_are_there(app: App) -> None:
    """For links in dashboards."""
    assert value(app, "process_start_time_seconds") is not None
    labels = {"external_url": "https://reports.example", "grafana_url": "https://grafana.example"}
    found = [
        sample.labels
        for family in app.registry.collect()
        for sample in family.samples
        if sample.name.startswith("falco_exporter_addresses")
    ]
    assert len(found) == 1
    assert set(labels.values()) == set(found[0].values())


def test_a_rules_description_is_the_catalogs(bare: App) -> None:
    """By its name and source; an unlike alert is counted under no verdict when there is no time."""
    bare.pipeline.deliver(ALERTS[:1])
    infos = [
        sample.labels
        for family in bare.registry.collect()
        for sample in family.samples
        if sample.name == "falco_rule_info" and sample.labels["rule"] == ALERTS[0].rule
    ]
    assert infos
    assert infos[0]["summary"]
    assert infos[0]["maturity"]


def test_a_flood_is_not_judged_and_said_once(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """Counted each time; what was judged before is judged as before."""
    (judgement,) = app._sparing.judge(ALERTS[:1])
    assert judgement == app.reporter.catalog.judge.judge(ALERTS[0])
    spend(app)
    unlike = [from_json(ALERTS[0].received.replace(HOST.encode(), b"%d" % n)) for n in range(3)]
    unlike = [from_json(each.received.replace(b"Warning", b"Notice")) for each in unlike]
    unlike = [replace(each, rule=f"Made up {n}") for n, each in enumerate(unlike)]
    assert app._sparing.judge(unlike) == [UNDECIDED] * 3
    assert value(app, "falco_exporter_alerts_not_judged_total") == 3
    assert [message for message in caplog.messages if message.startswith("too many alerts come that are unlike")] != []
    assert len(caplog.messages) == 1
    assert app.incidents is not None
    assert app.incidents._judge(unlike[0]) is None
    assert app.incidents._allowance is app._sparing.allowance
    assert app._sparing.judge(ALERTS[:1])[0] is judgement
    assert list(app._sparing._log_limit._written_at) == ["not judged"]


@pytest.mark.parametrize("redacts", [False, True])
@pytest.mark.parametrize("renames", [False, True])
def test_what_sinks_see(config: Config, redacts: bool, renames: bool) -> None:
    """The node's name, and no secret; the alert itself where neither is set."""
    if not redacts:
        config = replace(config, redaction=Redaction())
    if not renames:
        config = replace(config, identity=Identity())
    transform = App(config)._transform()
    assert (transform is None) == (not redacts and not renames)
    alert = next(alert for alert in ALERTS if alert.get("proc.cmdline") and alert.hostname == HOST)
    seen = transform(alert) if transform else alert
    assert seen is not None
    assert seen.hostname == ("node-1" if renames else HOST)
    assert (seen.get("proc.cmdline") != alert.get("proc.cmdline")) == redacts


def test_the_transformation_is_the_pipelines(app: App) -> None:
    """Every sink sees what it gives."""
    assert app.pipeline._transform is not None
    seen = app.pipeline._transform(ALERTS[0])
    assert seen is not None
    assert seen.hostname == "node-1"


def test_sources_in_their_order(app: App) -> None:
    """Each with its settings and counters."""
    first, second, http, lines = app.sources
    assert [source.name for source in app.sources] == ["first", "second", "http 127.0.0.1:0", lines.name]
    assert first._target is app.config.targets[0]  # type: ignore[union-attr]
    assert second._settings is app.config.grpc  # type: ignore[union-attr]
    assert http._settings is app.config.http  # type: ignore[union-attr]
    assert isinstance(lines, JsonLinesSource)
    for source in app.sources:
        assert value(app, "falco_exporter_source_up", target=source.name) == 0
    assert app.listeners() == {"127.0.0.1:0": []}


def memory_of(app: App) -> Path | None:
    [source] = app.sources
    assert isinstance(source, JsonLinesSource)
    followed = source._bytes
    assert isinstance(followed, FollowedFile)
    return None if followed._memory is None else followed._memory.path


@pytest.mark.parametrize(
    ("own", "queue", "state_directory", "expected"),
    [
        ("own", True, "state", "own"),
        ("", True, "state", "queue/json-lines-position.json"),
        ("", False, "state", "state/json-lines-position.json"),
        ("", False, "", None),
    ],
)
def test_where_the_position_is_remembered(
    tmp_path: Path, own: str, queue: bool, state_directory: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As set, else beside the queue, else in systemd's directory, else nowhere."""
    if state_directory:
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / state_directory))
    lines = JsonLines(file=tmp_path / "alerts", state_file=tmp_path / own if own else None)
    app = App(Config(json_lines=lines, web=LOOPBACK, queue=Queue(directory=tmp_path / "queue" if queue else None)))
    assert memory_of(app) == (tmp_path / expected if expected else None)


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is asked for, without a file."""
    reader, writer = os.pipe()
    monkeypatch.setattr(StandardInput.__init__, "__defaults__", (reader,))
    [source] = App(Config(json_lines=JsonLines(stdin=True), web=LOOPBACK)).sources
    assert source.name == "stdin"
    source._bytes.close()  # type: ignore[union-attr]
    os.close(reader)
    os.close(writer)
    assert App(Config(web=LOOPBACK)).sources == ()


def test_your_catalog_is_read(tmp_path: Path) -> None:
    """Its entries stand beside the shipped ones."""
    directory = Path(__file__).parents[3] / "exporter" / "catalog" / "data"
    entry = (directory / "internal.yaml").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(entry.replace("Falco internal: ", "Our own: "), encoding="utf-8")
    catalog = App(Config(catalog=Catalog(directories=(tmp_path,)), web=LOOPBACK)).reporter.catalog
    for rule in ("Our own: timeouts notification", "Falco internal: timeouts notification"):
        assert catalog.covers(rule, "internal")


def test_the_digest_of_the_history(app: App) -> None:
    """Of the time asked for, with what the catalog knows; and as many alerts of incidents as a page shows."""
    assert app.history is not None
    app.history.start()
    try:
        app.history.write(ALERTS)
        wait_until(lambda: app.history is not None and app.history.history.sequence == len(ALERTS))
        first, last = min(a.time_ns for a in ALERTS), max(a.time_ns for a in ALERTS)
        digest = app._digest(first, last + 1)
        assert (digest.since_ns, digest.until_ns) == (first, last + 1)
        assert sum(line.alerts for line in digest.rules) == len(ALERTS)
        assert digest.incidents
    finally:
        app.history.close(30)


def test_an_alert_is_counted_by_verdict(bare: App) -> None:
    """As it is judged."""
    alert: Alert = ALERTS[0]
    bare.pipeline.deliver([alert])
    verdict = bare.reporter.catalog.judge.judge(alert).verdict
    found = [
        sample.labels
        for family in bare.registry.collect()
        for sample in family.samples
        if sample.name == "falco_verdict_events_total" and sample.value == 1
    ]
    assert [labels["verdict"] for labels in found] == [verdict]
