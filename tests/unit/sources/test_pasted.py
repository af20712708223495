"""Alerts out of log excerpts, arrays, pretty-printed JSON and compressed files."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources import pasted
from exporter.sources.pasted import PLAIN_TEXT, Found, alerts_in, opened


def document(number: int = 1, **more: object) -> dict[str, object]:
    return {
        "rule": f"Rule {number}",
        "time": "2026-01-02T03:04:05.000000000Z",
        "priority": "Warning",
        "output": 'braces { [ " in \\ text } ]',
        "output_fields": {"proc.cmdline": 'sh -c "{\\n"', "proc.name": "sh", "evt.num": 7},
        **more,
    }


def found_in(data: bytes) -> list[Found]:
    return list(alerts_in(opened(io.BytesIO(data))))


def rules_in(data: bytes) -> list[str]:
    found = found_in(data)
    assert [each.error for each in found] == [None] * len(found)
    return [each.alert.rule for each in found if each.alert]


LINE = json.dumps(document()).encode()
LINES = [json.dumps(document(number)).encode() for number in range(3)]
PRETTY = json.dumps([document(number) for number in range(3)], indent=2).encode()


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"\n".join(LINES), 3),
        (b"\r\n\r\n".join(LINES) + b"\r\n", 3),
        (b"".join(LINES), 3),
        (b"[" + b",".join(LINES) + b"]", 3),
        (PRETTY, 3),
        (json.dumps(document(), indent=0).encode(), 1),
        (json.dumps([document()], indent="\t").encode(), 1),
        (b"Jan  2 12:00:00 host falco[123]: " + LINE, 1),
        (b"<5>2024-01-02T12:00:00Z host falco[1]: " + LINE, 1),
        (b"2024-01-02T12:00:00.1Z stdout F " + LINE, 1),
        (b"2024-01-02T12:00:00.1Z stdout P " + LINE[:60] + b"\n2024-01-02T12:00:00.2Z stdout F " + LINE[60:], 1),
        (json.dumps({"log": LINE.decode() + "\n", "stream": "stdout", "time": "2024"}).encode(), 1),
        (b"\n".join(json.dumps({"log": part}).encode() for part in (LINE[:60].decode(), LINE[60:].decode() + "\n")), 1),
        (json.dumps({"MESSAGE": LINE.decode(), "PRIORITY": "5"}).encode(), 1),
        (b"\n".join(b"2024-01-02T12:00:00.1Z stdout F " + line for line in PRETTY.splitlines()), 3),
        (LINE.replace(b'"output_fields"', b'\n"output_fields"') + LINE, 2),
        (b"Thu Jan  2 12:00:00 2024: Falco version: 0.43.1 (x86_64)\n" + LINE, 1),
        (gzip.compress(b"\n".join(LINES)), 3),
        (codecs.BOM_UTF8 + LINE, 1),
        (codecs.BOM_UTF16_LE + LINE.decode().encode("utf-16-le"), 1),
        (b"", 0),
        (b"[]\n", 0),
    ],
)
def test_alerts_are_found_in_whatever_stands_around_them(data: bytes, count: int) -> None:
    """Line prefixes, log drivers' JSON, arrays, indents, compression and byte order marks are no obstacle."""
    assert len(rules_in(data)) == count


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line[:40],
        lambda line: line[: line.index(b"output_fields") - 2],
        lambda line: b"{",
        lambda line: b"no alert",
        lambda line: b"X",
        lambda line: b'{"rule": 1}',
        lambda line: b'Jan  2 host falco: {"rule": "cut off',
    ],
)
def test_a_spoiled_line_costs_no_other(spoil: Callable[[bytes], bytes]) -> None:
    """What is cut off or no alert is one finding, on its own line, and the alerts after it are found."""
    for after in (LINE, b"Jan  2 12:00:00 host falco[1]: " + LINE):
        found = found_in(b"\n".join([LINE, spoil(LINE), after, LINE]))
        assert [each.line for each in found] == [1, 2, 3, 4]
        assert [each.error is None for each in found] == [True, False, True, True]


def test_text_is_told_from_rubbish() -> None:
    """Falco's text form has a reason of its own, with a journal's prefix or without."""
    text = b"18:29:39.273467556: Warning Log files were tampered | file=/x {"
    for line in (text, b"Jan  2 12:00:00 host falco[1]: " + text, text[:-2], b"Warning {"):
        (found,) = found_in(line)
        assert found.error is not None
        assert (found.error.reason == PLAIN_TEXT) is (line != b"Warning {")


@pytest.mark.parametrize("before", [b"", b"Jan  2 12:00:00 host falco[1]: ", b"2024-01-02T12:00:00.1Z stdout F "])
def test_a_value_in_falcos_text_is_no_alert(before: bytes) -> None:
    """Whoever causes an alert chooses its values: a document among them forges no report."""
    (found,) = found_in(before + b"18:29:39.273467556: Warning A shell | cmdline=sh -c " + LINE)
    assert found.error is not None
    assert found.error.reason == PLAIN_TEXT
    assert found_in(b"Thu Jan  2 12:00:00 2024: Loading " + LINE) == []


