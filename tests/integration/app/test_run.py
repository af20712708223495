"""The parts put together: several sources at once, readiness, a full queue, a flood."""

from __future__ import annotations

import gc
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.app import App
from exporter.catalog.catalog import Catalog
from exporter.commands.run import run_app
from exporter.config.model import Config, FalcoHttp, FalcoTarget, JsonLines, Otlp, Queue
from exporter.form import Form
from exporter.simulator.scenarios import demo_scenario, flood
from exporter.simulator.server import FalcoSimulator
from exporter.sources.decode import from_json
from tests.integration.app.running import LOOPBACK, counted, one_alert, post, receiver_of
from tests.integration.otlp.receiver import free_port, grpc_receiver
from tests.otel_records import attributes_of
from tests.running_app import fetch, running_app
from tests.waiting import wait_until


def test_several_falcos_at_once(tmp_path: Path) -> None:
    """Two targets and a file are read side by side; every alert is counted and each source is shown by name."""
    first, second = (f"unix://{tmp_path}/{name}.sock" for name in ("a", "b"))
    file = tmp_path / "alerts.jsonl"
    file.write_text("".join(alert.to_json() + "\n" for alert in flood(10, 3 * 10**18)), encoding="utf-8")
    config = Config(
        targets=(FalcoTarget(first, "a"), FalcoTarget(second, "b")), json_lines=JsonLines(file=file), web=LOOPBACK
    )
    with FalcoSimulator(first) as one, FalcoSimulator(second, json_output=True) as two, running_app(config) as app:
        one.emit(*flood(100, 1 * 10**18))
        two.emit(*flood(50, 2 * 10**18))
        wait_until(lambda: counted(app) == 160)
        received = {
            target: app.registry.get_sample_value("falco_exporter_alerts_received_total", {"target": target})
            for target in ("a", "b", str(file))
        }
    assert received == {"a": 100, "b": 50, str(file): 10}


@pytest.fixture
def handlers() -> Iterator[None]:
    """Signals mean afterwards what they meant before."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_the_first_alerts_tables_are_made_once_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for them: neither the first alert nor who waits for the start."""
    said: list[str] = []
    app = App(Config(json_lines=JsonLines(file=tmp_path / "alerts.jsonl"), web=LOOPBACK))

    def prepare(_: Catalog, source: str) -> None:
        said.append(source)
        app.request_stop(at_once=True)

    monkeypatch.setattr(Catalog, "prepare", prepare)
    assert run_app(app, lambda: said.append("started")) == 0
    assert said == ["started", "syscall"]


def test_readiness_says_what_is_missing(tmp_path: Path) -> None:
    """Without Falco /readyz fails and says what to do, /healthz does not; with it both are well."""
    address = f"unix://{tmp_path}/falco.sock"
    with running_app(Config(targets=(FalcoTarget(address),), web=LOOPBACK)) as app:
        wait_until(lambda: "down" in str(app.not_ready()))
        status, text = fetch(app, "/readyz")
        assert status == 503
        assert "falco.sock" in text
        assert fetch(app, "/healthz")[0] == 200
        with FalcoSimulator(address):
            wait_until(lambda: fetch(app, "/readyz")[0] == 200)
            assert "0.43.1" in fetch(app, "/")[1]


def test_the_receiver_stays_ready_while_the_collector_is_away(tmp_path: Path) -> None:
    """A Service goes on sending alerts, which the queue keeps; the failure is a metric and a line of state."""
    port = free_port()
    config = Config(
        http=FalcoHttp(address="127.0.0.1:0"),
        web=LOOPBACK,
        otlp=Otlp(endpoint=f"http://127.0.0.1:{port}", protocol="grpc"),
        queue=Queue(directory=tmp_path / "queue"),
        shutdown_seconds=0.1,
    )
    with running_app(config) as app:
        receiver = receiver_of(app).port
        assert post(receiver, one_alert()) == 200

        def failing_since() -> float:
            name = "falco_exporter_delivery_failing_since_timestamp_seconds"
            return app.registry.get_sample_value(name, {"endpoint": "default"}) or 0.0

        wait_until(lambda: failing_since() > 0)
        assert fetch(app, "/readyz") == (200, "ready\n")
        assert post(receiver, one_alert(1)) == 200
        page = fetch(app, "/")[1]
        assert "2 records" in page
        assert f"127.0.0.1:{port}" in page
        assert "Connection refused" in page or "failed to connect" in page
        with grpc_receiver(port=port) as collector:
            wait_until(lambda: len(collector.accepted) == 2)
            wait_until(lambda: failing_since() == 0)


def test_pages_show_the_reports(tmp_path: Path) -> None:
    """On loopback the list and each report are served, and Markdown and JSON of it."""
    address = f"unix://{tmp_path}/falco.sock"
    with FalcoSimulator(address) as falco, running_app(Config(targets=(FalcoTarget(address),), web=LOOPBACK)) as app:
        falco.emit(*demo_scenario(time.time_ns()))
        wait_until(lambda: len(app.recent) == 35)
        reference = next(alert for alert in app.recent.alerts() if alert.rule == "Clear Log Activities")
        for suffix in ("", ".md", ".json"):
            status, text = fetch(app, f"/reports/{reference.uid}{suffix}")
            assert status == 200
            assert "modest_brahmagupta" in text
        assert "Clear Log Activities" in fetch(app, "/reports?rule=Clear+Log+Activities")[1]


