"""Which lines are alerts, from standard input and from logs, and what the others count as."""

from __future__ import annotations

import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from exporter.config.model import JsonLines
from exporter.selfmetrics import SelfMetrics
from exporter.sources.json_lines import JsonLinesSource, LineSplitter, StandardInput
from tests.handover import Kept
from tests.integration.json_lines.alerts import append, errors, line, lines, running
from tests.waiting import wait_until


def test_standard_input_is_read_to_its_end() -> None:
    """Everything written before the writer closes is delivered, a last line without line feed too; then run ends."""
    reader, writer = os.pipe()
    kept = Kept()
    source = JsonLinesSource(JsonLines(stdin=True), SelfMetrics(CollectorRegistry()), source=StandardInput(reader))
    thread = threading.Thread(target=source.run, args=(kept, threading.Event()))
    thread.start()
    os.write(writer, (lines(range(1000)) + line(1000).rstrip()).encode())
    os.close(writer)
    thread.join(10)
    os.close(reader)
    assert not thread.is_alive()
    assert kept.numbers == list(range(1001))


def test_bad_lines_are_counted_and_skipped(settings: JsonLines) -> None:
    """A line that is no alert is counted by reason and does not hide the next."""
    append(settings, "no json\n\n" + line(1))
    kept = Kept()
    with running(settings, kept) as registry:
        wait_until(lambda: kept.numbers == [1])
        labels = {"target": str(settings.file), "reason": "malformed"}
        assert registry.get_sample_value("falco_exporter_decode_errors_total", labels) == 1
        assert registry.get_sample_value("falco_exporter_alerts_received_total", {"target": str(settings.file)}) == 2


def no_alert(registry: CollectorRegistry, settings: JsonLines) -> float | None:
    return registry.get_sample_value("falco_exporter_lines_without_alert_total", {"target": str(settings.file)})


def test_alerts_inside_the_lines_of_logs_are_taken(settings: JsonLines, caplog: pytest.LogCaptureFixture) -> None:
    """CRI, Docker, syslog and journald; lines that Falco writes about itself are counted apart and are no errors."""
    caplog.set_level("INFO")
    own = "Thu Jan  2 12:00:00 2024: Falco version: 0.43.1 (x86_64)"
    text = "12:00:00.000000000: Warning a shell | cmdline=sh -c " + line(99).rstrip()
    wrapped = [
        line(0),
        "2024-01-02T12:00:00.1Z stdout F " + line(1),
        f"2024-01-02T12:00:00.1Z stderr F {own}\n",
        "2024-01-02T12:00:00.1Z stdout P " + line(2)[:30] + "\n",
        "2024-01-02T12:00:00.1Z stderr F something else\n",
        "2024-01-02T12:00:00.1Z stdout F " + line(2)[30:],
        json.dumps({"log": line(3), "stream": "stdout"}) + "\n",
        "Jan  2 12:00:00 h falco[123]: " + line(4),
        "<5>2024-01-02T12:00:00Z h Falco[1]: " + line(5),
        json.dumps({"PRIORITY": "5", "MESSAGE": line(6).rstrip()}) + "\n",
        own + "\n",
        f"Jan  2 12:00:00 h falco[123]: {text}\n",
        line(7),
    ]
    append(settings, "".join(wrapped))
    with running(settings, kept := Kept()) as registry:
        wait_until(lambda: len(kept.alerts) == 8)
        assert no_alert(registry, settings) == 3
        assert errors(registry, settings) == {"text": 1}
    assert kept.numbers == list(range(8))
    assert "3 lines of a log held no alert" in caplog.text


def test_a_line_that_is_in_pieces_at_the_end_of_the_input_is_counted() -> None:
    """What no piece will complete is an error, and not lost without a word."""
    reader, writer = os.pipe()
    registry, kept = CollectorRegistry(), Kept()
    source = JsonLinesSource(JsonLines(stdin=True), SelfMetrics(registry), source=StandardInput(reader))
    os.write(writer, f"2024-01-02T12:00:00.1Z stdout P {line(1)[:30]}\n".encode())
    os.close(writer)
    source.run(kept, threading.Event())
    os.close(reader)
    labels = {"target": "stdin", "reason": "malformed"}
    assert registry.get_sample_value("falco_exporter_decode_errors_total", labels) == 1


@given(st.lists(st.binary(max_size=50).filter(lambda b: b"\n" not in b), max_size=20), st.integers(1, 30))
def test_lines_do_not_depend_on_the_pieces(given_lines: list[bytes], size: int) -> None:
    """However the bytes are cut, the same lines come out."""
    text = b"".join(item + b"\n" for item in given_lines)
    splitter = LineSplitter()
    found: list[bytes | None] = []
    for start in range(0, len(text), size):
        found += splitter.feed(text[start : start + size])
    assert found == given_lines


def test_an_endless_line_is_skipped_in_bounded_memory() -> None:
    """A line above the limit is said once, is not kept, and the next line is found."""
    splitter = LineSplitter(limit_bytes=100)
    found: list[bytes | None] = []
    for _ in range(50):
        found += splitter.feed(b"x" * 60)
        assert splitter.held <= 160
    found += splitter.feed(b"\nnext\n")
    assert found == [None, b"next"]
