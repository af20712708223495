"""The queue between us and the collector: bounded, on disk where it can be, in memory where not.

Owns order, limits, age, what is in flight, and the way to memory and back
when the disk fails. Refuses to know what its bytes mean and how they are
sent. Every chunk that it does not hand over is counted by reason:

- ``full``: the oldest went, because the limit was reached;
- ``age``: waited longer than the limit;
- ``damaged``: the disk did not give back what was written;
- ``shutdown``: could be kept nowhere at the end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Generic

from exporter.config.model import Queue
from exporter.sinks.otel.queue.chunks import Batch, Chunk, P, Totals
from exporter.sinks.otel.queue.disk import LOCK_WAIT_SECONDS, ChunkDamagedError, DiskStore, SpoolError, salvage

_log = logging.getLogger(__name__)

MEMORY_LIMIT_BYTES = 64 * 1024 * 1024
"""Most bytes that wait in memory, whatever the limit on disk: the exporter runs beside what it watches."""
DISK_RETRY_SECONDS = 10.0
_KEPT_BYTES = 12 * 1024 * 1024
"""What is on disk and stays in memory besides: with a collector that keeps up, nothing is ever read back."""


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
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._memory_limit_bytes = min(memory_limit_bytes, settings.limit_bytes)
        self._load = load
        self._on_drop = on_drop
        self._clock = clock
        self._disk = DiskStore(settings.directory) if settings.directory is not None else None
        self._disk_works = self._disk_lost = False
        self._disk_retry_at = 0.0
        self._waiting: deque[Chunk[P]] = deque()
        self._batch: Batch[P] = Batch()
        self._undeleted: list[int] = []
        self._totals = Totals()
        self._changed = threading.Condition(threading.RLock())
        self._awaited_records = 1
        self._closed = False

    @property
    def records(self) -> int:
        """Records that wait, those in flight included."""
        return self._totals.records

    @property
    def size_bytes(self) -> int:
        """Bytes that wait, those in flight included."""
        return self._totals.size_bytes

    @property
    def in_flight_records(self) -> int:
        """Records that were taken and neither released nor put back."""
        return self._batch.records

    @property
    def limit_bytes(self) -> int:
        """Most bytes that wait, on disk or in memory."""
        return self._settings.limit_bytes if self._disk is not None else self._memory_limit_bytes

    @property
    def durable(self) -> bool:
        """Whether what is appended now goes to disk."""
        return self._disk_works

    @property
    def oldest_queued_at(self) -> float:
        """When the oldest waiting record was queued, seconds since 1970; 0 when none waits."""
        with self._changed:
            chunks = self._batch.chunks or self._waiting
            return chunks[0].queued_at if chunks else 0.0

    def open(self) -> None:
        """Take up what an earlier process left on disk; without a usable disk, go on in memory."""
        if self._disk is not None:
            with self._changed:
                self._open_disk(self._disk)

    def room_bytes(self) -> int | None:
        """How many bytes still fit; None where the oldest makes room, so that any number does."""
        if not self._disk_works or self._settings.when_full != "wait":
            return None
        return max(self._settings.limit_bytes - self._totals.size_bytes, 0)

    def append(self, payload: P, records: int) -> None:
        """Queue one chunk. On disk when this returns, where the disk works."""
        with self._changed:
            self._retry_disk()
            stored = bytes(payload) if self._disk_works else None
            self._make_room(len(payload) if stored is None else len(stored))
            chunk = Chunk(records, len(payload), self._clock(), payload)
            self._to_disk(chunk, stored)
            self._waiting.append(chunk)
            self._totals.count([chunk])
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
        """Return the payloads of the oldest chunks up to the limits, at least one; None when nothing waits.

        ``limit_bytes`` is of payloads in memory, wherever they wait.
        They stay in the queue, in flight, until ``release`` or ``put_back``.
        """
        with self._changed:
            self._drop_aged()
            chunks: list[Chunk[P]] = []
            payloads: list[P | bytes] = []
            passed_over: list[Chunk[P]] = []
            damaged: list[int] = []
            records = size = 0
            while self._waiting:
                chunk = self._waiting[0]
                if chunks and (records + chunk.records > limit_records or size + chunk.payload_bytes > limit_bytes):
                    break
                self._waiting.popleft()
                try:
                    payload = self._payload(chunk)
                except SpoolError:
                    passed_over.append(chunk)
                except ChunkDamagedError as exc:
                    _log.error("%d queued records are lost: %s", chunk.records, exc)
                    damaged.append(chunk.chunk_id)
                    self._forget(chunk, "damaged")
                else:
                    chunks.append(chunk)
                    payloads.append(payload)
                    records, size = records + chunk.records, size + chunk.payload_bytes
            self._waiting.extendleft(reversed(passed_over))
            self._batch = Batch(tuple(chunks), tuple(payloads))
            self._delete(damaged)
            batch = self._batch
        # Not under the lock: what appends does not wait for it.
        return [self._loaded(payload, chunk) for chunk, payload in batch] if chunks else None

    def release(self) -> None:
        """Remove what is in flight: it was delivered, or set aside."""
        with self._changed:
            chunks, self._batch = self._batch.chunks, Batch()
            for chunk in chunks:
                self._totals.uncount(chunk)
            self._delete([chunk.chunk_id for chunk in chunks if chunk.chunk_id])

    def put_back(self) -> None:
        """Let what is in flight wait again, as the oldest."""
        with self._changed:
            self._waiting.extendleft(reversed(self._batch.chunks))
            self._batch = Batch()

    def tidy(self) -> None:
        """Do what has time: drop what is too old, try a failed disk again, give free space back."""
        with self._changed:
            self._drop_aged()
            self._retry_disk()
            if self._disk_works and self._disk is not None and not self._waiting:
                self._delete([])
                try:
                    self._disk.shrink()
                except SpoolError as exc:
                    self._lose_disk(exc)

    def close(self) -> None:
        """Let go of the disk, which keeps the rest; what could be kept nowhere is counted. Twice is safe."""
        with self._changed:
            self.put_back()
            self._disk_retry_at = 0.0
            self._retry_disk()
            self._waiting_to_disk()
            for chunk in self._waiting:
                if not chunk.chunk_id:
                    self._forget(chunk, "shutdown")
            if self._disk is not None:
                self._delete([])
                self._disk.close()
            self._waiting.clear()
            self._disk = None
            self._disk_works = False
            self._closed = True
            self._changed.notify_all()

    def _ready_records(self) -> int:
        return self._totals.records - self._batch.records

    def _make_room(self, size_bytes: int) -> None:
        """Drop the oldest, but never what is in flight: it may be delivered already.

        Waiting instead of dropping is the sources' part (``room_bytes``); what
        comes all the same, from several sources at once, may go an eighth above.
        """
        limit = self._settings.limit_bytes
        if self._settings.when_full == "wait" and self._disk_works:
            limit += limit // 8
        while self._waiting and self._totals.size_bytes + size_bytes > limit:
            self._drop_oldest(self._waiting.popleft(), "full")
        if self._disk_works:
            return
        while self._totals.memory_bytes + size_bytes > self._memory_limit_bytes:
            oldest = next((chunk for chunk in self._waiting if not chunk.chunk_id), None)
            if oldest is None:
                break
            self._waiting.remove(oldest)
            self._drop_oldest(oldest, "full")

    def _drop_aged(self) -> None:
        horizon = self._clock() - self._settings.limit_age_seconds
        while self._waiting and self._waiting[0].queued_at < horizon:
            self._drop_oldest(self._waiting.popleft(), "age")

    def _drop_oldest(self, chunk: Chunk[P], reason: str) -> None:
        self._forget(chunk, reason)
        if chunk.chunk_id:
            self._delete([chunk.chunk_id])

    def _forget(self, chunk: Chunk[P], reason: str) -> None:
        self._totals.uncount(chunk)
        self._on_drop(reason, chunk.records)

    def _to_disk(self, chunk: Chunk[P], stored: bytes | None = None) -> None:
        """Put the chunk on disk, where it is not and the disk works; ``stored`` spares making its form anew."""
        if self._disk is None or not self._disk_works or chunk.chunk_id or chunk.payload is None:
            return
        stored = bytes(chunk.payload) if stored is None else stored
        try:
            chunk_id = self._disk.insert(stored, chunk.records, chunk.queued_at, payload_bytes=chunk.payload_bytes)
        except SpoolError as exc:
            self._lose_disk(exc)
            return
        chunk.chunk_id, chunk.stored_bytes = chunk_id, len(stored)
        if self._disk_lost:
            self._disk_lost = False
            _log.info("the queue is on disk again")
        if self._totals.kept_bytes + chunk.payload_bytes > _KEPT_BYTES:
            chunk.payload = None

    def _payload(self, chunk: Chunk[P]) -> P | bytes:
        """Return the chunk's payload. Raises SpoolError where the disk is away, ChunkDamagedError where it lost it."""
        if chunk.payload is not None:
            return chunk.payload
        if self._disk is None:
            raise SpoolError("the queue is closed")
        return self._disk.read(chunk.chunk_id)

    def _loaded(self, payload: P | bytes, chunk: Chunk[P]) -> P:
        return self._load(payload, chunk.records) if isinstance(payload, bytes) else payload

    def _delete(self, chunk_ids: list[int]) -> None:
        """Remove chunks from disk; what a failing disk keeps is removed later, and not sent again meanwhile."""
        self._undeleted += chunk_ids
        if not self._undeleted or self._disk is None or not self._disk_works:
            return
        try:
            self._disk.delete(self._undeleted)
        except SpoolError as exc:
            self._lose_disk(exc)
        else:
            self._undeleted.clear()

    def _lose_disk(self, error: SpoolError) -> None:
        """Go on in memory, or in a new file where the old one is damaged."""
        self._disk_works = False
        self._disk_retry_at = self._clock() + DISK_RETRY_SECONDS
        if self._disk is not None and error.damaged:
            self._replace_disk(self._disk, error)
        elif not self._disk_lost:
            self._disk_lost = True
            _log.error("the queue goes on in memory, records are lost if the exporter ends now: %s", error)

    def _retry_disk(self) -> None:
        if self._disk is None or self._disk_works or self._clock() < self._disk_retry_at:
            return
        self._disk.close()
        self._open_disk(self._disk, wait_seconds=0.0)
        self._waiting_to_disk()

    def _open_disk(self, disk: DiskStore, *, wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        try:
            stored, damaged = disk.open(wait_seconds=wait_seconds)
        except SpoolError as exc:
            self._lose_disk(exc)
            return
        self._disk_works = True
        if damaged is not None:
            self._start_anew(damaged)
            return
        known = {chunk.chunk_id for chunk in (*self._waiting, *self._batch.chunks)} | set(self._undeleted)
        found: list[Chunk[P]] = [
            Chunk(row.records, row.payload_bytes, row.queued_at, None, row.chunk_id, row.stored_bytes) for row in stored
        ]
        self._adopt([chunk for chunk in found if chunk.chunk_id not in known])

    def _adopt(self, chunks: list[Chunk[P]]) -> None:
        self._waiting.extendleft(reversed(chunks))
        self._recount()

    def _replace_disk(self, disk: DiskStore, error: SpoolError) -> None:
        try:
            aside = disk.replace(str(error))
        except SpoolError as exc:
            # Not as damaged again: the next try opens what is there by then.
            self._lose_disk(SpoolError(str(exc)))
        else:
            self._disk_works = True
            self._start_anew(aside)

    def _start_anew(self, damaged: Path) -> None:
        """Go on in a new file: save what the damaged one still gives, count what it does not."""
        held = [*self._batch.chunks, *self._waiting]
        settled = {chunk.chunk_id for chunk in held if chunk.payload is not None} | set(self._undeleted)
        settled |= {chunk.chunk_id for chunk in self._batch.chunks}
        self._undeleted.clear()
        for chunk in held:
            chunk.chunk_id = 0
        for chunk, payload in self._batch:
            chunk.payload = payload
        lost = [chunk for chunk in self._waiting if chunk.payload is None]
        self._waiting = deque(chunk for chunk in self._waiting if chunk.payload is not None)
        saved = self._salvage(damaged, settled)
        self._waiting_to_disk()
        missing = max(sum(chunk.records for chunk in lost) - saved, 0)
        _log.warning("%d queued records were saved from the damaged file %s", saved, damaged)
        if missing:
            _log.error("%d queued records were lost with the damaged file %s", missing, damaged)
            self._on_drop("damaged", missing)

    def _salvage(self, damaged: Path, settled: set[int]) -> int:
        """Queue again what a damaged file still gives, but for what we have; return how many records that is."""
        saved: list[Chunk[P]] = []
        in_memory = 0
        for row, payload in salvage(damaged):
            if row.chunk_id not in settled:
                chunk: Chunk[P] = Chunk(row.records, row.payload_bytes, row.queued_at, payload)
                self._to_disk(chunk)
                saved.append(chunk)
                in_memory += 0 if chunk.chunk_id else chunk.size_bytes
                if in_memory >= self._memory_limit_bytes:
                    break
        self._adopt(saved)
        return sum(chunk.records for chunk in saved)

    def _waiting_to_disk(self) -> None:
        for chunk in [chunk for chunk in self._waiting if not chunk.chunk_id]:
            self._to_disk(chunk)
        self._recount()

    def _recount(self) -> None:
        self._totals = Totals()
        self._totals.count(self._batch.chunks)
        self._totals.count(self._waiting)
