"""Alerts as JSON lines: standard input, and a file through rotation, truncation and restart."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.config.model import JsonLines
from exporter.errors import ConfigError
from exporter.selfmetrics import SelfMetrics
from exporter.sources.followed_file import FollowedFile
from exporter.sources.intake import REASONS
from exporter.sources.json_lines import JsonLinesSource, LineSplitter, StandardInput
from tests.waiting import wait_until


class Kept:
    """A hand-over that keeps what it is given."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def wait_for_room(self, timeout_seconds: float) -> int:
        return 1_000

    def deliver(self, alerts: Sequence[Alert]) -> None:
        self.alerts += alerts

    def keep(self, alerts: Sequence[Alert]) -> None:
        raise AssertionError("a line is delivered whole before the next ones are read")

    def finish(self) -> None:
        raise AssertionError("nothing was kept")

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


def no_alert(registry: CollectorRegistry, settings: JsonLines) -> float | None:
    return registry.get_sample_value("falco_exporter_lines_without_alert_total", {"target": str(settings.file)})


def errors(registry: CollectorRegistry, settings: JsonLines) -> dict[str, float]:
    found = registry.get_sample_value
    target = str(settings.file)
    counts = {
        reason: found("falco_exporter_decode_errors_total", {"target": target, "reason": reason}) for reason in REASONS
    }
    return {reason: count for reason, count in counts.items() if count}


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


def test_a_restart_between_two_pieces_loses_nothing(settings: JsonLines) -> None:
    """The position stays before a line whose end has not come; what was between its pieces comes again."""
    cri = "2024-01-02T12:00:00.1Z stdout "
    append(settings, f"{cri}F {line(0)}{cri}P {line(1)[:30]}\n")
    with running(settings, first := Kept()):
        wait_until(lambda: len(first.alerts) == 1)
    append(settings, f"{cri}F {line(1)[30:]}{cri}F {line(2)}")
    with running(settings, second := Kept()):
        wait_until(lambda: len(second.alerts) == 2)
    assert first.numbers + second.numbers == [0, 1, 2]


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


def gaps(registry: CollectorRegistry, settings: JsonLines) -> float | None:
    return registry.get_sample_value("falco_exporter_file_gaps_total", {"target": str(settings.file)})


def rotate(settings: JsonLines, to: str = ".1") -> Path:
    assert settings.file is not None
    return settings.file.rename(settings.file.with_name(settings.file.name + to))


def test_a_rotation_while_the_exporter_is_down_loses_nothing(settings: JsonLines) -> None:
    """What was not read yet of the rotated files comes first, then the new file, each line once."""
    append(settings, lines(range(10)))
    with running(settings, first := Kept()):
        wait_until(lambda: len(first.alerts) == 10)
    append(settings, lines(range(10, 20)))
    rotate(settings, ".2")
    append(settings, lines(range(20, 25)))
    rotate(settings, ".1")
    append(settings, lines(range(25, 30)))
    with running(settings, second := Kept()) as registry:
        wait_until(lambda: len(second.alerts) == 20)
        assert gaps(registry, settings) == 0
    assert first.numbers + second.numbers == list(range(30))


def test_a_copy_made_while_the_exporter_is_down_is_read_on(settings: JsonLines) -> None:
    """logrotate's copytruncate keeps the inode; the copy beside the file holds what was not read yet."""
    assert settings.file is not None
    append(settings, lines(range(10)))
    with running(settings, first := Kept()):
        wait_until(lambda: len(first.alerts) == 10)
    append(settings, lines(range(10, 20)))
    settings.file.with_name(settings.file.name + ".1").write_bytes(settings.file.read_bytes())
    settings.file.write_text(lines(range(20, 22)), encoding="utf-8")
    with running(settings, second := Kept()):
        wait_until(lambda: len(second.alerts) == 12)
    assert first.numbers + second.numbers == list(range(22))


