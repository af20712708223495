"""A mistake in the program: counted, and it stops no other record; or it ends the process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from exporter.alert import Alert
from exporter.sinks.otel.send.envelope import Envelope
from exporter.sources.decode import from_json
from tests.integration.otlp.receiver import Receiver, free_port
from tests.integration.otlp.sinks import delivering
from tests.otel_records import many
from tests.waiting import wait_until


def test_an_alert_that_cannot_be_sent_does_not_stop_the_others(
    receiver: Receiver, protocol: str, tmp_path: Path
) -> None:
    """A queued message that no code can read any more is counted; what comes after it is delivered."""
    with delivering(f"http://127.0.0.1:{free_port()}", protocol, tmp_path, close_seconds=0.2) as (sink, _):
        sink.write([from_json(b'{"rule":"R","priority":"Debug","time":"2024-10-05T18:29:39Z"}')])
        sink.write(many(2))

    def read_message(_message: bytes) -> Alert:
        raise RecursionError("nested too deeply")

    with delivering(receiver.endpoint, protocol, tmp_path, read_message=read_message) as (sink, metric):
        wait_until(lambda: metric("log_records_exported_total") == 2)
        assert metric("log_records_dropped_total", reason="damaged") == 1
        assert not sink.unready_reason()


def test_a_batch_that_breaks_the_sender_is_dropped_and_counted(
    receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in making one request costs that batch, and not delivery for good."""
    request = Envelope.request
    broken = iter([True])
    monkeypatch.setattr(
        Envelope, "request", lambda self, records: 1 / 0 if next(broken, False) else request(self, records)
    )
    with delivering(receiver.endpoint, protocol) as (sink, metric):
        assert metric("log_records_dropped_total", reason="unsendable") == 0
        sink.write(many(3))
        wait_until(lambda: metric("log_records_dropped_total", reason="unsendable") == 3)
        sink.write(many(2))
        wait_until(lambda: metric("log_records_exported_total") == 2)
        assert metric("queue_records") == 0


def test_a_sender_that_has_ended_is_not_ready_and_ends_the_process(
    receiver: Receiver, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no try can go around: readiness says so at once, and the next alert raises."""

    def end(*_arguments: object) -> None:
        raise SystemExit("gone")

    monkeypatch.setattr(threading, "excepthook", lambda _arguments: None)
    monkeypatch.setattr(Envelope, "request", end)
    with delivering(receiver.endpoint, protocol) as (sink, _):
        sink.write(many(1))
        wait_until(sink.unready_reason)
        with pytest.raises(RuntimeError, match="has ended"):
            sink.write(many(1))
