"""One file of the queue: chunks one behind the other, each with checksums.

Owns the format. A chunk is a header and its payload; a file that is complete
ends with a summary, so that a start need not read it. Records are numbered
through all files: the number in a header says how many are missing where a
part of a file cannot be read. Refuses to know which chunks are still wanted
(see ``journal.py``).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

SUFFIX = ".chunks"
_HEADER_MAGIC = b"\xf5QCH"
_SUMMARY_MAGIC = b"\xf5QEN"
_HEADER = struct.Struct("<4sIQdIIII")
"""Magic, checksum of the rest of the header, number of the first record, seconds since 1970, records, payload's size
in memory, payload's size here, checksum of the payload."""
_BEGINNING = struct.Struct("<4sI")
"""Magic and checksum."""
_CHECKED = struct.Struct("<QdIIII")
"""The rest."""
_SUMMARY = struct.Struct("<4sIQQQd")
"""Magic, checksum of the rest, number of the record after the last, chunks, payload bytes, newest chunk's time."""
HEADER_BYTES = _HEADER.size
_CHECKED_FROM = 8
_MAXIMUM_BYTES = 2**32 - 1
_BLOCK_BYTES = 256 * 1024


class Header(NamedTuple):
    """What is known of a chunk without its payload."""

    first_record: int
    """Number of its first record."""
    queued_at: float
    """Seconds since 1970."""
    records: int
    payload_bytes: int
    """What it has in memory."""
    stored_bytes: int
    """What its payload has in the file."""
    checksum: int
    """CRC-32 of the payload."""

    @property
    def end_record(self) -> int:
        """Number of the record after its last."""
        return self.first_record + self.records


@dataclass(slots=True)
class Segment:
    """One file and its totals."""

    name: str
    first_record: int
    """Number of the first record that it may hold."""
    end_record: int
    """Number of the record after its last."""
    end_offset: int = 0
    """Where its last chunk ends, bytes from its start."""
    chunks: int = 0
    stored_bytes: int = 0
    """Payload bytes of all its chunks."""
    newest_at: float = 0.0
    """When its newest chunk was queued, seconds since 1970."""
    damaged: bool = False
    """Whether a part of it could not be read."""

    def add(self, header: Header) -> None:
        """Count a chunk that was read at its end."""
        self.end_record = header.first_record
        self.grow(header.records, header.stored_bytes, header.queued_at)

    def grow(self, records: int, stored_bytes: int, queued_at: float) -> None:
        """Count a chunk of so many records and payload bytes at its end."""
        self.end_record += records
        self.end_offset += HEADER_BYTES + stored_bytes
        self.chunks += 1
        self.stored_bytes += stored_bytes
        if queued_at > self.newest_at:  # noqa: PLR1730 - max() costs three times as much
            self.newest_at = queued_at


def name_of(first_record: int) -> str:
    """Return the name of the file whose first record has this number; names sort as numbers do."""
    return f"{first_record:020d}{SUFFIX}"


def first_record_of(name: str) -> int | None:
    """Return the number that a file's name says; None for a file that is not ours."""
    digits = name.removesuffix(SUFFIX)
    return int(digits) if name.endswith(SUFFIX) and digits.isascii() and digits.isdigit() else None


def to_bytes(checksum: int) -> bytes:
    """Return a checksum as the files have it."""
    return checksum.to_bytes(4, "little")


def from_bytes(raw: bytes) -> int:
    """Read a checksum."""
    return int.from_bytes(raw, "little")


def to_header(stored: bytes, first_record: int, *, records: int, queued_at: float, payload_bytes: int) -> bytes:
    """Return the header that goes before a payload."""
    # One call less for each post: neither ``min`` nor ``to_bytes``.
    shown_bytes = payload_bytes if payload_bytes <= _MAXIMUM_BYTES else _MAXIMUM_BYTES
    rest = _CHECKED.pack(first_record, queued_at, records, shown_bytes, len(stored), zlib.crc32(stored))
    return _BEGINNING.pack(_HEADER_MAGIC, zlib.crc32(rest)) + rest


