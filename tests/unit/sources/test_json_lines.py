"""Pieces of bytes become lines, and lines alerts: without a file, a thread or a wait."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.config.model import JsonLines
from exporter.selfmetrics import SelfMetrics
from exporter.sources.followed_file import FollowedFile
from exporter.sources.intake import REASONS, ROOM_WAIT_SECONDS
from exporter.sources.json_lines import (
    BATCH_ALERTS,
    LINE_LIMIT_BYTES,
    PAUSE_SECONDS,
    READ_BYTES,
    JsonLinesSource,
    LineSplitter,
    StandardInput,
)
from tests.handover import Kept

CRI = b"2024-01-02T12:00:00.1Z stdout "
OWN = b"Thu Jan  2 12:00:00 2024: Falco version: 0.43.1 (x86_64)\n"


class Pieces:
    """Bytes that come in given pieces; ``in_use`` asks the registry while they are read."""

    name = "pieces"

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.state = "up"
        self.waits: list[float] = []
        self.held: list[int] = []
        self.is_closed = False
        self.ups: list[float | None] = []
        self.registry = CollectorRegistry()

    def read(self, wait_seconds: float) -> bytes | None:
        self.waits.append(wait_seconds)
        self.ups.append(self.registry.get_sample_value("falco_exporter_source_up", {"target": "pieces"}))
        if not self._pieces:
            return None
        piece = self._pieces.pop(0)
        self.state = "down" if piece == b"" else "up"
        return piece

    def delivered(self, held: int) -> None:
        self.held.append(held)

    def close(self) -> None:
        self.is_closed = True


def line(number: int) -> bytes:
    alert = {
        "rule": "R",
        "priority": "Notice",
        "output_fields": {"n": number},
        "time": "2026-01-31T12:00:00.000000001Z",
    }
    return json.dumps(alert).encode() + b"\n"


def started(number: int) -> bytes:
    """A line that begins as Falco's own do."""
    return b'{"hostname":"h",' + line(number)[1:]


def read(*pieces: bytes, kept: Kept | None = None) -> tuple[list[int], Pieces]:
    """Return the numbers of the alerts in the pieces, and what gave them."""
    given, kept = Pieces(*pieces), kept or Kept()
    source = JsonLinesSource(JsonLines(), SelfMetrics(given.registry), source=given)
    source.run(kept, threading.Event())
    return kept.numbers, given


def counted(given: Pieces) -> tuple[float | None, float | None, dict[str, float]]:
    """Alerts that came, lines that held none, and errors by reason."""
    value, target = given.registry.get_sample_value, {"target": "pieces"}
    errors = {reason: value("falco_exporter_decode_errors_total", target | {"reason": reason}) for reason in REASONS}
    return (
        value("falco_exporter_alerts_received_total", target),
        value("falco_exporter_lines_without_alert_total", target),
        {reason: count for reason, count in errors.items() if count},
    )


