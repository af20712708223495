"""Alerts as JSON lines: standard input, and a file through rotation, truncation and restart."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import JsonLines
from exporter.selfmetrics import SelfMetrics
from exporter.sources.json_lines import JsonLinesSource, LineSplitter, StandardInput
from tests.integration.falco import wait_until


class Kept:
    """A hand-over that keeps what it is given."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def wait_for_room(self, timeout_seconds: float) -> int:
        return 1_000

    def deliver(self, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts

    @property
    def numbers(self) -> list[int]:
        return [int(alert.fields["n"]) for alert in self.alerts]


def line(number: int) -> str:
    fields = {"n": number}
    alert = {"time": "2026-01-31T12:00:00.000000001Z", "rule": "R", "priority": "Notice", "output_fields": fields}
    return json.dumps(alert) + "\n"


def lines(numbers: range) -> str:
    return "".join(line(number) for number in numbers)


@contextmanager
def running(settings: JsonLines, kept: Kept) -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    source = JsonLinesSource(settings, SelfMetrics(registry))
    stop = threading.Event()
    thread = threading.Thread(target=source.run, args=(kept, stop))
    thread.start()
    try:
        yield registry
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def settings(tmp_path: Path) -> JsonLines:
    return JsonLines(file=tmp_path / "alerts.jsonl", state_file=tmp_path / "position.json")


def append(settings: JsonLines, text: str) -> None:
    assert settings.file is not None
    with settings.file.open("a", encoding="utf-8") as file:
        file.write(text)


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


def test_a_file_is_followed_through_rotation(settings: JsonLines) -> None:
    """What was written before, between and after a rename arrives once and in order."""
    assert settings.file is not None
    append(settings, lines(range(10)))
    kept = Kept()
    with running(settings, kept):
        wait_until(lambda: len(kept.alerts) == 10)
        append(settings, lines(range(10, 20)))
        settings.file.rename(settings.file.with_suffix(".1"))
        append(settings, lines(range(20, 30)))
        wait_until(lambda: len(kept.alerts) == 30)
    assert kept.numbers == list(range(30))


def test_a_truncated_file_is_read_from_its_start(settings: JsonLines) -> None:
    """After copytruncate what is written anew is delivered."""
    assert settings.file is not None
    append(settings, lines(range(20)))
    kept = Kept()
    with running(settings, kept):
        wait_until(lambda: len(kept.alerts) == 20)
        os.truncate(settings.file, 0)
        wait_until(lambda: settings.file is not None and settings.file.stat().st_size == 0)
        append(settings, line(20))
        wait_until(lambda: len(kept.alerts) == 21)
    assert kept.numbers == list(range(21))


def test_a_restart_goes_on_where_it_stopped(settings: JsonLines) -> None:
    """Alerts delivered before a restart do not come again, those written meanwhile do."""
    append(settings, lines(range(10)) + line(10)[:20])
    first, second = Kept(), Kept()
    with running(settings, first):
        wait_until(lambda: len(first.alerts) == 10)
    append(settings, line(10)[20:] + lines(range(11, 15)))
    with running(settings, second):
        wait_until(lambda: len(second.alerts) == 5)
    assert first.numbers + second.numbers == list(range(15))


def test_another_file_is_read_from_its_start(settings: JsonLines) -> None:
    """A remembered position is not used for a file that begins differently."""
    assert settings.file is not None
    append(settings, lines(range(10)))
    with running(settings, first := Kept()):
        wait_until(lambda: len(first.alerts) == 10)
    settings.file.write_text(lines(range(100, 120)), encoding="utf-8")
    with running(settings, second := Kept()):
        wait_until(lambda: len(second.alerts) == 20)
    assert second.numbers == list(range(100, 120))


def test_a_spoilt_memory_is_no_reason_to_stop(settings: JsonLines) -> None:
    """An unreadable position file means reading from the start."""
    assert settings.state_file is not None
    settings.state_file.write_text("{", encoding="utf-8")
    append(settings, line(1))
    with running(settings, kept := Kept()):
        wait_until(lambda: kept.numbers == [1])


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
