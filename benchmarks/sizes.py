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


FULL = Sizes(
    alerts=60_000,
    runs=3,
    stage_alerts=20_000,
    idle_seconds=10.0,
    live_seconds=6.0,
    series=(100, 1_000, 10_000),
    posts=20_000,
    hour_alerts=3_600_000,
    history_alerts=1_000_000,
    fleet_hosts=1_000,
    fleet_seconds=60.0,
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
)
