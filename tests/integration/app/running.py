"""What a running application says of itself, and posts to it."""

from __future__ import annotations

import http.client

from exporter.app import App
from exporter.config.model import Web
from exporter.simulator.scenarios import flood
from exporter.sources.falco_http import FalcoHttpSource

LOOPBACK = Web(listen_address="127.0.0.1:0")


def counted(app: App) -> float:
    return sum(
        sample.value
        for family in app.registry.collect()
        for sample in family.samples
        if sample.name == "falco_rule_events_total"
    )


def post(port: int, body: bytes, path: str = "/") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def receiver_of(app: App) -> FalcoHttpSource:
    [source] = app.sources
    assert isinstance(source, FalcoHttpSource)
    assert source.listening.wait(10)
    return source


def one_alert(number: int = 0) -> bytes:
    return next(flood(1, 1_760_000_000_000_000_000 + number)).to_json().encode()
