"""A queue written for a measurement is one that the exporter takes up."""

from __future__ import annotations

from pathlib import Path

from benchmarks.waiting import fill
from exporter.sinks.otel.queue.journal import Journal


def test_a_filled_queue_holds_as_many_records(tmp_path: Path) -> None:
    """The part that is no whole chunk, too."""
    assert fill(tmp_path / "queue", 1_003)
    journal = Journal(tmp_path / "queue")
    journal.open()
    assert journal.records == 1_003
    journal.close()
