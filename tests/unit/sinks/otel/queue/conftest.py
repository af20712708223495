"""Each queue of a test is closed at its end; where it is kept does not matter to many of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.sinks.otel.queue.bench import OPENED


@pytest.fixture(autouse=True)
def every_bench_closed() -> Iterator[None]:
    """Let go of every file: a database that is collected while open is a warning from Python 3.13 on."""
    yield
    while OPENED:
        OPENED.pop().spool.close()


@pytest.fixture(params=["disk", "memory"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "queue" if request.param == "disk" else None
