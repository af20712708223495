"""Incidents that ended before the last restart, or had to make room: joined again from the history when asked for.

Owns how much is read for one. The answer is the register's own, from the same
alerts under the same identifiers; it does not change any more, so it is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice

from exporter.alert import Alert
from exporter.catalog.catalog import Catalog
from exporter.config.model import Incidents as Settings
from exporter.history.history import History
from exporter.history.sink import HistorySink
from exporter.incidents.batch import JOINED_LIMIT, JOINED_SIZE_BYTES
from exporter.incidents.clouds import SOURCES
from exporter.incidents.incident import Incident, TacticsOf
from exporter.incidents.register import Bounds, Incidents
from exporter.incidents.state import State
from exporter.incidents.tactics import tactics_by_rule
from exporter.kept import Kept
from exporter.verdict.judgement import Judgement

ALERTS_LIMIT = 20_000
"""Alerts that are joined again for one incident, without likely benign ones; each takes some 0.2 ms."""
LOOK_EACH = 100
"""After so many alerts it is looked whether the incident is over."""
KEPT_INCIDENTS, KEPT_BYTES = 16, 16 * 1024 * 1024


class EndedIncidents:
    """Finds incidents by their identifiers. Safe from any thread; one is made at a time."""

    def __init__(
        self, history: History, window_seconds: float, *, judge: Callable[[Alert], Judgement], tactics_of: TacticsOf
    ) -> None:
        self._history = history
        self._settings = Settings(window_seconds, JOINED_LIMIT)
        self._judge = judge
        self._tactics_of = tactics_of
        self._kept: Kept[str, Incident] = Kept(KEPT_INCIDENTS, KEPT_BYTES)
        self._lock = threading.Lock()

    def find(self, name: str) -> Incident | None:
        """Return the incident with this identifier, or the one that it became a part of.

        None where nothing was kept of it, or its alerts are gone. Raises HistoryError.
        """
        with self._lock:
            known = self._kept.get(name)
            if known is not None:
                return known
            states = {state.id: state for state in self._history.incident_states()}
            if name not in states:
                return None
            incident = self._join(states[_head(name, states)], states)
            if incident is not None and not incident.is_open:
                size = sum(alert.size_bytes for member in incident.members for alert in member.alerts)
                self._kept.keep(name, incident, size)
            return incident

    def states(self) -> list[State]:
        """Return what is known of incidents, without those that became a part of another, the latest first.

        Raises HistoryError.
        """
        return [state for state in reversed(self._history.incident_states()) if state.leads_to == state.id]

    def _join(self, head: State, states: dict[str, State]) -> Incident | None:
        register = Incidents(
            self._settings,
            judge=self._judge,
            tactics_of=self._tactics_of,
            bounds=Bounds(size_bytes=JOINED_SIZE_BYTES),
        )
        own = [state for state in states.values() if _head(state.id, states) == head.id]
        register.restore(self._until_over(register, head), own, judge=self._judge)
        return register.find(head.id)

    def _until_over(self, register: Incidents, head: State) -> Iterator[Alert]:
        """Yield alerts from a window before the incident until nothing can be added to it any more."""
        window_ns = register.window_ns
        found = self._history.alerts(
            max(0, head.first_ns - window_ns),
            wanted=lambda row: row.verdict != "benign" or row.source in SOURCES,
        )
        for number, kept in enumerate(islice(found, ALERTS_LIMIT)):
            if number % LOOK_EACH == 0 and kept.alert.time_ns > head.first_ns + window_ns:
                incident = register.find(head.id)
                if incident is None or kept.alert.time_ns > incident.last_ns + window_ns:
                    return
            yield kept.alert


def make_ended_incidents(history: HistorySink | None, settings: Settings, catalog: Catalog) -> EndedIncidents | None:
    """Return what finds incidents in this history; None where there is none, or where alerts are not joined."""
    if history is None or settings.window_seconds <= 0:
        return None
    tactics_of = tactics_by_rule(catalog)
    return EndedIncidents(history.history, settings.window_seconds, judge=catalog.judge.judge, tactics_of=tactics_of)


def _head(name: str, states: dict[str, State]) -> str:
    """Return the identifier that this one leads to at last."""
    seen = {name}
    while name in states and states[name].leads_to not in seen:
        name = states[name].leads_to
        seen.add(name)
    return name
