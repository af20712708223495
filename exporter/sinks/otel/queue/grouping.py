"""Grouping: a flood of the same alert becomes two log records, the first and a count.

Owns which alerts are the same, the window and the bound on open groups.
Refuses encoding and sending: it says what goes out. Metrics never pass
through here, so they count every alert.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.alert import Alert
from exporter.config.model import Grouping

GROUP_LIMIT = 10_000
SIZE_LIMIT_BYTES = 32 * 1024 * 1024
"""Maximum memory of open groups: what tells them apart, and the alerts that are held back."""
_WIDE = 4
"""Bytes of a character, at most."""

_Key = tuple[str | None, ...]


@dataclass(slots=True)
class Group:
    """Alerts of one window after the first one, which went out by itself."""

    closes_at: float
    """When the window ends, seconds of the grouper's clock."""
    last: Alert | None = None
    """The latest alert that was held back; None while there was none."""
    count: int = 0
    """How many alerts were held back: the joined record stands for so many."""
    first_time_ns: int = 0
    """The earliest event time of those held back."""
    last_time_ns: int = 0
    """The latest event time of those held back."""
    size_bytes: int = 0
    """About how much memory the group takes."""

    def add(self, alert: Alert) -> None:
        """Hold one alert back."""
        self.first_time_ns = min(self.first_time_ns, alert.time_ns) if self.count else alert.time_ns
        self.last_time_ns = max(self.last_time_ns, alert.time_ns)
        self.size_bytes += alert.size_bytes - (self.last.size_bytes if self.last else 0)
        self.last = alert
        self.count += 1


Joined = tuple[Alert, Group | None]
"""What goes out: an alert by itself, or the last alert of a group with its group."""


class Grouper:
    """Decide alert by alert what goes out now and what is held back. Safe from any thread."""

    def __init__(
        self,
        settings: Grouping,
        *,
        clock: Callable[[], float] = time.monotonic,
        group_limit: int = GROUP_LIMIT,
        size_limit_bytes: int = SIZE_LIMIT_BYTES,
    ) -> None:
        self._fields = settings.fields
        self.window_seconds = settings.window_seconds
        self._clock = clock
        self._group_limit = group_limit
        self._size_limit_bytes = size_limit_bytes
        self._groups: OrderedDict[_Key, Group] = OrderedDict()
        self._size_bytes = 0
        """Of all of them."""
        self._lock = threading.Lock()

    def take(self, alerts: Sequence[Alert]) -> list[Joined]:
        """Return what goes out now: groups whose window has ended, and alerts that are the first of theirs."""
        with self._lock:
            now = self._clock()
            out = self._ended(now)
            for alert in alerts:
                key = (alert.rule, alert.hostname, *map(alert.get, self._fields))
                group = self._groups.get(key)
                if group is not None:
                    before = group.size_bytes
                    group.add(alert)
                    self._size_bytes += group.size_bytes - before
                else:
                    if len(self._groups) >= self._group_limit:
                        out += self._close_oldest()
                    size = _WIDE * sum([len(part) for part in key if part is not None])
                    self._groups[key] = Group(now + self.window_seconds, size_bytes=size)
                    self._size_bytes += size
                    out.append((alert, None))
                while self._size_bytes > self._size_limit_bytes:
                    out += self._close_oldest()
            return out

    def ended(self) -> list[Joined]:
        """Return the groups whose window has ended."""
        with self._lock:
            return self._ended(self._clock())

    def flush(self) -> list[Joined]:
        """Return every group, ended or not."""
        with self._lock:
            out = [joined for group in self._groups.values() for joined in _closed(group)]
            self._groups.clear()
            self._size_bytes = 0
            return out

    def seconds_to_next(self) -> float | None:
        """How long until a window ends; None when no group is open."""
        with self._lock:
            for group in self._groups.values():
                return max(group.closes_at - self._clock(), 0.0)
        return None

    def _ended(self, now: float) -> list[Joined]:
        """Close what has ended: windows are equally long, so the oldest ends first."""
        out: list[Joined] = []
        while self._groups and next(iter(self._groups.values())).closes_at <= now:
            out += self._close_oldest()
        return out

    def _close_oldest(self) -> list[Joined]:
        _, group = self._groups.popitem(last=False)
        self._size_bytes -= group.size_bytes
        return _closed(group)


def _closed(group: Group) -> list[Joined]:
    return [] if group.last is None else [(group.last, group)]
