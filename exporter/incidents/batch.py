"""Incidents of alerts that are all there: a history, a file, a story."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from exporter.alert import Alert
from exporter.config.model import Incidents as Settings
from exporter.incidents.incident import Incident, TacticsOf
from exporter.incidents.register import Bounds, Incidents
from exporter.verdict.judgement import Judgement

JOINED_LIMIT, JOINED_SIZE_BYTES = 100_000, 256 * 1024 * 1024
"""Incidents of alerts that are all there, and the memory of their alerts."""
_BATCH = 500
_NS = 1_000_000_000


def join_all(
    alerts: Iterable[Alert], window_seconds: float, *, judge: Callable[[Alert], Judgement], tactics_of: TacticsOf
) -> list[Incident]:
    """Return the incidents of alerts that are all there, by time; those that end within the window are open."""
    ordered = sorted(alerts, key=lambda alert: (alert.time_ns, alert.uid))
    return join_in_order(ordered, window_seconds, judge=judge, tactics_of=tactics_of)


def join_in_order(
    alerts: Iterable[Alert], window_seconds: float, *, judge: Callable[[Alert], Judgement], tactics_of: TacticsOf
) -> list[Incident]:
    """Return the incidents of alerts that come in order of their time, as ``join_all``, without keeping every alert."""
    moment_ns = 0
    settings = Settings(window_seconds, JOINED_LIMIT)
    register = Incidents(
        settings,
        judge=judge,
        tactics_of=tactics_of,
        clock=lambda: moment_ns / _NS,
        bounds=Bounds(size_bytes=JOINED_SIZE_BYTES),
    )
    waiting = iter(alerts)
    while batch := list(itertools.islice(waiting, _BATCH)):
        moment_ns = batch[-1].time_ns
        register.take(batch)
    register.sweep()
    return sorted(register.all(), key=lambda incident: (incident.first_ns, incident.id))
