"""How much is measured: the whole, or just enough to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Alerts, runs and seconds of a measurement."""

    alerts: int
    runs: int
    stage_alerts: int
    idle_seconds: float
    live_seconds: float
    series: tuple[int, ...]
    posts: int
    hour_alerts: int
    history_alerts: int
    fleet_hosts: int
    fleet_seconds: float
    rates: tuple[int, ...]
    """Alerts a second."""
    rate_seconds: float
    queued: tuple[int, ...]
    """Records that wait on disk at a start."""
    rules: tuple[int, ...]
    entries: tuple[int, ...]
    """Entries of an operator's own catalog."""
    stored_alerts: int


FULL = Sizes(
    alerts=60_000,
    runs=3,
    stage_alerts=20_000,
    idle_seconds=10.0,
    live_seconds=6.0,
    series=(100, 1_000, 10_000, 100_000),
    posts=20_000,
    hour_alerts=3_600_000,
    history_alerts=1_000_000,
    fleet_hosts=1_000,
    fleet_seconds=60.0,
    rates=(10, 100, 1_000, 10_000),
    rate_seconds=10.0,
    queued=(0, 1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    rules=(243, 500, 1_000, 2_000),
    entries=(1, 250, 500, 1_000),
    stored_alerts=10_000,
)
SMOKE = Sizes(
    alerts=2_000,
    runs=1,
    stage_alerts=500,
    idle_seconds=0.5,
    live_seconds=0.5,
    series=(100,),
    posts=500,
    hour_alerts=4_000,
    history_alerts=3_000,
    fleet_hosts=50,
    fleet_seconds=1.0,
    rates=(10, 1_000),
    rate_seconds=0.5,
    queued=(0, 20_000),
    rules=(243,),
    entries=(1, 10),
    stored_alerts=500,
)