def test_a_run_from_the_first_piece_to_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Lines across pieces, a silent moment, the last line without line feed; closed, ended and not up afterwards."""
    caplog.set_level("INFO", "exporter.sources.json_lines")
    whole = line(0) + started(1) + line(2).rstrip()
    given = Pieces(whole[:50], b"", whole[50:])
    source = JsonLinesSource(JsonLines(), SelfMetrics(given.registry), source=given)
    assert source.state == "up"
    assert source.name == "pieces"
    kept = Kept()
    source.run(kept, threading.Event())
    assert kept.numbers == [0, 1, 2]
    assert kept.waits == [ROOM_WAIT_SECONDS] * len(kept.waits)
    assert given.waits == [PAUSE_SECONDS] * 4
    assert given.ups == [0, 1, 0, 1]
    assert given.held == [50, len(line(2)) - 1]
    assert given.is_closed
    assert source.state == "ended"
    assert given.registry.get_sample_value("falco_exporter_source_up", {"target": "pieces"}) == 0
    assert counted(given) == (3, 0, {})
    assert caplog.messages == ["pieces: the input has ended"]


def test_nothing_is_read_without_room_and_one_is_room() -> None:
    """It looks again, as often as it takes."""
    numbers, given = read(line(0), kept=Kept(0, -1, 1, 1))
    assert numbers == [0]
    assert len(given.waits) == 2


def test_a_stop_ends_the_reading(caplog: pytest.LogCaptureFixture) -> None:
    """Also while there is no room; what was not read is left, and nothing is said of an end of the input."""
    caplog.set_level("INFO")
    given, stop = Pieces(line(0)), threading.Event()
    source = JsonLinesSource(JsonLines(), SelfMetrics(given.registry), source=given)
    source.run(Kept(0, 0, 0, stop=stop, looks=2), stop)
    assert (given.waits, given.is_closed, caplog.messages) == ([], True, [])


@pytest.mark.parametrize("ending", ["\n", ""])
def test_a_stop_hands_over_what_was_read(ending: str) -> None:
    """There is nowhere left to wait: also without room."""
    stop, given = threading.Event(), Pieces(line(0).rstrip() + ending.encode())
    source = JsonLinesSource(JsonLines(), SelfMetrics(given.registry), source=given)
    kept = Kept(1, *[0] * 5) if ending else Kept(1, 1, *[0] * 5)
    kept._stop, kept._looks = stop, 4
    source.run(kept, stop)
    assert kept.numbers == [0]


def test_a_batch_is_full_at_its_limit() -> None:
    """So many alerts are handed over together, the rest of the piece after them."""
    kept = Kept()
    numbers, _ = read(b"".join(map(line, range(BATCH_ALERTS + 1))), kept=kept)
    assert numbers == list(range(BATCH_ALERTS + 1))
    assert [len(batch) for batch in kept.batches] == [BATCH_ALERTS, 1]


def test_full_batches_are_handed_over_at_a_stop_too() -> None:
    """Without room, the stop is what lets them go."""
    stop, given = threading.Event(), Pieces(b"".join(map(line, range(BATCH_ALERTS))))
    kept = Kept(1, *[0] * 5, stop=stop, looks=4)
    JsonLinesSource(JsonLines(), SelfMetrics(given.registry), source=given).run(kept, stop)
    assert kept.numbers == list(range(BATCH_ALERTS))


def test_what_logs_put_around_an_alert_and_what_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """Falco's own lines and other words in a log are counted apart; text and what is no JSON are errors."""
    caplog.set_level("INFO")
    text = b"12:00:00.000000000: Warning a shell | cmdline=sh -c {}\n"
    numbers, given = read(
        b"\n",
        line(0),
        b"prefix " + line(1),
        CRI + b"F " + line(2),
        OWN,
        CRI + b"F " + OWN,
        CRI + b"F other words\n",
        CRI + b"F " + text,
        CRI + b"F 12:00:00.000000000: Warning without a brace\n",
        CRI + b"F {other words}\n",
        b"other words\n",
    )
    assert numbers == [0, 1, 2]
    assert counted(given) == (7, 3, {"text": 2, "malformed": 2})
    assert "pieces: 3 lines of a log held no alert" in caplog.messages


def test_pieces_of_a_runtime_are_held_until_their_line_is_whole() -> None:
    """What has to be read again after a restart is counted from the first open piece on, with its line feed."""
    first, other, last = CRI + b"P " + line(1)[:30] + b"\n", line(7), CRI + b"F " + line(1)[30:]
    quick = started(8)
    numbers, given = read(first, other, quick, b"abc", b"\n" + last)
    assert numbers == [7, 8, 1]
    held = len(first)
    assert given.held == [
        held,
        held + len(other),
        held + len(other) + len(quick),
        held + len(other) + len(quick) + 3,
        0,
    ]


def test_a_line_in_pieces_at_the_end_is_an_alert_or_an_error() -> None:
    """What no piece will complete is read as far as it is known."""
    whole = CRI + b"P " + line(1)
    numbers, given = read(whole)
    assert numbers == [1]
    numbers, given = read(whole[:60] + b"\n")
    assert (numbers, counted(given)[2]) == ([], {"malformed": 1})


def test_the_rest_at_the_end_is_handed_over_at_a_stop_too() -> None:
    """Without room, the stop is what lets it go."""
    stop, given = threading.Event(), Pieces(CRI + b"P " + line(1))
    kept = Kept(1, 1, *[0] * 5, stop=stop, looks=4)
    JsonLinesSource(JsonLines(), SelfMetrics(given.registry), source=given).run(kept, stop)
    assert kept.numbers == [1]


def test_a_line_above_the_limit_is_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """The next one is read; what was in pieces before is let go where too much came between."""
    first = CRI + b"P " + line(1)[:30] + b"\n"
    numbers, given = read(first, b"x" * (LINE_LIMIT_BYTES + 1), b"x\n" + line(2))
    assert numbers == [2]
    assert given.held == [len(first), 0, 0]
    assert counted(given) == (2, 0, {"too_long": 1})
    [message] = caplog.messages
    assert message.endswith(f"a line is longer than {LINE_LIMIT_BYTES} bytes; it was skipped")