def test_a_wrong_path_is_a_warning_and_not_a_reason_to_be_unready() -> None:
    """Whoever can reach the port could take the exporter out of its Service otherwise."""
    with running_app(Config(http=FalcoHttp(address="127.0.0.1:0", path="/secret"), web=LOOPBACK)) as app:
        assert post(receiver_of(app).port, one_alert(), "/falco") == 404
        status, text = fetch(app, "/readyz")
        assert status == 200
        assert "warning: http 127.0.0.1:0 (wrong_path)" in text
        assert "http_output.url" in text
        assert "http_output.url" in fetch(app, "/")[1]


def test_metrics_count_every_post_though_the_queue_is_full(tmp_path: Path) -> None:
    """Falco sends nothing twice: what a full queue cannot take it drops and counts, and metrics and pages have all."""
    config = Config(
        http=FalcoHttp(address="127.0.0.1:0"),
        web=LOOPBACK,
        otlp=Otlp(endpoint="http://127.0.0.1:9", protocol="grpc"),
        queue=Queue(directory=tmp_path / "queue", limit_bytes=100_000, when_full="wait"),
        shutdown_seconds=0.1,
    )
    with running_app(config) as app:
        port = receiver_of(app).port
        for number in range(300):
            assert post(port, one_alert(number)) == 200
        assert counted(app) == 300
        assert len(app.recent) == 300
        dropped = app.registry.get_sample_value(
            "falco_exporter_log_records_dropped_total", {"endpoint": "default", "reason": "full"}
        )
        kept = app.registry.get_sample_value("falco_exporter_queue_records", {"endpoint": "default"})
        assert dropped is not None
        assert kept is not None
        assert dropped > 0
        assert dropped + kept == 300


def test_a_flood_of_unlike_alerts_is_counted_without_being_judged(caplog: pytest.LogCaptureFixture) -> None:
    """Every alert counts and is sent; where the allowance is spent, verdict and advice are left out and counted."""
    alerts = [from_json(alert.to_json().encode()) for alert in demo_scenario(1_760_000_000_000_000_000)]
    with grpc_receiver() as receiver:
        otlp = Otlp(endpoint=receiver.endpoint)
        with running_app(Config(web=LOOPBACK, otlp=otlp, json_lines=JsonLines(file=Path("/dev/null")))) as app:
            allowance = app._sparing.allowance
            allowance.end(allowance.begin() - 600)
            app.pipeline.deliver(alerts)
            status, text = fetch(app, "/metrics")
            assert status == 200
            assert sum_of(text, "falco_exporter_alerts_not_judged_total") == len(alerts)
            assert sum_of(text, "falco_exporter_log_records_without_advice_total") == len(alerts)
            assert sum_of(text, "falco_rule_events_total") == len(alerts)
            assert sum_of(text, "falco_verdict_events_total{", 'verdict="undecided"') == len(alerts)
            assert sum_of(text, "falco_verdict_events_total{") == len(alerts)
            wait_until(lambda: len(receiver.accepted) == len(alerts))
    assert all("falco.report.left_out" in attributes_of(record) for record in receiver.accepted)
    assert sum("are counted as undecided" in message for message in caplog.messages) == 1


def test_of_made_up_fields_nothing_is_kept_beyond_their_alert(tmp_path: Path) -> None:
    """A sender that makes up a thousand names for each alert finds no memory of ours that grows with them."""
    config = Config(
        http=FalcoHttp(address="127.0.0.1:0"),
        web=LOOPBACK,
        otlp=Otlp(endpoint=f"http://127.0.0.1:{free_port()}"),
        queue=Queue(directory=tmp_path / "queue"),
        shutdown_seconds=0.1,
    )
    document = json.loads(one_alert())
    with running_app(config) as app:
        for number in range(20):
            made_up = {f"made.up{number}.{field}": "x" for field in range(1_000)}
            app.pipeline.deliver([from_json(json.dumps(document | {"output_fields": made_up}))])
        gc.collect()
        forms = [each for each in gc.get_objects() if isinstance(each, Form) and len(each.names) == 1_000]
        # The call's own arguments are a tuple too, which some versions of Python show.
        holders = gc.get_referrers(*forms) if forms else []
        keeping = [each for each in holders if isinstance(each, (dict, tuple)) and each != tuple(forms)]
    assert not keeping  # alerts on pages have theirs, and nothing else does


def sum_of(text: str, *parts: str) -> float:
    """Add up the samples whose line begins with the first part and holds the others."""
    lines = [line for line in text.splitlines() if line.startswith(parts[0]) and all(map(line.__contains__, parts[1:]))]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)
