"""The queue between us and the collector: bounded, on disk where it can be, in memory where not.

Owns order, limits, age, what is in flight, and the way to memory and back
when the disk fails. Refuses to know what its bytes mean and how they are
sent. Every chunk that it does not hand over is counted by reason:

- ``full``: the oldest went, because the limit was reached;
- ``age``: waited longer than the limit;
- ``damaged``: the disk did not give back what was written;
- ``shutdown``: could be kept nowhere at the end.

What waits stands in three lines, the oldest in the first: what was put back,
what is on disk, and what came while the disk took nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from exporter.config.model import Queue
from exporter.directories import what_helps
from exporter.sinks.otel.queue.chunks import Chunk, Line, P
from exporter.sinks.otel.queue.disk import LOCK_WAIT_SECONDS, DiskQueue, SpoolError, Standing

_log = logging.getLogger(__name__)

DISK_RETRY_SECONDS = 10.0
DROP_REASONS = ("full", "age", "damaged", "shutdown")


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """How much waits in memory, whatever the limit on disk: the exporter runs beside what it watches."""

    size_bytes: int = 64 * 1024 * 1024
    records: int | None = None
    """None for no limit besides the bytes."""


class Spool(Generic[P]):
    """A queue of chunks. Safe from any thread; one batch is in flight at a time.

    ``load`` makes a payload of its bytes and its number of records where it comes back from disk. ``on_drop`` is
    called with a reason and a number of records.
    """

    def __init__(
        self,
        settings: Queue,
        *,
        load: Callable[[bytes, int], P],
        on_drop: Callable[[str, int], None],
        memory: MemoryLimit | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        memory = memory or MemoryLimit()
        self._memory_limit_bytes = min(memory.size_bytes, settings.limit_bytes)
        self._memory_limit_records = memory.records
        self._load = load
        self._on_drop = on_drop
        self._clock = clock
        self._disk: DiskQueue[P] | None = (
            DiskQueue(settings.directory, on_drop) if settings.directory is not None else None
        )
        self._disk_works = self._disk_lost = self._disk_unread = False
        self._disk_retry_at = 0.0
        self._returned: Line[P] = Line()
        self._memory: Line[P] = Line()
        self._taken: Line[P] = Line()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._awaited_records = 1
        self._room_bytes = 0
        """Bytes that fit for sure: less than there is room for where something has gone since."""
        self._closed = self._ended = False
        self.unusable = ""
        """Why the disk could not be used from the start on; empty once it could."""

    @property
    def records(self) -> int:
        """Records that wait, those in flight included."""
        on_disk = 0 if self._disk is None else self._disk.records
        return on_disk + self._returned.records + self._memory.records + self._taken.records

    @property
    def size_bytes(self) -> int:
        """Bytes that wait, those in flight included."""
        on_disk = 0 if self._disk is None else self._disk.size_bytes
        return on_disk + self._returned.size_bytes + self._memory.size_bytes + self._taken.size_bytes

    @property
    def in_flight_records(self) -> int:
        """Records that were taken and neither released nor put back."""
        return self._taken.records

    @property
    def limit_bytes(self) -> int:
        """Maximum bytes that wait, on disk or in memory."""
        return self._settings.limit_bytes if self._disk is not None else self._memory_limit_bytes

    @property
    def durable(self) -> bool:
        """Whether what is appended now goes to disk."""
        return self._disk_works

    @property
    def oldest_queued_at(self) -> float:
        """When the oldest waiting record was queued, seconds since 1970; 0 when none waits."""
        with self._changed:
            oldest = self._taken.oldest or self._oldest()
            return oldest.queued_at if oldest else 0.0

    def open(self) -> None:
        """Take up what an earlier process left on disk; without a usable disk, go on in memory."""
        if self._disk is not None:
            with self._changed:
                self._open_disk(self._disk)

    def room_bytes(self) -> int | None:
        """How many bytes still fit; None where the oldest makes room, so that any number does."""
        if not self._disk_works or self._settings.when_full != "wait":
            return None
        return max(self._settings.limit_bytes - self.size_bytes, 0)

    def append(self, payload: P, records: int) -> None:
        """Queue one chunk. On disk when this returns, where the disk works."""
        with self._changed:
            if self._ended:
                # A source that did not stop in time still delivers.
                self._on_drop("shutdown", records)
                return
            self._retry_disk()
            chunk = Chunk(records, len(payload), self._clock(), payload)
            stored = bytes(payload) if self._disk_works else None
            self._make_room(chunk.payload_bytes if stored is None else len(stored))
            if stored is None or not self._to_disk(chunk, stored):
                self._make_memory_room(chunk)
                self._memory.append(chunk)
            if self._ready_records() >= self._awaited_records:
                self._changed.notify_all()

    def append_ahead(self, stored: bytes, records: int, queued_at: float, payload_bytes: int) -> int | None:
        """Put one chunk on disk ahead of its payload; return its first record's number, None where no disk works.

        ``stored`` is its form for the disk, ``queued_at`` in seconds since 1970, ``payload_bytes`` about what the
        payload will have. Who waits for chunks is not woken before ``complete``.
        """
        # The lock itself: entering a condition is Python.
        with self._lock:
            disk = self._disk
            if disk is None or not self._disk_works or self._ended:
                return None
            if len(stored) > self._room_bytes:
                self._make_room(len(stored))
            else:
                self._room_bytes -= len(stored)
            try:
                first_record = disk.append_ahead(stored, records, queued_at, payload_bytes)
            except SpoolError as exc:
                self._lose_disk(exc)
                return None
            if self._disk_lost:
                self._regain_disk()
            return first_record

    def standing(self, first_record: int) -> Standing:
        """Say what may be completed of the chunks of ``append_ahead`` from this record on."""
        with self._changed:
            return Standing(None, ()) if self._disk is None else self._disk.standing(first_record)

    def complete(self, chunk: Chunk[P]) -> None:
        """Let chunks of ``append_ahead``, which follow each other, be this one; where one is taken they stay."""
        with self._changed:
            if self._disk is not None:
                self._disk.complete(chunk)
            if self._ready_records() >= self._awaited_records:
                self._changed.notify_all()

    def wait(self, timeout_seconds: float, *, records: int = 1) -> bool:
        """Wait until so many records wait that are not in flight; say whether they do. For one thread."""
        with self._changed:
            # Not woken for less: each time costs as much as several alerts.
            self._awaited_records = records
            return self._changed.wait_for(lambda: self._closed or self._ready_records() >= records, timeout_seconds)

    def wake(self) -> None:
        """End every ``wait`` now."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, limit_records: int, limit_bytes: int) -> list[P] | None:
        """Return the payloads of the oldest chunks up to the limits, at least one; None when nothing can be had.

        ``limit_bytes`` is of payloads in memory, wherever they wait.
        They stay in the queue, in flight, until ``release`` or ``put_back``.
        """
        with self._changed:
            self._disk_unread = False
            self._drop_aged()
            size = 0
            while (chunk := self._oldest()) is not None:
                full = self._taken.records + chunk.records > limit_records or size + chunk.payload_bytes > limit_bytes
                if full and len(self._taken):
                    break
                size += chunk.payload_bytes
                self._take_oldest(chunk)
            taken = list(self._taken)
        # Not under the lock: what appends does not wait for it.
        return [self._loaded(chunk) for chunk in taken] if taken else None

    def release(self) -> None:
        """Remove what is in flight: it was delivered, or set aside."""
        with self._changed:
            self._taken.clear()
            # What was put back is older than the place where reading stands, and must come again after a restart.
            if not len(self._returned):
                self._settle()

    def put_back(self) -> None:
        """Let what is in flight wait again, as the oldest."""
        with self._changed:
            self._returned.put_back(self._taken)
            self._taken.clear()

    def tidy(self) -> None:
        """Do what has time: drop what is too old, try a failed disk again, give free space back."""
        with self._changed:
            self._drop_aged()
            self._retry_disk()
            if self._disk is None or not self._disk_works or self.records:
                return
            try:
                self._disk.settle()
                self._disk.shrink()
            except SpoolError as exc:
                self._lose_disk(exc)

    def close(self) -> None:
        """Let go of the disk, which keeps the rest; what could be kept nowhere is counted. Twice is safe."""
        with self._changed:
            self.put_back()
            self._disk_retry_at = 0.0
            self._retry_disk()
            for chunk in (*self._returned, *self._memory):
                if not chunk.stored_bytes and not self._to_disk(chunk, bytes(chunk.payload)):
                    self._on_drop("shutdown", chunk.records)
            if self._disk is not None:
                self._disk.close()
            self._returned.clear()
            self._memory.clear()
            self._disk = None
            self._disk_works = False
            self._closed = self._ended = True
            self._changed.notify_all()

    def _ready_records(self) -> int:
        return self.records - self._taken.records

    def _oldest(self) -> Chunk[P] | None:
        """The oldest chunk that can be had and is not in flight."""
        if self._returned.oldest is not None:
            return self._returned.oldest
        if self._disk is not None and self._disk.records and not self._disk_unread:
            try:
                if (chunk := self._disk.peek()) is not None:
                    return chunk
            except SpoolError as exc:
                self._pass_disk(exc)
        return self._memory.oldest

    def _take_oldest(self, chunk: Chunk[P]) -> None:
        """Take the chunk that ``_oldest`` gave."""
        for line in (self._returned, self._memory):
            if line.oldest is chunk:
                self._taken.append(line.pop())
                return
        if self._disk is None:
            return
        try:
            if self._disk.take(chunk):
                self._taken.append(chunk)
        except SpoolError as exc:
            self._pass_disk(exc)

    def _pass_disk(self, error: SpoolError) -> None:
        """Leave what is on a disk that cannot be read where it is, for now."""
        self._disk_unread = True
        self._lose_disk(error)

    def _make_room(self, size_bytes: int) -> None:
        """Drop the oldest, but never what is in flight: it may be delivered already.

        Waiting instead of dropping is the sources' part (``room_bytes``); what
        comes all the same, from several sources at once, may go an eighth above.
        """
        limit = self._settings.limit_bytes
        if self._settings.when_full == "wait" and self._disk_works:
            limit += limit // 8
        while self.size_bytes + size_bytes > limit and (oldest := self._oldest()) is not None:
            self._drop_oldest(oldest, "full")
        self._room_bytes = max(limit - self.size_bytes - size_bytes, 0)

    def _make_memory_room(self, chunk: Chunk[P]) -> None:
        limit_records = self._memory_limit_records
        while self._memory.oldest is not None and (
            self._memory.size_bytes + chunk.payload_bytes > self._memory_limit_bytes
            or (limit_records is not None and self._memory.records + chunk.records > limit_records)
        ):
            self._on_drop("full", self._memory.pop().records)

    def _drop_aged(self) -> None:
        horizon = self._clock() - self._settings.limit_age_seconds
        if self._disk is not None and not len(self._returned) and (dropped := self._disk.drop_older(horizon)):
            self._on_drop("age", dropped)
        while (oldest := self._oldest()) is not None and oldest.queued_at < horizon:
            self._drop_oldest(oldest, "age")

    def _drop_oldest(self, chunk: Chunk[P], reason: str) -> None:
        for line in (self._returned, self._memory):
            if line.oldest is chunk:
                line.pop()
                self._on_drop(reason, chunk.records)
                return
        if self._disk is not None:
            self._disk.drop(chunk)
            self._on_drop(reason, chunk.records)
            if not len(self._taken) and not len(self._returned):
                self._settle()

    def _to_disk(self, chunk: Chunk[P], stored: bytes) -> bool:
        """Put the chunk on disk where that works; say whether it is there."""
        if self._disk is None or not self._disk_works:
            return False
        try:
            self._disk.append(chunk, stored)
        except SpoolError as exc:
            self._lose_disk(exc)
            return False
        if self._disk_lost:
            self._regain_disk()
        return True

    def _regain_disk(self) -> None:
        self._disk_lost = False
        _log.info("the queue is on disk again")

    def _settle(self) -> None:
        """Make the reading place durable; a disk that fails sends a little again after a restart."""
        if self._disk is not None and self._disk.is_open:
            try:
                self._disk.settle()
            except SpoolError as exc:
                self._lose_disk(exc)

    def _loaded(self, chunk: Chunk[P]) -> P:
        payload = chunk.payload
        return self._load(payload, chunk.records) if isinstance(payload, bytes) else payload

    def _lose_disk(self, error: SpoolError) -> None:
        """Go on in memory."""
        self._disk_works = False
        self._room_bytes = 0
        self._disk_retry_at = self._clock() + DISK_RETRY_SECONDS
        if not self._disk_lost:
            self._disk_lost = True
            helps = what_helps(error.__cause__, "queue.directory")
            _log.error(
                "the queue continues in memory; its records are lost if the exporter ends now: %s; %s", error, helps
            )

    def _retry_disk(self) -> None:
        if self._disk is None or self._disk_works or self._clock() < self._disk_retry_at:
            return
        if self._disk.is_open:
            self._disk_works = True
        else:
            self._open_disk(self._disk, wait_seconds=0.0)
        while self._disk_works and len(self._memory):
            oldest = self._memory.pop()
            if not self._to_disk(oldest, bytes(oldest.payload)):
                self._memory.put_back([oldest])

    def _open_disk(self, disk: DiskQueue[P], *, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        try:
            disk.open(wait_seconds=wait_seconds)
        except SpoolError as exc:
            self.unusable = str(exc)
            self._lose_disk(exc)
            return
        self.unusable = ""
        self._disk_works = True
