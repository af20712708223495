"""The parts put together: several sources at once, order of start and stop, readiness, the end."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from exporter.app import App
from exporter.config.model import (
    Catalog,
    Config,
    FalcoHttp,
    FalcoTarget,
    Grouping,
    HistorySettings,
    JsonLines,
    Metrics,
    Otlp,
    Queue,
    Shutdown,
    Web,
)
from exporter.errors import CatalogError, ConfigError
from exporter.history.writer import Writer
from exporter.pipeline import Handover
from exporter.simulator.scenarios import demo_scenario, flood
from exporter.simulator.server import FalcoSimulator
from exporter.sinks.otel.queue.grouping import Grouper
from exporter.sinks.otel.queue.spool import Spool
from exporter.sources.decode import from_json
from exporter.sources.falco_http import FalcoHttpSource
from tests.integration.otlp import Receiver, Reply, grpc_receiver
from tests.otel_records import attributes_of
from tests.running_app import running_app
from tests.waiting import wait_until

LOOPBACK = Web(listen_address="127.0.0.1:0")


@pytest.fixture(autouse=True)
def _no_endpoint_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have OTEL_* set."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def fetch(app: App, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{app.web.url}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


def counted(app: App) -> float:
    return sum(
        sample.value
        for family in app.registry.collect()
        for sample in family.samples
        if sample.name == "falco_rule_events_total"
    )


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


def test_the_end_of_the_input_is_the_end(tmp_path: Path) -> None:
    """When every source has ended for good, ``wait`` returns; what was read has been counted."""
    app = App(Config(json_lines=JsonLines(file=tmp_path / "unused"), web=LOOPBACK))
    source = app.sources[0]

    class Ending:
        name, state = "ending", "up"

        def run(self, handover: Handover, stop: threading.Event) -> None:
            """Return at once, as standard input does when it is closed."""

    app.sources = (Ending(),)  # type: ignore[assignment]
    app.start()
    waiting = threading.Thread(target=app.wait)
    waiting.start()
    waiting.join(10)
    app.close()
    assert not waiting.is_alive()
    assert source.name.endswith("unused")


def test_a_mistake_in_the_program_ends_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A source that raises is not swallowed: ``wait`` raises it, after it was logged."""
    app = App(Config(json_lines=JsonLines(file=tmp_path / "unused"), web=LOOPBACK))

    class Broken:
        name, state = "broken", "up"

        def run(self, handover: Handover, stop: threading.Event) -> None:
            raise ZeroDivisionError("a mistake")

    app.sources = (Broken(),)  # type: ignore[assignment]
    app.start()
    with pytest.raises(ZeroDivisionError):
        app.wait()
    app.close()
    assert "broken: ended by a programming error" in caplog.text


