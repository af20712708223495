"""Where log records go, and what they are made with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.app import App
from exporter.config.model import (
    Config,
    Incidents,
    Otlp,
)
from exporter.errors import ConfigError
from exporter.sources.decode import from_json
from tests.unit.app.parts import ALERTS, ENDPOINT, HOST, LOOPBACK, endpoint, spend, value


def test_each_endpoint_has_its_settings(app: App) -> None:
    """Its own queue below the queue's directory, everything else alike."""
    assert app.log_records is not None
    assert list(app.log_records.sinks) == ["default", "soc"]
    queue = app.config.queue.directory
    assert queue is not None
    for name, url, protocol, directory in (
        ("default", ENDPOINT, "grpc", queue),
        ("soc", "http://127.0.0.1:4318/v1/logs", "http/protobuf", queue / "endpoints" / "soc"),
    ):
        sink = endpoint(app, name)
        assert (sink._endpoint.url, sink._endpoint.protocol) == (url, protocol)
        assert (sink._queue.directory, sink._settings, sink._labels) == (
            directory,
            app.config.otlp,
            {"cluster": "prod"},
        )
        assert sink._grouper is not None
        assert sink._grouper.window_seconds == 5.0
        sink._metrics.exported.inc()
        assert value(app, "falco_exporter_log_records_exported_total", endpoint=name) == 1


def test_the_standard_variables_reach_every_endpoint(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Headers for the default endpoint, batching for all; a wrong resource is an error at start."""
    caplog.set_level("INFO")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
    monkeypatch.setenv("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "5")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    app = App(config)
    assert endpoint(app, "default")._endpoint.headers == {"x-tenant": "blue"}
    assert endpoint(app, "soc")._endpoint.compression == "gzip"
    assert [endpoint(app, name)._batching.records for name in ("default", "soc")] == [5, 5]
    assert not [message for message in caplog.messages if "no log records" in message]
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "no equals sign")
    with pytest.raises(ConfigError, match="OTEL_RESOURCE_ATTRIBUTES"):
        App(config)


def test_records_have_advice_links_and_incidents(app: App, config: Config) -> None:
    """Brief or full, as long as there is time for it; what is left out is counted."""
    alert = ALERTS[0]
    encoder = endpoint(app, "default")._encoder
    assert encoder._report_address == "https://reports.example/reports/"
    assert app.incidents is not None
    assert encoder._incident_of == app.incidents.id_of
    assert encoder._advice_for is not None
    known = app.reporter.brief_advice_for(alert)  # at hand, so that it is given however slow the machine is
    assert encoder._advice_for(alert) is known
    assert encoder._advice._allowance is app._sparing.allowance
    encoder._on_left_out()
    assert value(app, "falco_exporter_log_records_without_advice_total") == 1
    spend(app)
    assert encoder._advice_for(ALERTS[5]) is None
    full = App(replace(config, otlp=replace(config.otlp, advice="full"), web=LOOPBACK, incidents=Incidents(0)))
    encoder = endpoint(full, "default")._encoder
    assert encoder._advice_for is not None
    known = full.reporter.advice_for(alert)
    assert encoder._advice_for(alert) is known
    assert (encoder._report_address, encoder._incident_of, full.incidents) == ("", None, None)
    assert [sink.name for sink in full.pipeline.sinks][:2] == ["prometheus", "recent"]


def test_records_are_made_again_of_what_came(app: App, bare: App) -> None:
    """With the node's name in the host's place."""
    alert = ALERTS[0]
    stored = endpoint(app, "default")._spool._load.__self__  # type: ignore[attr-defined]
    assert stored._read_message(alert.received).hostname == "node-1"
    assert app._read_message(alert.received).all_fields() == alert.all_fields()
    assert bare._read_message(alert.received).hostname == HOST


def test_routes_ask_for_the_verdict(app: App) -> None:
    """An alert that cannot be judged just now is undecided."""
    router = app.log_records._router  # type: ignore[union-attr]
    assert router._verdict_of == app._sparing.verdict_of
    judged = {app.reporter.catalog.judge.judge(alert).verdict for alert in ALERTS}
    verdicts = {app._sparing.verdict_of(alert) for alert in ALERTS}
    assert verdicts == judged
    assert len(verdicts) > 1
    attack = next(alert for alert in ALERTS if app._sparing.verdict_of(alert) == "attack")
    assert router.route_of(attack).name == "all"
    spend(app)
    unlike = from_json(attack.received.replace(attack.rule.encode(), b"Made up"))
    assert app._sparing.verdict_of(unlike) == "undecided"
    assert router.route_of(unlike).name == "noise"
    app.log_records.write([unlike])  # type: ignore[union-attr]
    assert value(app, "falco_exporter_alerts_filtered_total", route="noise") == 1


@pytest.mark.parametrize(
    ("changes", "environ", "names"),
    [
        ({"otlp": Otlp(), "endpoints": ()}, {}, None),
        ({"otlp": Otlp()}, {}, ["soc"]),
        ({}, {"OTEL_SDK_DISABLED": "true"}, None),
        ({"endpoints": ()}, {}, ["default"]),
        ({"otlp": Otlp(), "endpoints": ()}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, ["default"]),
    ],
)
def test_where_records_go(
    config: Config,
    changes: dict[str, object],
    environ: dict[str, str],
    names: list[str] | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without an endpoint, and turned off, nowhere, which is said; named ones need no default."""
    caplog.set_level("INFO", "exporter.log_records")
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    app = App(replace(config, **changes))  # type: ignore[arg-type]
    assert (app.log_records and list(app.log_records.sinks)) == names
    found = [message for message in caplog.messages if message.startswith("no log records are sent: ")]
    assert bool(found) == (names is None)
    assert all("OTEL" in message for message in found)
