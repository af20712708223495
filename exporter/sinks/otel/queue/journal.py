"""The queue on disk: chunks appended to files, read in order, removed file by file.

Owns the directory: which files there are, where reading stands, what becomes
of a file that is damaged. A chunk survives the end of the process by any
signal once ``append`` has returned: it was written, and the system writes it
back. Refuses order between disk and memory, limits and retries (see
``spool.py``). Not safe for threads: the spool locks.

In the directory: ``….chunks`` (``segment.py``), ``position`` (what is done with),
``lock`` (held by one process at a time), ``….damaged-…`` (the last three damaged
files, for a person to look at).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import ExporterError
from exporter.private_files import make_private_directory, open_directory, open_locked, open_private
from exporter.sinks.otel.queue.position import FILE_NAME as POSITION
from exporter.sinks.otel.queue.position import Place, read_position, write_position
from exporter.sinks.otel.queue.segment import (
    HEADER_BYTES,
    Header,
    Reader,
    Segment,
    first_record_of,
    name_of,
    read_segment,
    to_header,
    to_summary,
)

_log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
SHRINK_BYTES = 64 * 1024
LOCK_WAIT_SECONDS = 2.0
LOCK = "lock"
_KEPT_DAMAGED_FILES = 3


class SpoolError(ExporterError):
    """The queue's directory cannot be used now; the text says why."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Records that could not be read."""

    records: int


