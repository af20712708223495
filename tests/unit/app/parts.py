"""Alerts for an application whose parts are looked at, and looks at them."""

from __future__ import annotations

from exporter.app import App
from exporter.config.model import Web
from exporter.simulator.scenarios import demo_scenario
from exporter.sinks.otel.sink import OtelLogsSink
from exporter.sources.decode import from_json

ALERTS = [from_json(alert.to_json().encode()) for alert in demo_scenario(1_760_000_000_000_000_000)]
HOST = ALERTS[0].hostname
LOOPBACK = Web(listen_address="127.0.0.1:0")
ENDPOINT = "http://127.0.0.1:4317"


def spend(app: App) -> None:
    """Nothing is left of the time for what is unlike before."""
    app._sparing.allowance.end(app._sparing.allowance.begin() - 600)


def value(app: App, name: str, **labels: str) -> float | None:
    return app.registry.get_sample_value(name, labels)


def endpoint(app: App, name: str) -> OtelLogsSink:
    assert app.log_records is not None
    return app.log_records.sinks[name]
