"""Alerts with a number each as JSON lines, a source that reads them, and what it counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from exporter.config.model import JsonLines
from exporter.selfmetrics import SelfMetrics
from exporter.sources.intake import REASONS
from exporter.sources.json_lines import JsonLinesSource
from tests.handover import Kept


def line(number: int) -> str:
    fields = {"n": number}
    alert = {"time": "2026-01-31T12:00:00.000000001Z", "rule": "R", "priority": "Notice", "output_fields": fields}
    return json.dumps(alert) + "\n"


def lines(numbers: range) -> str:
    return "".join(line(number) for number in numbers)


@contextmanager
def running(settings: JsonLines, kept: Kept) -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    source = JsonLinesSource(settings, SelfMetrics(registry))
    stop = threading.Event()
    thread = threading.Thread(target=source.run, args=(kept, stop))
    thread.start()
    try:
        yield registry
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def append(settings: JsonLines, text: str) -> None:
    assert settings.file is not None
    with settings.file.open("a", encoding="utf-8") as file:
        file.write(text)


def errors(registry: CollectorRegistry, settings: JsonLines) -> dict[str, float]:
    found = registry.get_sample_value
    target = str(settings.file)
    counts = {
        reason: found("falco_exporter_decode_errors_total", {"target": target, "reason": reason}) for reason in REASONS
    }
    return {reason: count for reason, count in counts.items() if count}


def gaps(registry: CollectorRegistry, settings: JsonLines) -> float | None:
    return registry.get_sample_value("falco_exporter_file_gaps_total", {"target": str(settings.file)})


def rotate(settings: JsonLines, to: str = ".1") -> Path:
    assert settings.file is not None
    return settings.file.rename(settings.file.with_name(settings.file.name + to))
