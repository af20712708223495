"""What logs put around a line, and lines that were written in pieces."""

from __future__ import annotations

import json

import pytest

from exporter.sources.log_lines import (
    Piece,
    Pieces,
    is_falcos_log,
    is_falcos_text,
    unwrapped,
    without_prefix,
)

ALERT = b'{"rule": "R", "output": "12:00:00.000000000: Notice x {"}'
TEXT = b"12:00:00.123456789: Warning a shell | cmdline=sh -c " + ALERT


@pytest.mark.parametrize(
    ("line", "piece"),
    [
        (b"2024-01-02T12:00:00.1Z stdout F " + ALERT, Piece(ALERT, ends=True, stream="stdout")),
        (b"2024-01-02T12:00:00.1Z stderr P abc\r\n", Piece(b"abc", ends=False, stream="stderr")),
        (b"2024-01-02T12:00:00.1Z stdout X abc", None),
        (b"2024-01-02T12:00:00.1Z stdout F abcX\r\n", Piece(b"abcX", stream="stdout")),
        (b'{"message": "abcX\\r\\n"}', Piece(b"abcX")),
        (b'{"line": "d", "message": "c", "MESSAGE": "b", "log": "a\\n"}', Piece(b"a")),
        (
            json.dumps({"log": ALERT.decode() + "\n", "stream": "stdout"}).encode(),
            Piece(ALERT, ends=True, stream="stdout"),
        ),
        (b'{"log": "abc", "stream": "stderr"}', Piece(b"abc", ends=False, stream="stderr")),
        (b'{"MESSAGE": "abc", "PRIORITY": "5"}', Piece(b"abc")),
        (b'{"message": "a\\ud800"}', Piece(b"a?")),
        (b'{"line": "abc"}', Piece(b"abc")),
        (b'{"log": 5, "line": "abc"}', Piece(b"abc")),
        (b'{"rule": "R", "message": "abc"}', None),
        (b'{"log": 5}', None),
        (b'{"log": "abc"', None),
        (b"[" * 20_000 + b'"log"', None),
        (b'{"log":' * 20_000, None),
        (ALERT, None),
        (b"", None),
    ],
)
def test_what_a_runtime_or_driver_wrote_around_is_taken_away(line: bytes, piece: Piece | None) -> None:
    """CRI, Docker's json-file and journald's JSON; an alert that has a message of its own is no wrapper."""
    assert unwrapped(line) == piece


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (ALERT, ALERT),
        (b"Jan  2 12:00:00 h falco[123]: " + ALERT, ALERT),
        (b"<5>2024-01-02T12:00:00.123456Z h Falco[1]: " + ALERT, ALERT),
        (b"<165>1 2024-01-02T12:00:00.123456789Z h falco 1 - - " + ALERT, ALERT),
        (b"no document", b"no document"),
        (b"x" * 511 + ALERT, ALERT),
        (b"x" * 512 + ALERT, b"x" * 512 + ALERT),
        (TEXT, TEXT),
        (b"Jan  2 12:00:00 h falco: " + TEXT, TEXT),
        (b"\t2024-01-02T" + TEXT, b"2024-01-02T" + TEXT),
        (b"Thu Jan  2 12:00:00 2024: x " + ALERT, b"Thu Jan  2 12:00:00 2024: x " + ALERT),
    ],
)
def test_a_prefix_is_taken_away_and_no_value_is_taken_for_the_alert(line: bytes, text: bytes) -> None:
    """Of a line in Falco's text form, and of Falco's own log, no document is taken: its values are anybody's."""
    assert without_prefix(line) == text


def test_falcos_lines_are_known() -> None:
    """Its text form by time and priority before any document, its own log by its date."""
    assert is_falcos_text(TEXT)
    assert not is_falcos_text(ALERT)
    assert not is_falcos_text(b"12:00:00.123456789: Later x")
    assert is_falcos_log(b"Thu Jan  2 12:00:00 2024: Falco version: 0.39.0")
    assert not is_falcos_log(b"Jan  2 12:00:00 h falco: x")


def test_pieces_of_two_streams_are_put_together_apart() -> None:
    """Each line comes with its last piece; until then all from its first piece on is held."""
    pieces = Pieces()
    assert pieces.take(Piece(b"a", ends=False, stream="stdout"), 10) is None
    assert pieces.take(Piece(b"1", ends=False, stream="stderr"), 20) is None
    assert pieces.held == 30
    pieces.passed(5)
    assert pieces.take(Piece(b"b", ends=True, stream="stdout"), 10) == b"ab"
    assert pieces.held == 45
    assert pieces.take(Piece(b"2", ends=True, stream="stderr"), 20) == b"12"
    assert pieces.held == 0
    assert pieces.take(Piece(b"c", ends=True, stream="stdout"), 10) == b"c"
    assert pieces.held == 0


def test_what_is_held_is_bounded() -> None:
    """A line whose end never comes is let go, and so is the place from which a restart reads again."""
    pieces = Pieces(100)
    assert pieces.take(Piece(b"a", ends=False, stream="stderr"), 60) is None
    assert pieces.take(Piece(b"b", ends=False, stream="stdout"), 40) is None
    assert pieces.held == 100
    assert pieces.take(Piece(b"c", ends=False, stream="stdout"), 1) == b"bc"
    assert pieces.held == 0
    assert pieces.finish() == []
    pieces.take(Piece(b"d", ends=False), 1)
    assert pieces.finish() == [b"d"]
    assert (pieces.held, pieces.finish()) == (0, [])


def test_of_a_piece_only_its_line_end_is_taken_away() -> None:
    """A blank at the end may stand inside of an alert's text."""
    assert unwrapped(b"2024-01-02T12:00:00.1Z stdout P the X \r\n") == Piece(b"the X ", False, "stdout")
    assert unwrapped(b'{"log":"the X \\r\\n","stream":"stderr"}') == Piece(b"the X ", True, "stderr")
    assert unwrapped(b'["log", "message"]') is None