def test_a_piece_that_never_ends_is_not_held_beyond_the_limit() -> None:
    """The line is taken as far as it is known."""
    piece = CRI + b"P " + b"x" * (LINE_LIMIT_BYTES // 2) + b"\n"
    _, given = read(piece, piece, piece)
    assert given.held == [len(piece), 0, len(piece)]


@pytest.mark.parametrize("limit", [4, 5])
def test_the_splitter_takes_a_line_at_its_limit_and_none_above(limit: int) -> None:
    """Whole or in pieces; what is skipped ends with its line."""
    taken: bytes | None = b"12345" if limit == 5 else None
    whole = LineSplitter(limit)
    assert list(whole.feed(b"12345\nabc\n")) == [taken, b"abc"]
    pieces = LineSplitter(limit)
    found = [line for piece in (b"12345", b"", b"67"[: 5 - limit], b"\nabc\n12") for line in pieces.feed(piece)]
    assert found == ([b"12345", b"abc"] if limit == 5 else [None, b"abc"])
    assert pieces.held == 2
    assert list(pieces.finish()) == [b"12"]
    assert pieces.held == 0
    assert list(pieces.finish()) == []


def test_the_rest_of_a_line_that_is_skipped_is_not_given_at_the_end() -> None:
    """It was said to be too long already."""
    splitter = LineSplitter(3)
    assert list(splitter.feed(b"12345")) == [None]
    assert splitter.held == 0
    assert list(splitter.feed(b"67")) == []
    assert list(splitter.finish()) == []
    assert splitter.held == 0
    assert list(splitter.feed(b"8\nab\ncd\n")) == [b"ab", b"cd"]


@contextmanager
def pipe() -> Iterator[tuple[StandardInput, int]]:
    reader, writer = os.pipe()
    source = StandardInput(reader)
    yield source, writer
    source.close()
    os.close(reader)


def test_a_pipe_is_read_as_it_comes_to_its_end() -> None:
    """Nothing within the wait is no end; the writer's end is."""
    with pipe() as (source, writer):
        assert (source.name, source.state) == ("stdin", "up")
        assert source.read(0) == b""
        os.write(writer, b"abc")
        assert source.read(60) == b"abc"
        os.write(writer, b"x" * 1000)
        assert source.read(0) == b"x" * 1000
        os.close(writer)
        assert source.read(60) is None
        selector = source._selector
        source.close()
        assert selector is not None
        with pytest.raises((KeyError, RuntimeError)):
            selector.get_key(source._descriptor)


def test_a_plain_file_at_standard_input_is_read_to_its_end(tmp_path: Path) -> None:
    """epoll refuses it; it is always ready, and read in pieces."""
    (tmp_path / "file").write_bytes(b"x" * (READ_BYTES + 1))
    with (tmp_path / "file").open("rb") as file:
        source = StandardInput(file.fileno())
        assert source._selector is None
        assert [len(source.read(60) or b""), len(source.read(60) or b""), source.read(60)] == [READ_BYTES, 1, None]
        source.close()


def test_standard_input_is_the_first_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing else is said."""
    watched: list[int] = []

    class Selector:
        def register(self, descriptor: int, _events: int) -> None:
            watched.append(descriptor)

    monkeypatch.setattr("exporter.sources.json_lines.selectors.DefaultSelector", Selector)
    StandardInput()
    assert watched == [0]


def test_the_settings_choose_between_file_and_pipe(tmp_path: Path) -> None:
    """Standard input where it is asked for or no file is named; gaps in a file are counted at its name."""
    file = tmp_path / "alerts"
    for settings, name in (
        (JsonLines(file=file, state_file=tmp_path / "position"), str(file)),
        (JsonLines(stdin=True, file=file), "stdin"),
        (JsonLines(), "stdin"),
    ):
        registry = CollectorRegistry()
        source = JsonLinesSource(settings, SelfMetrics(registry))
        assert source.name == name
        assert registry.get_sample_value("falco_exporter_source_up", {"target": name}) == 0
        assert registry.get_sample_value("falco_exporter_lines_without_alert_total", {"target": name}) == 0
        if isinstance(followed := source._bytes, FollowedFile):
            assert source.state == "connecting"
            followed._gap()
            assert registry.get_sample_value("falco_exporter_file_gaps_total", {"target": name}) == 1
        source._bytes.close()
