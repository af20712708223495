"""The queue of version 0.1, a SQLite file: what waits in it is moved at start.

Owns reading that one form, so that an upgrade loses nothing. A file that
cannot be read stays where it is, and the log says so.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Callable

from exporter.sinks.otel.queue.journal import Journal

_log = logging.getLogger(__name__)

FILE_NAME = "queue.sqlite3"
_ROWS = "SELECT queued_at, records, bytes, crc, payload FROM chunk ORDER BY id"
_MAXIMUM = 2**32 - 1
"""Of records in a chunk."""


def move_old_queue(journal: Journal, on_drop: Callable[[str, int], None]) -> None:
    """Append every chunk of an old file to the journal, then remove the file; what is damaged is counted.

    Raises SpoolError for the journal. ``on_drop`` is called with a reason and a number of records.
    """
    path = journal.path / FILE_NAME
    if not path.is_file() or path.is_symlink():
        return
    moved = damaged = 0
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0.0)) as connection:
            for queued_at, records, payload_bytes, crc, payload in connection.execute(_ROWS):
                counted = isinstance(records, int) and 0 < records <= _MAXIMUM
                sized = isinstance(payload_bytes, int) and payload_bytes >= 0 and isinstance(queued_at, float)
                if not (counted and sized and isinstance(payload, bytes) and zlib.crc32(payload, records) == crc):
                    damaged += records if counted else 1
                    continue
                journal.append(payload, records, queued_at, payload_bytes=payload_bytes)
                moved += records
        for suffix in ("", "-wal", "-shm"):
            path.with_name(FILE_NAME + suffix).unlink(missing_ok=True)
    except (sqlite3.Error, OSError, OverflowError, TypeError, ValueError) as exc:
        _log.error(
            "%d records were moved from the old queue %s, the rest cannot be read (%s): the file stays; remove it by "
            "hand, or its records are sent again at the next start", moved, path, exc,
        )  # fmt: skip
        return
    if damaged:
        on_drop("damaged", damaged)
    _log.info("%d records were moved from the old queue %s, %d were damaged", moved, path, damaged)
