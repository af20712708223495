"""Alerts whose sender may be answered, and of which no records have been made yet.

Owns the two steps: first the messages, as they came, to where they survive
this process; later the records. Falco waits for the first step only. What is
in the queue already when its record is made is in the same place as before,
and what the sender has taken meanwhile it reads itself. Refuses to write to a
disk and to send. Not safe for threads: the sink locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from exporter.alert import Alert
from exporter.pipeline import Arrival
from exporter.sinks.otel.queue.chunks import Chunk
from exporter.sinks.otel.queue.disk import Standing
from exporter.sinks.otel.queue.records import Encoded, Records
from exporter.sinks.otel.queue.spool import Spool

CHUNK_BYTES = 1024 * 1024
"""Maximum bytes of one chunk's records, about."""
_FIRST_GUESS_BYTES = 8_192
_SECOND_NS = 1_000_000_000


class _Kept(NamedTuple):
    """Alerts that came together, or messages that were not read when they came."""

    alerts: Sequence[Alert]
    arrivals: Sequence[Arrival]
    observed_ns: int
    """When they came, nanoseconds since 1970."""
    first_record: int | None
    """The number of their first record in the queue on disk; None where they are in memory only."""
    stored_bytes: int = 0
    """What they take on disk."""

    @property
    def records(self) -> int:
        """How many records they are on disk: of messages some may be no alerts."""
        return len(self.alerts) or len(self.arrivals)

    def read(self) -> Sequence[Alert]:
        """Return the alerts; of messages those that are alerts."""
        found = [arrival.read() for arrival in self.arrivals]
        return [alert for alert in found if alert is not None] if found else self.alerts


class _Made:
    """Records of what follows on disk one behind the other."""

    def __init__(self, first_record: int) -> None:
        self.records = Records()
        self.first_record = self.end_record = first_record
        self._queued_at = 0.0
        self._stored_bytes = self._chunks = 0

    def add(self, kept: _Kept) -> None:
        """Count what its records are then added for."""
        if not self._chunks:
            self._queued_at = kept.observed_ns / _SECOND_NS
        self._chunks += 1
        self._stored_bytes += kept.stored_bytes
        self.end_record += kept.records

    def to_chunk(self) -> Chunk[Records]:
        """Return the chunk that all of it becomes."""
        return Chunk(
            self.end_record - self.first_record, len(self.records), self._queued_at, self.records,
            self._stored_bytes, self._chunks, self.first_record,
        )  # fmt: skip


class Ahead:
    """What is ahead of its records. ``encode`` makes a record of an alert and the time of its observation."""

    def __init__(
        self, spool: Spool[Records], encode: Callable[[Alert, int], Encoded], *, chunk_records: int, is_durable: bool
    ) -> None:
        """``chunk_records`` is how many records a chunk may have; ``is_durable`` says that the queue is to be on disk.

        Where it is not, alerts wait here, in memory, where their records would wait.
        """
        self._spool = spool
        self._encode = encode
        self._chunk_records = chunk_records
        self._is_durable = is_durable
        self._kept: list[_Kept] = []
        self._record_bytes = _FIRST_GUESS_BYTES
        """What a record had of late."""

    def keep(self, alerts: Sequence[Alert], observed_ns: int) -> bool:
        """Take alerts; False where they would have to be on disk and are not."""
        if not self._is_durable or not self._spool.durable:
            self._kept.append(_Kept(alerts, (), observed_ns, None))
            return True
        return self._keep_pieces(alerts, (), [alert.received for alert in alerts], observed_ns)

    def keep_messages(self, arrivals: Sequence[Arrival], observed_ns: int) -> bool:
        """Take messages that are read by the time of ``complete``; False where they are not on disk."""
        if len(arrivals) != 1:
            return self._keep_pieces((), arrivals, [arrival.message for arrival in arrivals], observed_ns)
        # As a sender does that waits for each answer: it waits for this.
        stored = Records.stored_one(arrivals[0].message, observed_ns)
        first_record = self._spool.append_ahead(stored, 1, observed_ns / _SECOND_NS, self._record_bytes)
        self._kept.append(_Kept((), arrivals, observed_ns, first_record, len(stored)))
        return first_record is not None

    def _keep_pieces(
        self, alerts: Sequence[Alert], arrivals: Sequence[Arrival], messages: Sequence[bytes], observed_ns: int
    ) -> bool:
        """Keep alerts or arrivals, of which the other is empty, by their messages; False where not all are on disk."""
        is_kept = True
        for piece in self._pieces(messages):
            first_record, size = self._store(messages[piece], observed_ns) if is_kept else (None, 0)
            is_kept = first_record is not None
            self._kept.append(_Kept(alerts[piece], arrivals[piece], observed_ns, first_record, size))
        return is_kept

    def _store(self, messages: Sequence[bytes], observed_ns: int) -> tuple[int | None, int]:
        """Put messages on disk as one chunk; return its first record's number, None where that cannot be, and size."""
        # Without its message, because it was changed, an alert waits on disk as its record.
        if not all(messages):
            return None, 0
        stored = Records.stored(messages, observed_ns)
        count = len(messages)
        queued_at = observed_ns / _SECOND_NS
        return self._spool.append_ahead(stored, count, queued_at, self._record_bytes * count), len(stored)

    def _pieces(self, messages: Sequence[bytes]) -> Iterator[slice]:
        """Split so that no piece's records are more than a chunk's."""
        largest = max([self._record_bytes, *map(len, messages)])
        if 0 < len(messages) <= self._chunk_records and len(messages) * largest <= CHUNK_BYTES:
            yield slice(None)  # as is usual
            return
        begin = size = 0
        for end, message in enumerate(messages, 1):
            size += max(len(message), self._record_bytes)
            if end - begin >= self._chunk_records or size > CHUNK_BYTES or end == len(messages):
                yield slice(begin, end)
                begin, size = end, 0

    def complete(self) -> list[Alert]:
        """Make records of what is on disk; return the alerts that are in no queue yet, in order."""
        kept, self._kept = self._kept, []
        others: list[Alert] = []
        standing: Standing | None = None
        made: _Made | None = None
        for each in kept:
            alerts, observed_ns, first_record = each.read(), each.observed_ns, each.first_record
            if first_record is None:
                others += alerts
                continue
            if standing is None:
                standing = self._spool.standing(first_record)
            if not standing.wants(first_record):
                continue
            if made is not None and (
                made.end_record != first_record
                or first_record in standing.file_begins
                or made.records.count + len(alerts) > self._chunk_records
                or len(made.records) > CHUNK_BYTES
            ):
                self._give(made)
                made = None
            made = made or _Made(first_record)
            made.add(each)
            for alert in alerts:
                made.records.add(self._encode(alert, observed_ns), observed_ns, alert.received)
        if made is not None:
            self._give(made)
        return others

    def _give(self, made: _Made) -> None:
        records = made.records
        if records.count:  # of messages that are no alerts there is none
            self._record_bytes = len(records) // records.count
        self._spool.complete(made.to_chunk())
