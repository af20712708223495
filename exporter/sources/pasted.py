"""Alerts out of what people have at hand: files, log excerpts, something pasted.

Owns what may stand around an alert in Falco's JSON form: other lines and
prefixes, arrays, pretty-printed JSON, gzip, a byte order mark. Refuses to know
what an alert is (see ``decode.py``) and what logs are (``log_lines.py``).
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from exporter.alert import Alert
from exporter.errors import DecodeError
from exporter.sources.decode import from_json
from exporter.sources.followed_file import GZIP_START
from exporter.sources.log_lines import is_falcos_log, is_falcos_text, unwrapped

LINE_LIMIT_BYTES = 16 * 1024 * 1024
"""Of a line, and of an alert that is spread over several."""
_PIECE_BYTES = 64 * 1024

_ENCODINGS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_TOKEN = re.compile(rb'["{}\[\]]')
_CONTINUES = re.compile(rb'\s*(?:["\[\]{}]|-?\d[\d.eE+-]*,?\s*$|(?:true|false|null),?\s*$|$)')
"""How a line inside a pretty-printed document begins."""
_STRING_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
PLAIN_TEXT = "plain_text"
"""``DecodeError.reason`` of a line in Falco's text form."""


class Found(NamedTuple):
    """An alert, or what was found in its place."""

    line: int
    """Number of the line on which it begins, from 1."""
    alert: Alert | None
    error: DecodeError | None


def opened(file: BinaryIO) -> BinaryIO:
    """Return the file's bytes as UTF-8 without byte order mark, decompressed where they are gzip's."""
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    if buffered.peek(2)[:2] == GZIP_START:
        buffered = io.BufferedReader(gzip.GzipFile(fileobj=buffered))
    start = buffered.peek(3)
    for mark, encoding in _ENCODINGS:
        if start.startswith(mark):
            buffered.read(len(mark))
            if encoding != "utf-8":
                return io.BufferedReader(_Recoded(buffered, encoding))
    return buffered


class _Recoded(io.RawIOBase):
    """A file of another encoding as UTF-8, piece by piece: what is compressed may be of any size."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        is_over = False
        while not (self._ready or is_over):
            piece = self._file.read(_PIECE_BYTES)
            is_over = not piece
            self._ready = self._decoder.decode(piece, is_over).encode()
        given, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)


def alerts_in(file: BinaryIO) -> Iterator[Found]:
    """Yield every alert in the file and every line that is none, in order; lines that say nothing are passed over.

    Raises OSError where the file cannot be read, EOFError and zlib.error where gzip's data is broken.
    """
    reading = _Reading()
    number = 0
    while line := file.readline(LINE_LIMIT_BYTES):
        number += 1
        if len(line) == LINE_LIMIT_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(LINE_LIMIT_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield Found(number, None, _too_long())
            continue
        yield from reading.line(number, line)
    yield from reading.end()


def _too_long() -> DecodeError:
    return DecodeError("malformed", f"expected at most {LINE_LIMIT_BYTES:,} bytes in a line, found more")


@dataclass(slots=True)
class _Open:
    """A document that goes on in the next line."""

    line: int
    text: bytearray
    depth: int


class _Reading:
    """Finds alerts in lines."""

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._partial: tuple[int, bytes] | None = None
        """The beginning of a line that the container runtime wrote in pieces."""

    def line(self, number: int, line: bytes) -> Iterator[Found]:
        """Yield what the line completes."""
        if self._open is None and self._partial is None and line.startswith(b'{"'):
            # Nearly every line of nearly every file: an alert and nothing around it.
            try:
                yield Found(number, from_json(line), None)
            except DecodeError:
                pass
            else:
                return
        for start, whole in self._whole(number, line):
            yield from self._scan(start, whole)

    def end(self) -> Iterator[Found]:
        """Yield what is left open at the end of the file."""
        if self._partial is not None:
            number, text = self._partial
            self._partial = None
            yield from self._scan(number, text)
        yield from self._give_up()

    def _whole(self, number: int, line: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the line without what a container runtime put around it, its pieces put together."""
        piece = unwrapped(line)
        if piece is None:
            yield number, line
            return
        text = piece.text
        if self._partial is not None:
            number, text = self._partial[0], self._partial[1] + text
        if piece.ends or len(text) > LINE_LIMIT_BYTES:
            self._partial = None
            yield number, text
        else:
            self._partial = (number, text)

    def _scan(self, number: int, line: bytes) -> Iterator[Found]:
        """Take documents out of a line; the last one may go on in the next."""
        position = 0
        if self._open is not None and (line.startswith(b'{"') or not _CONTINUES.match(line)):
            # Another document or line of a log begins: this one was cut off.
            yield from self._give_up()
        if self._open is not None:
            opened = self._open
            end, opened.depth = _end_of_document(line, 0, opened.depth)
            opened.text += line if end < 0 else line[:end]
            if end < 0:
                if opened.depth < 0 or len(opened.text) > LINE_LIMIT_BYTES:
                    yield from self._give_up()
                return
            self._open = None
            yield _decoded(opened.line, bytes(opened.text))
            position = end
        yield from self._documents(number, line, position)

    def _documents(self, number: int, line: bytes, position: int) -> Iterator[Found]:
        is_empty = position == 0
        if is_empty and (is_falcos_text(line) or is_falcos_log(line)):
            # Values in it may look like a document; whoever caused the alert wrote them.
            if not is_falcos_log(line):
                yield Found(number, None, _plain_text())
            return
        while (start := line.find(b"{", position)) >= 0:
            is_empty = False
            position, depth = _end_of_document(line, start, 0)
            if position < 0 and depth > 0:
                self._open = _Open(number, bytearray(line[start:]), depth)
                return
            yield _decoded(number, line[start:] if position < 0 else line[start:position])
            if position < 0:
                return
        if is_empty and line.strip(b" \t\r\n[],"):
            yield Found(number, None, _no_document(line))

    def _give_up(self) -> Iterator[Found]:
        if self._open is not None:
            opened, self._open = self._open, None
            yield _decoded(opened.line, bytes(opened.text))


def _end_of_document(text: bytes, position: int, depth: int) -> tuple[int, int]:
    """Return where the document ends and how deep it is open: -1 where it does not end, and within a string."""
    while token := _TOKEN.search(text, position):
        position = token.end()
        if token[0] == b'"':
            end = _STRING_END.match(text, position)
            if end is None:
                return -1, -1
            position = end.end()
        else:
            depth += 1 if token[0] in b"{[" else -1
            if depth <= 0:
                return position, 0
    return -1, depth


def _decoded(line: int, text: bytes) -> Found:
    try:
        return Found(line, from_json(text), None)
    except DecodeError as exc:
        return Found(line, None, exc)


def _plain_text() -> DecodeError:
    return DecodeError(PLAIN_TEXT, "expected JSON, found Falco's text form, which has neither the rule nor the fields")


def _no_document(line: bytes) -> DecodeError:
    try:
        from_json(line)
    except DecodeError as exc:
        return exc
    return DecodeError("malformed", "expected an alert in Falco's JSON form")
