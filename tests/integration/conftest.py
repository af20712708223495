"""What the tests of commands share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.simulator.server import FalcoSimulator


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A short path for a socket; pytest's own are sometimes too long for one."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "falco.sock"


@pytest.fixture
def falco(tmp_path: Path) -> Iterator[FalcoSimulator]:
    with FalcoSimulator(f"unix://{tmp_path}/falco.sock") as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _no_endpoint_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
