"""The end: of the input, by a signal, and by a mistake in the program."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import grpc
import pytest

from exporter.app import App
from exporter.config.model import Config, FalcoHttp, Grouping, HistorySettings, JsonLines, Otlp, Queue, Shutdown
from exporter.history.writer import Writer
from exporter.pipeline import Handover
from exporter.simulator.scenarios import flood
from exporter.sinks.otel.queue.grouping import Grouper
from exporter.sinks.otel.queue.spool import Spool
from tests.integration.app.running import LOOPBACK, counted, one_alert, post, receiver_of
from tests.integration.otlp.receiver import Receiver, Reply, grpc_receiver
from tests.running_app import fetch, running_app
from tests.waiting import wait_until


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
    assert "delivering the 20 log records that are still queued, for at most " in caplog.text
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
