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
from exporter.sinks.otel.queue.records import Encoded, Records
from exporter.sinks.otel.queue.spool import Spool

CHUNK_BYTES = 1024 * 1024
"""Maximum bytes of one chunk's records, about."""
_FIRST_GUESS_BYTES = 8_192


class _Kept(NamedTuple):
    """Alerts that came together, or messages that were not read when they came."""

    alerts: Sequence[Alert]
    arrivals: Sequence[Arrival]
    observed_ns: int
    """When they came, nanoseconds since 1970."""
    chunk: Chunk[Records] | None
    """Their messages in the queue on disk; None where they are in memory only."""

    def read(self) -> Sequence[Alert]:
        """Return the alerts; of messages those that are alerts."""
        found = [arrival.read() for arrival in self.arrivals]
        return [alert for alert in found if alert is not None] if found else self.alerts


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
        is_kept = True
        messages = [alert.received for alert in alerts]
        for piece in self._pieces(messages):
            chunk = self._store(messages[piece], observed_ns) if is_kept else None
            is_kept = chunk is not None
            self._kept.append(_Kept(alerts[piece], (), observed_ns, chunk))
        return is_kept

    def keep_messages(self, arrivals: Sequence[Arrival], observed_ns: int) -> bool:
        """Take messages that are read by the time of ``complete``; False where they are not on disk."""
        # As a sender does that waits for each answer: it waits for this.
        if len(arrivals) == 1:
            chunk = self._store((arrivals[0].message,), observed_ns)
            self._kept.append(_Kept((), arrivals, observed_ns, chunk))
            return chunk is not None
        is_kept = True
        messages = [arrival.message for arrival in arrivals]
        for piece in self._pieces(messages):
            chunk = self._store(messages[piece], observed_ns) if is_kept else None
            is_kept = chunk is not None
            self._kept.append(_Kept((), arrivals[piece], observed_ns, chunk))
        return is_kept

    def _store(self, messages: Sequence[bytes], observed_ns: int) -> Chunk[Records] | None:
        """Put messages on disk as one chunk; None where that cannot be."""
        # Without its message, because it was changed, an alert waits on disk as its record.
        if not all(messages):
            return None
        stored = Records.stored(messages, observed_ns)
        return self._spool.keep(stored, len(messages), self._record_bytes * len(messages))

    def _pieces(self, messages: Sequence[bytes]) -> Iterator[slice]:
        """Split so that no piece's records are more than a chunk's."""
        begin = size = 0
        for end, message in enumerate(messages, 1):
            size += max(len(message), self._record_bytes)
            if end - begin >= self._chunk_records or size > CHUNK_BYTES or end == len(messages):
                yield slice(begin, end)
                begin, size = end, 0

    def complete(self) -> list[Alert]:
        """Make records of what is on disk; return the alerts that are in no queue yet, in order."""
        kept, self._kept = self._kept, []
        waiting = {id(chunk) for chunk in self._spool.waiting([each.chunk for each in kept if each.chunk is not None])}
        others: list[Alert] = []
        records, chunks = Records(), list[Chunk[Records]]()
        for each in kept:
            alerts, observed_ns, chunk = each.read(), each.observed_ns, each.chunk
            if chunk is None:
                others += alerts
            elif id(chunk) in waiting:
                if records.count + len(alerts) > self._chunk_records or len(records) > CHUNK_BYTES:
                    self._give(chunks, records)
                    records, chunks = Records(), []
                chunks.append(chunk)
                for alert in alerts:
                    records.add(self._encode(alert, observed_ns), observed_ns, alert.received)
        self._give(chunks, records)
        return others

    def _give(self, chunks: Sequence[Chunk[Records]], records: Records) -> None:
        if chunks:
            if records.count:  # of messages that are no alerts there is none
                self._record_bytes = len(records) // records.count
            self._spool.complete(chunks, records)