def from_header(raw: bytes) -> Header | None:
    """Read a header; None where the bytes are none."""
    if len(raw) != HEADER_BYTES or raw[:4] != _HEADER_MAGIC:
        return None
    _, checksum, *values = _HEADER.unpack(raw)
    if checksum != zlib.crc32(raw[_CHECKED_FROM:]):
        return None
    return Header(*values)


def to_summary(segment: Segment) -> bytes:
    """Return what stands at the end of a complete file."""
    rest = _SUMMARY.pack(b"", 0, segment.end_record, segment.chunks, segment.stored_bytes, segment.newest_at)
    rest = rest[_CHECKED_FROM:]
    return _SUMMARY_MAGIC + to_bytes(zlib.crc32(rest)) + rest


def read_segment(file: int, name: str, first_record: int) -> Segment:
    """Return a file's totals: from its summary, or from its chunks where it has none. Raises OSError."""
    size = os.fstat(file).st_size
    segment = Segment(name, first_record, first_record)
    raw = os.pread(file, _SUMMARY.size, max(size - _SUMMARY.size, 0))
    if len(raw) == _SUMMARY.size and raw[:4] == _SUMMARY_MAGIC:
        _, checksum, end_record, chunks, stored_bytes, newest_at = _SUMMARY.unpack(raw)
        if checksum == zlib.crc32(raw[_CHECKED_FROM:]) and end_record >= first_record:
            segment.end_record, segment.chunks = end_record, chunks
            segment.stored_bytes, segment.newest_at = stored_bytes, newest_at
            segment.end_offset = size - _SUMMARY.size
            return segment
    reader = Reader(file)
    for offset, header in _headers(reader, size, first_record):
        segment.end_offset = offset
        segment.add(header)
    # What stands behind the last chunk: the start of one whose writing was cut, or damage.
    segment.damaged = segment.end_offset < size and reader.find(segment.end_offset, size) is not None
    return segment


def _headers(reader: Reader, size: int, first_record: int) -> Iterator[tuple[int, Header]]:
    """Yield every chunk that is there, passing over damage."""
    offset = 0
    while offset < size:
        header = reader.header(offset)
        if header is None or header.first_record < first_record:
            found = reader.find(offset + 1, size)
            if found is None:
                return
            offset = found
            continue
        if offset + HEADER_BYTES + header.stored_bytes > size:
            return
        yield offset, header
        offset += HEADER_BYTES + header.stored_bytes


class Reader:
    """Reads one file in blocks. Does not own the descriptor."""

    def __init__(self, file: int) -> None:
        self.file = file
        self._offset = 0
        self._block = b""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to so many bytes; fewer where the file ends. Raises OSError."""
        start = offset - self._offset
        if not 0 <= start <= len(self._block) - length:
            self._block = os.pread(self.file, max(length, _BLOCK_BYTES), offset)
            self._offset, start = offset, 0
        return self._block[start : start + length]

    def header(self, offset: int) -> Header | None:
        """Return the header at an offset; None where there is none. Raises OSError."""
        return from_header(self.read(offset, HEADER_BYTES))

    def payload(self, offset: int, header: Header) -> bytes | None:
        """Return the payload of the chunk at an offset; None where it is not what was written. Raises OSError."""
        stored = self.read(offset + HEADER_BYTES, header.stored_bytes)
        return stored if len(stored) == header.stored_bytes and zlib.crc32(stored) == header.checksum else None

    def find(self, offset: int, end: int) -> int | None:
        """Return where the next whole header stands; None where there is none before ``end``. Raises OSError."""
        while offset < end:
            block = os.pread(self.file, min(_BLOCK_BYTES, end - offset), offset)
            at = block.find(_HEADER_MAGIC)
            while at >= 0:
                if self.header(offset + at) is not None:
                    return offset + at
                at = block.find(_HEADER_MAGIC, at + 1)
            if len(block) < len(_HEADER_MAGIC):
                return None
            # A magic number may stand across two blocks.
            offset += max(len(block) - len(_HEADER_MAGIC) + 1, 1)
        return None