def test_a_rotated_file_that_is_gone_is_counted(settings: JsonLines, caplog: pytest.LogCaptureFixture) -> None:
    """Lines that cannot be found any more are a counter and a warning that says what to change."""
    append(settings, lines(range(10)))
    with running(settings, first := Kept()) as registry:
        wait_until(lambda: len(first.alerts) == 10)
        assert gaps(registry, settings) == 0
    rotate(settings).rename(settings.file.with_suffix(".gz"))  # type: ignore[union-attr]
    append(settings, lines(range(20, 22)))
    with running(settings, second := Kept()) as registry:
        wait_until(lambda: len(second.alerts) == 2)
        assert gaps(registry, settings) == 1
    assert "delaycompress" in caplog.text


@pytest.mark.parametrize(("kind", "word"), [("missing", "no such file yet"), ("directory", "it is a directory")])
def test_a_file_that_cannot_be_read_is_not_up(settings: JsonLines, kind: str, word: str) -> None:
    """The state says what is wrong and what to do, and goes back to up once the file is there."""
    assert settings.file is not None
    if kind == "directory":
        settings.file.mkdir()
    registry = CollectorRegistry()
    source = JsonLinesSource(settings, SelfMetrics(registry))
    stop = threading.Event()
    thread = threading.Thread(target=source.run, args=(kept := Kept(), stop))
    thread.start()
    try:
        wait_until(lambda: word in source.state)
        up = "falco_exporter_source_up"
        assert registry.get_sample_value(up, {"target": str(settings.file)}) == 0
        if kind == "directory":
            settings.file.rmdir()
        append(settings, line(1))
        wait_until(lambda: kept.numbers == [1])
        assert source.state == "up"
        assert registry.get_sample_value(up, {"target": str(settings.file)}) == 1
    finally:
        stop.set()
        thread.join(10)


def test_a_file_of_another_user_is_named_with_what_to_do(settings: JsonLines, caplog: pytest.LogCaptureFixture) -> None:
    """Without the right to read it, the source is not up and says whose right is missing."""
    assert settings.file is not None
    append(settings, line(1))
    settings.file.chmod(0)
    followed = FollowedFile(replace(settings, state_file=None))
    user = os.geteuid()
    if user == 0:  # root may read anything
        os.seteuid(65534)
    try:
        assert followed.read(0) == b""
    finally:
        os.seteuid(user)
    assert "may not read it; run as root, or: setfacl -m u:" in followed.state
    assert followed.state in caplog.text
    settings.file.chmod(0o600)
    assert followed.read(0) == line(1).encode()
    assert followed.state == "up"
    followed.close()


def test_a_named_pipe_is_read_from_one_writer_after_another(settings: JsonLines) -> None:
    """Falco's file_output may name a pipe; when a writer closes it, the next one is read."""
    assert settings.file is not None
    os.mkfifo(settings.file)
    with running(settings, kept := Kept()):
        append(settings, lines(range(3)))
        wait_until(lambda: len(kept.alerts) == 3)
        append(settings, lines(range(3, 5)))
        wait_until(lambda: len(kept.alerts) == 5)
    assert settings.state_file is not None
    assert not settings.state_file.exists()


def test_the_state_file_is_private_and_its_directory_is_made(settings: JsonLines, tmp_path: Path) -> None:
    """A position in a directory that did not exist is remembered, readable by its owner only, never through a link."""
    deep = replace(settings, state_file=tmp_path / "state" / "deep" / "position.json")
    assert deep.state_file is not None
    append(deep, lines(range(5)))
    victim = tmp_path / "victim"
    victim.write_text("kept")
    deep.state_file.parent.mkdir(parents=True)
    deep.state_file.with_name("position.json.new").symlink_to(victim)
    with running(deep, first := Kept()):
        wait_until(lambda: len(first.alerts) == 5)
    append(deep, line(5))
    with running(deep, second := Kept()):
        wait_until(lambda: second.numbers == [5])
    assert stat.S_IMODE(deep.state_file.stat().st_mode) == 0o600
    assert victim.read_text() == "kept"


def test_a_state_directory_that_cannot_be_had_is_an_error_at_start(settings: JsonLines, tmp_path: Path) -> None:
    """Otherwise every restart would count the whole file again."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"json_lines\.state_file: the directory .*/file/x"):
        JsonLinesSource(
            replace(settings, state_file=tmp_path / "file" / "x" / "position.json"), SelfMetrics(CollectorRegistry())
        )
