"""Histories that a test writes and reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.history.sink import HistorySink
from tests.history_site import REGISTRIES, make_sink

Start = Callable[..., HistorySink]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts sinks that write to ``history`` below the test's directory, and ends them."""
    sinks: list[HistorySink] = []

    def begin(**settings: object) -> HistorySink:
        sink = make_sink(tmp_path / "history", **settings)
        sink.start()
        sinks.append(sink)
        return sink

    yield begin
    for sink in sinks:
        sink.close(5)
        del REGISTRIES[id(sink)]
