"""An application with every part, and one with few; nothing of either listens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.app import App
from exporter.config.model import (
    Config,
    FalcoHttp,
    FalcoTarget,
    Grouping,
    HistorySettings,
    Identity,
    Incidents,
    JsonLines,
    Metrics,
    Otlp,
    OtlpEndpoint,
    Queue,
    Redaction,
    Route,
    ServeGrpc,
    Web,
)
from exporter.sources.json_lines import JsonLinesSource
from tests.unit.app.parts import ENDPOINT, HOST, LOOPBACK


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have OTEL_* set."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name == "STATE_DIRECTORY":
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Every part is there."""
    return Config(
        targets=(FalcoTarget("unix:///nowhere/falco.sock", "first"), FalcoTarget("127.0.0.1:1", "second")),
        endpoints=(OtlpEndpoint("soc", "http://127.0.0.1:4318", "http/protobuf"),),
        routes=(Route("noise", drop=True, verdicts=("undecided",)), Route("all", ("default", "soc"))),
        http=FalcoHttp(address="127.0.0.1:0", connection_limit=7),
        json_lines=JsonLines(file=tmp_path / "alerts", state_file=tmp_path / "position"),
        metrics=Metrics(extra_labels=("proc.name",)),
        identity=Identity(labels=("cluster=prod",), hosts=(f"{HOST}=node-1",)),
        otlp=Otlp(endpoint=ENDPOINT, service_name="mine"),
        queue=Queue(directory=tmp_path / "queue"),
        grouping=Grouping(window_seconds=5.0),
        history=HistorySettings(directory=tmp_path / "history", limit_age_seconds=4_321.0),
        incidents=Incidents(window_seconds=1_234.0),
        web=Web("127.0.0.1:0", external_url="https://reports.example/", grafana_url="https://grafana.example"),
        redaction=Redaction(fields=("proc.cmdline",)),
        serve_grpc=ServeGrpc(address="127.0.0.1:0", subscriber_limit_alerts=77),
    )


@pytest.fixture
def app(config: Config) -> Iterator[App]:
    made = App(config)
    yield made
    for source in made.sources:
        if isinstance(source, JsonLinesSource):
            source._bytes.close()


@pytest.fixture
def bare(tmp_path: Path) -> App:
    """A followed file, metrics and pages."""
    return App(Config(json_lines=JsonLines(file=tmp_path / "alerts"), web=LOOPBACK))