def test_a_document_over_many_lines_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that never ends is given up at the limit."""
    monkeypatch.setattr(pasted, "LINE_LIMIT_BYTES", 1_000)
    found = found_in(b'{\n"ab": [\n' + b'"x",\n' * 1_000)
    assert found[0].line == 1
    assert found[0].error is not None
    assert found[1].line == 202  # lines 3 to 200 fill the thousand bytes, line 201 is the one too many


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), max_size=4), st.sampled_from([None, 0, 1, 4]))
def test_every_layout_of_json_gives_every_alert(fields: list[dict[str, object]], indent: int | None) -> None:
    """Whatever the values hold and however the array is laid out, each alert is found once, in order."""
    documents = [document(number, output_fields=each) for number, each in enumerate(fields)]
    assert rules_in(json.dumps(documents, indent=indent).encode()) == [each["rule"] for each in documents]


@given(st.binary(max_size=200))
def test_no_bytes_end_the_reading(data: bytes) -> None:
    """Whatever is pasted, reading goes on to the alert in the last line."""
    found = list(alerts_in(io.BytesIO(data.replace(b"\x1f\x8b", b"") + b"\n" + LINE)))
    assert found[-1].alert is not None


def test_a_line_above_the_limit_is_said_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is; and its number counts as one."""
    monkeypatch.setattr("exporter.sources.pasted.LINE_LIMIT_BYTES", 1_000)
    alert = json.dumps(document()).encode() + b"\n"
    first, second = found_in(b"x" * 3_500 + b"\n" + alert)
    assert first.error is not None
    assert (first.line, first.error.reason) == (1, "malformed")
    assert str(first.error) == "expected at most 1,000 bytes in a line, found more"
    assert (second.line, second.error) == (2, None)


def test_a_line_of_the_limit_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line feed counts as one of its bytes, and the line after it is read."""
    monkeypatch.setattr(pasted, "LINE_LIMIT_BYTES", 1_000)
    padded = LINE + b" " * (999 - len(LINE)) + b"\n"
    assert [(each.line, each.error) for each in found_in(padded + LINE)] == [(1, None), (2, None)]


def test_each_finding_has_the_line_on_which_it_begins() -> None:
    """Of a line in pieces the first; a string that is not closed ends with its line."""
    cri = b"2024-01-02T12:00:00.1Z stdout "
    text = json.dumps(document()).encode()
    found = found_in(b"\n" + cri + b"P " + text[:20] + b"\n" + cri + b"F " + text[20:] + b"\n" + text)
    assert [(each.line, each.error) for each in found] == [(2, None), (4, None)]
    assert [each.line for each in found_in(b'{"rule": "cut\n "time": 5}\n')] == [1, 2]
    spread = json.dumps(document(), indent=1).encode()
    assert [(each.line, each.error) for each in found_in(b"\n\n" + spread + b"\n" + text)] == [
        (3, None),
        (3 + len(spread.splitlines()), None),
    ]
    [cut] = found_in(b"\n" + cri + b"P " + text[:20] + b"\n")
    assert (cut.line, cut.alert) == (2, None)


def test_broken_utf16_is_replaced() -> None:
    """An odd byte at the end costs no alert before it."""
    text = json.dumps(document()) + "\n"
    found = found_in(codecs.BOM_UTF16_LE + text.encode("utf-16-le") + b"x")
    assert [each.error is None for each in found] == [True, False]


def test_falcos_text_is_said_to_be_that() -> None:
    """With what it lacks."""
    [found] = found_in(b"\n18:29:39.273467556: Notice A shell\n")
    assert found.line == 2
    assert str(found.error) == "expected JSON, found Falco's text form, which has neither the rule nor the fields"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_file_that_grows_when_it_is_unpacked_is_read_in_pieces(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 MB of blanks in 40 kB: one line that is too long, and the memory of a line."""
    monkeypatch.setattr(pasted, "LINE_LIMIT_BYTES", 200_000)
    mark = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}[encoding]
    packed = gzip.compress(mark, 1) + gzip.compress((" " * 1_000_000).encode(encoding), 1) * 20
    packed += gzip.compress(("\n" + LINE.decode() + "\n").encode(encoding))
    tracemalloc.start()
    try:
        found = found_in(packed)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [each.error is None for each in found] == [False, True]
    assert peak < 5_000_000


def test_another_encoding_cut_anywhere_is_the_same_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A character of two halves that stand in two pieces is one character; half of one at the end is none."""
    monkeypatch.setattr(pasted, "_PIECE_BYTES", 3)
    text = "\U0001f600ä\u2028\n" * 5
    for odd in (b"", b"\x3d"):
        file = opened(io.BytesIO(codecs.BOM_UTF16_LE + text.encode("utf-16-le") + odd))
        assert b"".join(iter(file.readline, b"")).decode() == text + "\ufffd" * len(odd)
