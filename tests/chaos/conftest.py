"""What the chaos tests share. Each prints its figures; ``make chaos`` runs them by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.processes import Collector, Exporter
from tests.e2e.programs import find_collector

_UID = re.compile(rb'"log\.record\.uid","value":\{"stringValue":"([0-9a-f]{32})"')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here is an end-to-end test and one of chaos."""
    for item in items:
        if "tests/chaos" in str(item.path):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.chaos)
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a figure whatever pytest captures."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {request.node.name}: {text}", end="", flush=True)

    return show


@pytest.fixture
def collector_binary() -> Path:
    """The real collector."""
    return find_collector()


def distinct_uids(collector: Collector) -> int:
    """How many different alerts the collector has on file."""
    found: set[bytes] = set()
    with collector.file.open("rb") as file:
        for line in file:
            found.update(_UID.findall(line))
    return len(found)


def counted_drops(exporter: Exporter) -> int:
    """Every log record that the exporter says is lost or refused."""
    return int(
        exporter.total("falco_exporter_log_records_dropped_total")
        + exporter.total("falco_exporter_log_records_failed_total")
    )
