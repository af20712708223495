"""The landing page's table: no part is called well before anything shows it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from exporter.app import App
from exporter.config.model import Config, FalcoHttp, FalcoTarget, JsonLines, Otlp, Web
from exporter.simulator.scenarios import flood
from exporter.simulator.server import FalcoSimulator
from exporter.sources.falco_http import FalcoHttpSource
from tests.integration.otlp.receiver import grpc_receiver
from tests.running_app import running_app
from tests.waiting import wait_until

LOOPBACK = Web(listen_address="127.0.0.1:0")
ALERT = {"time": "2026-01-02T03:04:05Z", "rule": "r", "priority": "Notice", "output": "x", "output_fields": {}}


@pytest.fixture
def _started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def row(app: App, beginning: str) -> tuple[str, bool | None]:
    found = next(row for row in app.state() if row.name.startswith(beginning))
    return found.value, found.healthy


def post(source: FalcoHttpSource, body: bytes = json.dumps(ALERT).encode()) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{source.port}/", body, method="POST")
    urllib.request.urlopen(request, timeout=60).close()


@pytest.mark.usefixtures("_started")
def test_a_receiver_waits_until_somebody_posts() -> None:
    """Neither green nor red, since when, and what to do; then it is well, with its count."""
    with running_app(Config(http=FalcoHttp(address="127.0.0.1:0"), web=LOOPBACK)) as app:
        source = app.sources[0]
        assert isinstance(source, FalcoHttpSource)
        assert source.listening.wait(30)
        said, healthy = row(app, "http")
        assert healthy is None
        assert said.startswith("waiting for the first alert since the start, ")
        assert time.strftime("%Y-%m-%d", time.gmtime()) in said
        assert "test-alert posts an alert" in said
        with urllib.request.urlopen(f"{app.web.url}/", timeout=60) as answer:
            page = answer.read().decode()
        assert "waiting for the first alert" in page
        with pytest.raises(urllib.error.HTTPError, match="400"):
            post(source, b"no alert")
        said = "up, 1 received since the start, 1 of them could not be read: the log says why"
        wait_until(lambda: row(app, "http") == (said, False))
        post(source)
        wait_until(lambda: row(app, "http") == (said.replace("up, 1", "up, 2"), True))


@pytest.mark.usefixtures("_started")
def test_a_file_without_lines_waits(tmp_path: Path) -> None:
    """A file that can be read has not shown that Falco writes it."""
    file = tmp_path / "alerts.jsonl"
    file.touch()
    with running_app(Config(json_lines=JsonLines(file=file), web=LOOPBACK)) as app:
        wait_until(lambda: row(app, str(file))[0].startswith("waiting for the first alert"))
        assert row(app, str(file))[1] is None
        with file.open("a", encoding="utf-8") as lines:
            lines.writelines(alert.to_json() + "\n" for alert in flood(2, 10**18))
        wait_until(lambda: row(app, str(file)) == ("up, 2 received since the start", True))


@pytest.mark.usefixtures("_started")
def test_a_connection_is_well_and_waits(tmp_path: Path) -> None:
    """Falco has answered, so that green is right before its first alert; records are delivered once one was."""
    address = f"unix://{tmp_path}/falco.sock"
    with FalcoSimulator(address) as falco, grpc_receiver() as receiver:
        config = Config(targets=(FalcoTarget(address),), web=LOOPBACK, otlp=Otlp(endpoint=receiver.endpoint))
        with running_app(config) as app:
            wait_until(lambda: row(app, "unix:")[0].startswith("up, Falco 0.43.1, waiting for the first alert"))
            assert row(app, "unix:")[1] is True
            assert row(app, "Log records") == (f"nothing was sent yet to {receiver.endpoint}", None)
            falco.emit(*flood(3, 10**18))
            wait_until(lambda: row(app, "unix:") == ("up, Falco 0.43.1, 3 received since the start", True))
            wait_until(lambda: row(app, "Log records") == (f"delivered to {receiver.endpoint}", True))
