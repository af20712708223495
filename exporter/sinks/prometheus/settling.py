"""Alerts that wait behind their answers are counted before anything is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector


class Settling(Collector):
    """Shows nothing. Registered before all others, since a registry asks its collectors in order."""

    def __init__(self, settle: Callable[[], None]) -> None:
        """``settle`` lets every other collector know what has come."""
        self._settle = settle

    def collect(self) -> Iterable[Metric]:
        """Settle; there are no metrics of this collector's own."""
        self._settle()
        return ()
