"""What stands around an alert in somebody's log: a container runtime, a log driver, syslog or journald.

Owns taking it away, and putting together again what a runtime wrote in pieces.
Refuses to know what an alert is, and to take one out of a line in Falco's text
form or of Falco's own log: the values in it come from whoever caused the alert.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from exporter.alert import Priority

LIMIT_BYTES = 4 * 1024 * 1024
"""Of a line that is put together of pieces, and of what comes between its first piece and its last."""
_CRI = re.compile(rb"\S+ (stdout|stderr) ([FP]) ")
_FALCO_LOG = re.compile(rb"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}: ")
_FALCO_TEXT = re.compile(
    rb"(?:\A|[ \t])(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d{6,9}\S*: (?:"
    + "|".join([priority.label for priority in Priority]).encode()
    + rb")\b"
)
_WRAPPERS = ("log", "MESSAGE", "message", "line")
"""Members that hold a log line: Docker's, journald's, and what shippers call it."""
_PREFIX_BYTES = 512
"""Maximum length of what syslog puts before a line."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, or a part of one, without what stood around it."""

    text: bytes
    ends: bool = True
    """Whether the line ends with it."""
    stream: str = ""
    """The one that it was written to, where that is said."""


def unwrapped(line: bytes) -> Piece | None:
    """Return what a container runtime or a log driver wrote around; None where it is neither's."""
    if match := _CRI.match(line):
        return Piece(line[match.end() :].rstrip(b"\r\n"), match[2] == b"F", match[1].decode())
    if not line.startswith(b"{") or not any(f'"{name}"'.encode() in line for name in _WRAPPERS):
        return None
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if "rule" in document:
        return None
    for name in _WRAPPERS:
        if isinstance(text := document.get(name), str):
            ends = name != "log" or text.endswith("\n")
            return Piece(text.encode("utf-8", "replace").rstrip(b"\r\n"), ends, str(document.get("stream", "")))
    return None


def is_falcos_text(line: bytes) -> bool:
    """Whether it is an alert in Falco's text form, whatever a log put before it."""
    return _FALCO_TEXT.search(_before_a_document(line)) is not None


def is_falcos_log(line: bytes) -> bool:
    """Whether it is a line that Falco writes about itself."""
    return _FALCO_LOG.match(line) is not None


def without_prefix(line: bytes) -> bytes:
    """Return the document, or Falco's text, at the end of a line of syslog or journald; else the line itself."""
    prefix = _before_a_document(line)
    if text := _FALCO_TEXT.search(prefix):
        return line[text.start() :].lstrip()
    if len(prefix) in {len(line), _PREFIX_BYTES} or is_falcos_log(line):
        return line
    return line[len(prefix) :]


def _before_a_document(line: bytes) -> bytes:
    return line[:_PREFIX_BYTES].partition(b"{")[0]


class Pieces:
    """Lines that a runtime wrote in pieces, put together, those of each stream apart."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._open: dict[str, bytes] = {}
        self.held = 0
        """Bytes of input from the first open piece on: what has to be read again after a restart."""

    def take(self, piece: Piece, size: int) -> bytes | None:
        """Return the line that the piece completes; None where it goes on.

        ``size`` is what the piece had in the input. Where too much is held, everything is let go, and the line comes
        as far as it is known.
        """
        text = self._open.pop(piece.stream, b"") + piece.text
        if piece.ends or self.held + size > self._limit:
            self.passed(size)
            return text
        self._open[piece.stream] = text
        self.held += size
        return None

    def finish(self) -> list[bytes]:
        """Return what no further piece will complete."""
        rest, self._open, self.held = list(self._open.values()), {}, 0
        return rest

    def passed(self, size: int) -> None:
        """Take note of so many bytes that are no open piece."""
        self.held = self.held + size if self._open else 0
        if self.held > self._limit:
            self._open.clear()
            self.held = 0
