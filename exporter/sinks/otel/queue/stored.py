"""Records that waited on disk, ready to be sent.

Owns encoding anew what the queue kept as messages, and the counting of what
cannot be. Refuses the form on disk itself (see ``records.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from exporter.alert import Alert
from exporter.errors import ExporterError
from exporter.sinks.otel.encode.record import RecordEncoder
from exporter.sinks.otel.queue.records import Encoded, Records

_log = logging.getLogger(__name__)


class StoredRecords:
    """Reads what the queue gives. For one thread.

    ``read_message`` gives the alert of a message (``Alert.received``), or raises
    ExporterError; ``on_drop`` is called with a reason and a number of records.
    """

    def __init__(
        self,
        encoder: RecordEncoder,
        read_message: Callable[[bytes], Alert],
        *,
        on_drop: Callable[[str, int], None],
    ) -> None:
        self._encoder = encoder
        self._read_message = read_message
        self._on_drop = on_drop

    def read(self, stored: bytes, records: int) -> Records:
        """Return a chunk's records, ``records`` of them; fewer where some cannot be read, which is counted."""
        try:
            found = Records.read(stored, self._encode)
        except ValueError as exc:
            _log.error("%d queued records are lost: this version cannot read their form: %s", records, exc)
            found = Records()
        if found.count < records:
            self._on_drop("damaged", records - found.count)
        return found

    def _encode(self, message: bytes, observed_ns: int) -> Encoded | None:
        try:
            alert = self._read_message(message)
            return self._encoder.encode(alert, observed_ns=observed_ns)
        except ExporterError as exc:
            _log.error("a queued alert is lost: its message cannot be read any more: %s", exc)
        except Exception:  # noqa: BLE001 (one message must not keep all the others from being sent)
            _log.exception("a queued alert is lost: it cannot be encoded again (a programming error)")
        return None
