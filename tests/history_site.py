"""A history on disk with alerts in it, for tests of what reads it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from prometheus_client import CollectorRegistry

from exporter.alert import Alert, Priority
from exporter.config.model import HistorySettings
from exporter.history.database import HistoryError
from exporter.history.history import History
from exporter.history.query import Query
from exporter.history.sink import HistorySink
from exporter.incidents.state import head_of
from exporter.selfmetrics import HistoryMetrics
from exporter.sources.decode import from_received
from exporter.verdict.judgement import UNDECIDED, Judgement
from tests.waiting import wait_until


def alert_of(number: int, **members: object) -> Alert:
    fields = {
        "proc.cmdline": f"cat /etc/shadow.{number}",
        "user.name": "alice" if number % 2 else "bob",
        "k8s.ns.name": "web" if number % 3 else "db",
    }
    known = {
        "time_ns": 1_700_000_000_000_000_000 + number * 60_000_000_000,
        "rule": "Read sensitive file" if number % 2 else "Terminal shell",
        "priority": Priority.WARNING if number % 5 else Priority.CRITICAL,
        "source": "syscall",
        "hostname": f"node-{number % 4}",
        "raw_output": f"12:00:00.000000000: Warning Something happened (number {number})",
        "fields": fields,
        "tags": ("T1003",),
    }
    return Alert(**{**known, **members})  # type: ignore[arg-type]


def verdict_of(alert: Alert) -> Judgement:
    """Every seventh is an attack."""
    number = int(alert.raw_output.rpartition(" ")[2].rstrip(")") or 0) if "(number" in alert.raw_output else 1
    return UNDECIDED._replace(verdict="attack" if number % 7 == 0 else "benign")


REGISTRIES: dict[int, CollectorRegistry] = {}


def make_sink(directory: Path, **settings: object) -> HistorySink:
    registry = CollectorRegistry()
    sink = HistorySink(
        HistorySettings(directory=directory, **settings),  # type: ignore[arg-type]
        judge=verdict_of,
        read_message=from_received,
        metrics=HistoryMetrics(registry),
    )
    REGISTRIES[id(sink)] = registry
    return sink


def sample(sink: HistorySink, name: str, **labels: str) -> float | None:
    return REGISTRIES[id(sink)].get_sample_value(f"falco_exporter_history_{name}", labels)


WAITING_AT_MOST = 2_000
"""Written before the next ones: a sink has room for some thousands that wait."""


def filled(sink: HistorySink, alerts: list[Alert]) -> History:
    before = len(sink.history)
    sequence = sink.history.sequence
    for start_at in range(0, len(alerts), 100):
        if start_at % WAITING_AT_MOST == 0:
            wait_until(lambda: sink.history.sequence == sequence + start_at, "alerts can be found", seconds=60)  # noqa: B023 - called at once
        sink.write(alerts[start_at : start_at + 100])
    wait_until(lambda: sink.history.sequence == sequence + len(alerts), "every alert can be found", seconds=60)
    assert len(sink.history) == before + len(alerts)
    return sink.history


def dropped(sink: HistorySink, reason: str) -> float | None:
    return sample(sink, "dropped_total", reason=reason)


def ask_everything(history: History) -> None:
    """Ask for everything that a page, a digest and a start ask for; HistoryError is an answer."""
    for ask in (
        lambda: history.read(history.page(Query(text="shadow"), limit=5)),
        lambda: (history.boot, history.sequence, history.oldest()),
        lambda: len(history),
        lambda: history.find(alert_of(3).uid),
        lambda: list(history.latest(0, 0, 5, also_benign_of=("syscall",))[0]),
        lambda: history.not_indexed(5),
        lambda: list(history.alerts()),
        lambda: [head_of([state]) for state in history.incident_states()],
        lambda: history.tally(("verdict", "rule"), bucket_ns=3_600_000_000_000),
        lambda: (history.losses(0, 2**62), history.counts(), history.choices()),
    ):
        with contextlib.suppress(HistoryError):
            ask()