@pytest.mark.parametrize(
    ("name", "part", "method"),
    [("otlp-grouping", Grouper, "ended"), ("history", Writer, "index"), ("otlp-sender", Spool, "wait")],
)
def test_a_thread_that_a_mistake_ends_is_not_ready_and_ends_the_exporter(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    part: type[object],
    method: str,
) -> None:
    """Whichever it is: the log has it with its place, /readyz names it, and ``wait`` raises it."""

    def mistake(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError(f"a mistake in {method}")

    monkeypatch.setattr(part, method, mistake)
    before = threading.excepthook
    config = Config(
        json_lines=JsonLines(file=tmp_path / "alerts", state_file=tmp_path / "position"),
        otlp=Otlp(endpoint="http://127.0.0.1:1"),
        grouping=Grouping(window_seconds=1.0),
        history=HistorySettings(directory=tmp_path / "history"),
        web=LOOPBACK,
    )
    (tmp_path / "alerts").write_text("")
    with running_app(config) as app:
        with pytest.raises(ZeroDivisionError, match=f"a mistake in {method}"):
            app.wait()
        status, text = fetch(app, "/readyz")
        assert (status, name in text) == (503, True)
    assert f"{name}: ended by a programming error" in caplog.text
    assert threading.excepthook == before


def test_a_port_in_use_is_said_and_nothing_is_left_running(tmp_path: Path) -> None:
    """ConfigError names the address; no thread of ours remains."""
    with running_app(Config(json_lines=JsonLines(file=tmp_path / "a"), web=LOOPBACK)) as app:
        port = app.web.port
        before = set(threading.enumerate())
        other = App(Config(json_lines=JsonLines(file=tmp_path / "b"), web=Web(listen_address=f"127.0.0.1:{port}")))
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
            other.start()
        # Threads of tests before this one may end meanwhile; none of ours may have come.
        assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (Config(http=FalcoHttp(address="nonsense"), web=LOOPBACK), ConfigError),
        (Config(metrics=Metrics(extra_labels=("rule",)), web=LOOPBACK), ConfigError),
        (Config(catalog=Catalog(directories=(Path("/nowhere"),)), web=LOOPBACK), CatalogError),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(config: Config, error: type[Exception]) -> None:
    """Building the application opens nothing and finds every mistake."""
    before = set(threading.enumerate())
    with pytest.raises(error):
        App(config)
    assert set(threading.enumerate()) <= before


MINE = "- rule: Mine\n  desc: d\n  condition: evt.type = open\n  output: x\n  priority: ALERT\n"
STABLE = {"rule": "Terminal shell in container", "priority": "Notice", "source": "syscall"}
SANDBOX = {"rule": "Read Shell Configuration File", "priority": "Warning", "source": "syscall"}


def test_without_rules_files_the_stable_rules_start_at_0(tmp_path: Path) -> None:
    """Those that Falco loads by default, and its internal alerts; no others, and nothing is said of coverage."""
    get = App(Config(json_lines=JsonLines(file=tmp_path / "a"), web=LOOPBACK)).registry.get_sample_value
    assert get("falco_rule_events_total", STABLE) == 0
    assert get("falco_rule_events_total", SANDBOX) is None
    assert get("falco_catalog_rule_covered", {"rule": STABLE["rule"], "source": "syscall"}) is None


def test_the_rules_of_your_files_start_at_0_as_falco_reads_them(tmp_path: Path) -> None:
    """A directory of files in Falco's order: an override moves the series, and the catalog's gaps are a metric."""
    (tmp_path / "b.yaml").write_text(
        "- rule: Terminal shell in container\n  priority: CRITICAL\n  override: {priority: replace}\n"
        "- rule: Nothing before\n  priority: CRITICAL\n  override: {priority: replace}\n"
    )
    (tmp_path / "a.yaml").write_text(MINE + MINE.replace("Mine", STABLE["rule"]))
    config = Config(json_lines=JsonLines(file=tmp_path / "a"), metrics=Metrics(rules_files=(tmp_path,)), web=LOOPBACK)
    get = App(replace(config)).registry.get_sample_value
    assert get("falco_rule_events_total", {"rule": "Mine", "priority": "Alert", "source": "syscall"}) == 0
    assert get("falco_rule_events_total", {**STABLE, "priority": "Critical"}) == 0
    assert get("falco_rule_events_total", STABLE) is None
    assert get("falco_catalog_rule_covered", {"rule": "Mine", "source": "syscall"}) == 0
    assert get("falco_catalog_rule_covered", {"rule": STABLE["rule"], "source": "syscall"}) == 1


def test_closing_delivers_what_still_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Records that wait in memory for a collector which is busy have reached it when ``close`` returns."""
    caplog.set_level("INFO")
    file = tmp_path / "alerts.jsonl"
    file.write_text("".join(alert.to_json() + "\n" for alert in flood(20, 1 * 10**18)), encoding="utf-8")
    receiver = Receiver()
    busy = [Reply(grpc.StatusCode.UNAVAILABLE), Reply(grpc.StatusCode.UNAVAILABLE)]
    receiver.script.extend(busy)
    with grpc_receiver(receiver):
        app = App(
            Config(
                json_lines=JsonLines(file=file),
                otlp=Otlp(endpoint=receiver.endpoint, protocol="grpc"),
                web=LOOPBACK,
                shutdown_seconds=30,
            )
        )
        app.start()
        wait_until(lambda: counted(app) == 20)
        app.close()
        app.close()
        assert len(receiver.accepted) == 20
    assert "the first alert has arrived: " in caplog.text
    assert "delivering the 20 log records that wait, for at most " in caplog.text
    assert "every log record was delivered" in caplog.text


@pytest.mark.parametrize(("durable", "said"), [(True, "20 log records stay in the queue on disk"), (False, "are lost")])
def test_the_log_says_what_becomes_of_records_that_nobody_takes(
    durable: bool, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the end without a collector the log says whether the rest is on disk or lost."""
    caplog.set_level("INFO")
    file = tmp_path / "alerts.jsonl"
    file.write_text("".join(alert.to_json() + "\n" for alert in flood(20, 1 * 10**18)), encoding="utf-8")
    config = Config(
        json_lines=JsonLines(file=file, state_file=tmp_path / "position"),
        otlp=Otlp(endpoint="http://127.0.0.1:9", protocol="grpc"),
        queue=Queue(directory=tmp_path / "queue" if durable else None),
        web=LOOPBACK,
        shutdown_seconds=2,
    )
    app = App(config)
    app.start()
    sink = app.log_records
    assert sink is not None
    wait_until(lambda: sink.statuses()["default"].queued_records == 20)
    app.close()
    assert said in caplog.text


def test_the_log_says_whether_report_pages_are_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who looks for the pages finds in the log where they are, or why they are off."""
    caplog.set_level("INFO")
    config = Config(json_lines=JsonLines(file=tmp_path / "a"), web=LOOPBACK)
    with running_app(config):
        assert "report pages on, at /reports" in caplog.text
    with running_app(replace(config, web=Web(listen_address=":0"))):
        assert "report pages off: the listener can be reached from other machines" in caplog.text


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


def test_posts_are_taken_for_a_while_after_the_end_was_asked_for() -> None:
    """Not ready at once, so that a Service sends its posts elsewhere; those that still come are counted."""
    app = App(Config(http=FalcoHttp(address="127.0.0.1:0"), web=LOOPBACK, shutdown=Shutdown(lame_duck_seconds=30)))
    app.start()
    port = receiver_of(app).port
    assert fetch(app, "/readyz")[0] == 200
    app.request_stop()
    closing = threading.Thread(target=app.close)
    closing.start()
    status, text = fetch(app, "/readyz")
    assert (status, "stopping" in text) == (503, True)
    for number in range(3):
        assert post(port, one_alert(number)) == 200
    assert counted(app) == 3
    assert closing.is_alive()
    app.request_stop()
    closing.join(5)
    assert not closing.is_alive()
    with pytest.raises(ConnectionError):
        post(port, one_alert())


@pytest.mark.parametrize("how", ["at once", "no posts are taken"])
def test_there_is_no_lame_duck_without_need(how: str) -> None:
    """Ctrl-C ends at once, and so does an exporter that takes no posts."""
    http_settings = FalcoHttp(address="127.0.0.1:0") if how == "at once" else FalcoHttp()
    app = App(Config(http=http_settings, web=LOOPBACK, shutdown=Shutdown(lame_duck_seconds=30)))
    app.start()
    if how == "at once":
        receiver_of(app)
    app.request_stop(at_once=how == "at once")
    begun = time.monotonic()
    app.close()
    assert time.monotonic() - begun < 5


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    """Said before any source runs, and what was started ends again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        app = App(Config(http=FalcoHttp(address=address), web=LOOPBACK))
        with pytest.raises(ConfigError, match=f"cannot listen on {address}"):
            app.start()
        app.close()


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
            app._allowance.end(app._allowance.begin() - 600)
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


def sum_of(text: str, *parts: str) -> float:
    """Add up the samples whose line begins with the first part and holds the others."""
    lines = [line for line in text.splitlines() if line.startswith(parts[0]) and all(map(line.__contains__, parts[1:]))]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)
