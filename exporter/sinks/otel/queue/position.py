"""Where reading stands in the queue's files, remembered across a kill.

Owns the one small file. Where it cannot be read, reading starts at the oldest
chunk: better twice than never.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.sinks.otel.queue.segment import Segment, from_bytes, to_bytes

_log = logging.getLogger(__name__)

FILE_NAME = "position"
_LAYOUT = struct.Struct("<4sIQQQQ")
"""Magic, checksum of the rest, first record of the file that is read, next record, its chunk's offset in the file,
payload bytes before it."""
_MAGIC = b"\xf5QPO"
_CHECKED_FROM = 8


@dataclass(slots=True)
class Place:
    """A place in the queue."""

    record: int = 0
    """Number of the next record."""
    offset: int = 0
    """Where its chunk begins in its file."""
    stored_bytes: int = 0
    """Payload bytes before it in that file."""


def write_position(file: int, place: Place, segment: Segment | None) -> None:
    """Remember a place, which is in the segment where there is one. Raises OSError."""
    first_record = segment.first_record if segment else place.record
    rest = _LAYOUT.pack(b"", 0, first_record, place.record, place.offset, place.stored_bytes)[_CHECKED_FROM:]
    os.pwrite(file, _MAGIC + to_bytes(zlib.crc32(rest)) + rest, 0)


def read_position(file: int, segments: Sequence[Segment], directory: Path) -> Place:
    """Return the remembered place among the segments that there are. Raises OSError."""
    raw = os.pread(file, _LAYOUT.size, 0)
    oldest = segments[0].first_record if segments else 0
    if not raw:
        return Place(oldest)
    if len(raw) < _LAYOUT.size or raw[:4] != _MAGIC or from_bytes(raw[4:8]) != zlib.crc32(raw[_CHECKED_FROM:]):
        _log.error(
            "the reading position of the queue in %s is damaged; everything in the queue is sent (again)", directory
        )
        return Place(oldest)
    _, _, first_record, record, offset, stored_bytes = _LAYOUT.unpack(raw)
    wanted = next((segment for segment in segments if segment.end_record > record), None)
    if wanted is None:
        return Place(record)
    # An offset means something only in the file that it was said of.
    return Place(record, offset, stored_bytes) if wanted.first_record == first_record else Place(wanted.first_record)