class Journal:
    """The queue's files. ``open`` first; every other call raises SpoolError where the disk fails."""

    def __init__(self, directory: Path) -> None:
        self.path = directory
        self.records = 0
        """Records behind the reading place."""
        self.size_bytes = 0
        """Their payload bytes."""
        self._directory: int | None = None
        self._lock: int | None = None
        self._active: int | None = None
        self._position: int | None = None
        self._segments: deque[Segment] = deque()
        """Oldest first; the last one is written to while ``_active`` is set."""
        self._read_at = 0
        """Index of the segment that is read."""
        self._place = Place()
        self._reader: Reader | None = None
        self._reader_name = ""

    @property
    def is_open(self) -> bool:
        """Whether the directory is ours."""
        return self._lock is not None

    @property
    def next_record(self) -> int:
        """Number of the next record to be read."""
        return self._place.record

    def files_after(self, record: int) -> list[int]:
        """Return the numbers of later records that files begin with, the newest first."""
        begins: list[int] = []
        for segment in reversed(self._segments):
            # Asked of the newest records: not of every file of a long queue.
            if segment.first_record <= record:
                break
            begins.append(segment.first_record)
        return begins

    def open(self, *, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        """Take the directory, waiting so long for another process to let go of it.

        Raises SpoolError where it cannot be had: no such place, read-only, held by another.
        """
        try:
            make_private_directory(self.path)
            self._directory = open_directory(self.path)
            self._take_lock(wait_seconds)
            self._read_directory()
        except OSError as exc:
            self.close()
            raise self._error("use", exc) from exc
        except SpoolError:
            self.close()
            raise

    def append(self, stored: bytes, records: int, queued_at: float, *, payload_bytes: int) -> int:
        """Write one chunk and return the number of its first record. On failure nothing was written."""
        try:
            file = self._active
            if file is None or self._segments[-1].end_offset >= SEGMENT_BYTES:
                file = self._begin_file()
            segment = self._segments[-1]
            first_record = segment.end_record
            raw = to_header(stored, first_record, records=records, queued_at=queued_at, payload_bytes=payload_bytes)
            written = os.pwritev(file, (raw, stored), segment.end_offset)
            if written != HEADER_BYTES + len(stored):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 (translated below, like the others)
        except OSError as exc:
            self._end_active(complete=False)
            raise self._error("write to", exc) from exc
        segment.grow(records, len(stored), queued_at)
        self.records += records
        self.size_bytes += len(stored)
        return first_record

    def peek(self) -> Header | Damage | None:
        """Return the next chunk's header; Damage, which is then behind us, where it cannot be read; None at the end."""
        try:
            self._leave_read_segment()
            if not self._segments or self._place.record >= self._segments[self._read_at].end_record:
                self.records = self.size_bytes = 0
                return None
            segment = self._segments[self._read_at]
            reader = self._reader_of(segment)
            header = reader.header(self._place.offset) if reader is not None else None
            if header is not None and header.first_record == self._place.record:
                return header
            return self._pass_damage(segment, reader)
        except OSError as exc:
            raise self._error("read", exc) from exc

    def payload(self, header: Header) -> bytes | None:
        """Return the payload of the chunk that ``peek`` gave; None where it is damaged. Does not move on."""
        segment = self._segments[self._read_at]
        try:
            reader = self._reader_of(segment)
            found = None if reader is None else reader.payload(self._place.offset, header)
        except OSError as exc:
            raise self._error("read", exc) from exc
        if found is None:
            self._note_damage(segment, header.records)
        return found

    def skip(self, records: int, stored_bytes: int, chunks: int = 1) -> None:
        """Move on behind the next chunks of one file, which together have so many records and payload bytes."""
        self._leave_read_segment()
        self._place.record += records
        self._place.offset += chunks * HEADER_BYTES + stored_bytes
        self._place.stored_bytes += stored_bytes
        self._count_passed(records, stored_bytes)

    def skip_older(self, horizon: float) -> int:
        """Move on behind a whole file whose chunks are all older; return the number of records passed over."""
        self._leave_read_segment()
        if not self._segments or self._read_at + 1 >= len(self._segments):
            return 0
        segment = self._segments[self._read_at]
        if segment.newest_at >= horizon:
            return 0
        return self._skip_rest(segment)

    def settle(self) -> None:
        """Remember that everything read so far is done with, and remove the files that are."""
        try:
            self._leave_read_segment()
            segment = self._segments[self._read_at] if self._segments else None
            write_position(self._open_file(self._position), self._place, segment)
            for _ in range(self._read_at):
                self._remove(self._segments.popleft())
            self._read_at = 0
            if self._active is None and len(self._segments) == 1 and not self.records:
                self._remove(self._segments.popleft())
        except OSError as exc:
            raise self._error("remove delivered records from", exc) from exc

    def shrink(self) -> None:
        """Give back the space of the newest file where all of it is done with."""
        if self._active is not None and not self.records and self._segments[-1].end_offset >= SHRINK_BYTES:
            self._end_active(complete=True)
            self.settle()

    def close(self) -> None:
        """Let go of the directory. Twice is safe."""
        self._end_active(complete=True)
        self._drop_reader()
        for file in (self._position, self._lock, self._directory):
            if file is not None:
                os.close(file)
        self._position = self._lock = self._directory = None
        self._segments.clear()
        self._place, self._read_at = Place(), 0
        self.records = self.size_bytes = 0

    def _take_lock(self, wait_seconds: float) -> None:
        self._lock = open_locked(LOCK, directory=self._directory, wait_seconds=wait_seconds)
        if self._lock is None:
            raise SpoolError(f"another process holds the queue in {self.path}")

    def _read_directory(self) -> None:
        directory = self._open_file(self._directory)
        names = sorted(name for name in _names(directory) if first_record_of(name) is not None)
        self._segments = deque(segment for name in names if (segment := self._read_file(name)) is not None)
        # What a damaged end hides shows in the number that the next file begins with.
        for segment, after in zip(self._segments, list(self._segments)[1:], strict=False):
            segment.end_record = max(segment.end_record, after.first_record)
        self._position = open_private(POSITION, os.O_RDWR | os.O_CREAT, directory=directory)
        self._place, self._read_at = read_position(self._position, self._segments, self.path), 0
        while self._segments and self._segments[0].end_record <= self._place.record:
            self._remove(self._segments.popleft())
        if self._segments:
            self.records = self._segments[-1].end_record - self._place.record
        self.size_bytes = sum(segment.stored_bytes for segment in self._segments) - self._place.stored_bytes

    def _read_file(self, name: str) -> Segment | None:
        """Return a file's totals; None where it holds nothing: a stray or one that was never begun."""
        first_record = first_record_of(name) or 0
        file = open_private(name, os.O_RDONLY, directory=self._directory)
        try:
            segment = read_segment(file, name, first_record)
            size = os.fstat(file).st_size
        finally:
            os.close(file)
        if segment.chunks:
            return segment
        segment.damaged = size > 0
        self._remove(segment)
        return None

    def _begin_file(self) -> int:
        """Write to a new file from here on; return its descriptor."""
        self._end_active(complete=True)
        first_record = self._segments[-1].end_record if self._segments else self._place.record
        name = name_of(first_record)
        directory = self._open_file(self._directory)
        self._active = file = open_private(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, directory=directory)
        if not self._segments:
            self._place, self._read_at = Place(first_record), 0
        self._segments.append(Segment(name, first_record, first_record))
        return file

    def _end_active(self, *, complete: bool) -> None:
        """Write no more to the newest file; a complete one gets its summary."""
        if self._active is None:
            return
        file, self._active = self._active, None
        segment = self._segments[-1]
        with contextlib.suppress(OSError):
            os.ftruncate(file, segment.end_offset)
            if complete:
                os.pwrite(file, to_summary(segment), segment.end_offset)
        os.close(file)
        if not segment.chunks:
            self._segments.pop()
            self._read_at = min(self._read_at, max(len(self._segments) - 1, 0))
            with contextlib.suppress(OSError):
                self._remove(segment)

    def _leave_read_segment(self) -> None:
        """Go to the next file where this one is read to its end."""
        while (
            self._read_at + 1 < len(self._segments) and self._place.record >= self._segments[self._read_at].end_record
        ):
            self._read_at += 1
            self._place = Place(self._place.record)

    def _skip_rest(self, segment: Segment) -> int:
        """Move on behind the file that is read; return how many records that is."""
        records = segment.end_record - self._place.record
        self._count_passed(records, segment.stored_bytes - self._place.stored_bytes)
        self._place = Place(segment.end_record, segment.end_offset, segment.stored_bytes)
        return records

    def _count_passed(self, records: int, stored_bytes: int) -> None:
        self.records = max(self.records - records, 0)
        # How many payload bytes a damaged part had is a guess.
        self.size_bytes = max(self.size_bytes - stored_bytes, 0) if self.records else 0

    def _reader_of(self, segment: Segment) -> Reader | None:
        """Return a reader of the file; None where it is gone."""
        if self._reader is None or self._reader_name != segment.name:
            self._drop_reader()
            try:
                self._reader = Reader(open_private(segment.name, os.O_RDONLY, directory=self._directory))
            except OSError as exc:
                if exc.errno in {errno.ENOENT, errno.ELOOP}:
                    return None
                raise
            self._reader_name = segment.name
        return self._reader

    def _drop_reader(self) -> None:
        if self._reader is not None:
            os.close(self._reader.file)
            self._reader = None

    def _pass_damage(self, segment: Segment, reader: Reader | None) -> Damage:
        """Move on to the next chunk of the file that can be read, or behind the file."""
        offset: int | None = self._place.offset
        while reader is not None and offset is not None:
            offset = reader.find(offset + 1, segment.end_offset)
            header = None if offset is None else reader.header(offset)
            if offset is not None and header is not None and header.first_record > self._place.record:
                lost = header.first_record - self._place.record
                self.skip(lost, max(offset - self._place.offset - HEADER_BYTES, 0))
                self._place.offset = offset
                break
        else:
            lost = self._skip_rest(segment)
        self._note_damage(segment, lost)
        return Damage(lost)

    def _note_damage(self, segment: Segment, records: int) -> None:
        if not segment.damaged:
            _log.error(
                "the queue's file %s is damaged; it is set aside for inspection once it has been read",
                self.path / segment.name,
            )
        segment.damaged = True
        _log.error("%d queued records are lost: %s does not hold what was written", records, self.path / segment.name)

    def _remove(self, segment: Segment) -> None:
        """Remove a file; one that is damaged is kept beside, the last three."""
        if self._reader_name == segment.name:
            self._drop_reader()
        with contextlib.suppress(FileNotFoundError):
            if not segment.damaged:
                os.unlink(segment.name, dir_fd=self._directory)
                return
            aside = f"{segment.name}.damaged-{time.time_ns()}"
            os.rename(segment.name, aside, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            _log.warning("the damaged file of the queue was set aside as %s", self.path / aside)
        asides = [name for name in _names(self._open_file(self._directory)) if ".damaged-" in name]
        for name in sorted(asides, key=lambda name: name.rpartition("-")[2])[:-_KEPT_DAMAGED_FILES]:
            os.unlink(name, dir_fd=self._directory)

    @staticmethod
    def _open_file(file: int | None) -> int:
        if file is None:
            raise OSError(errno.EBADF, "the queue is closed")
        return file

    def _error(self, action: str, error: OSError) -> SpoolError:
        return SpoolError(f"cannot {action} the queue in {self.path}: {error.strerror or error}")


def _names(directory: int) -> list[str]:
    """The names in a directory that is open, whatever its path has become."""
    return os.listdir(directory)
