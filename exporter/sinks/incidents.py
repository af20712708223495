"""The incidents' sink: alerts in, incidents in the register, metrics and changes out.

Owns ``falco_incident…``. Refuses to join (``exporter/incidents``) and to know
where changes are told. It stands behind the metrics about alerts, so that
these never wait for it, and before whatever names an alert's incident.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.catalog.catalog import Catalog
from exporter.config.model import Incidents as Settings
from exporter.escaping import label_value
from exporter.history.database import HistoryError, NoHistoryError
from exporter.history.sink import HistorySink
from exporter.incidents.clouds import SOURCES
from exporter.incidents.entities import entities_of
from exporter.incidents.ledger import Change
from exporter.incidents.register import Incidents
from exporter.incidents.tactics import tactics_by_rule
from exporter.verdict.judgement import Judgement

logger = logging.getLogger(__name__)

SERIES_LIMIT = 100
"""Open likely attacks that have a series of their own, the latest."""
RESTORED_LIMIT = 10_000
"""Alerts of the history that are joined again at the start, without likely benign ones; each takes some 0.2 ms."""


def make_incidents(settings: Settings, catalog: Catalog, allowance: Allowance) -> Incidents | None:
    """Return the register that the settings ask for; None where alerts are not to be joined.

    What judging and looking at alerts costs that are all unlike each other is taken from the allowance.
    """
    if settings.window_seconds <= 0:
        return None
    return Incidents(
        settings,
        judge=lambda alert: catalog.judge.judge_within(alert, allowance),
        tactics_of=tactics_by_rule(catalog),
        allowance=allowance,
    )


class Past(NamedTuple):
    """What incidents were before the start."""

    sink: HistorySink
    """Where alerts and what was told of incidents are kept."""
    judge: Callable[[Alert], Judgement]
    """Judges every alert."""


class IncidentSink(Collector):
    """Joins alerts as they come; a collector in the registry that it is given."""

    name = "incidents"

    def __init__(
        self,
        incidents: Incidents,
        *,
        registry: CollectorRegistry,
        tell: Callable[[Sequence[Change], str], None] | None = None,
        past: Past | None = None,
        external_url: str = "",
    ) -> None:
        """``tell`` is called with changes and the beginning of an incident's address, empty where there is none.

        Incidents go on from the ``past``, and leave there what a restart has to know; without one they begin afresh.
        """
        self.incidents = incidents
        self._tell = tell
        self._past = past
        self._address = f"{external_url.rstrip('/')}/incidents/" if external_url else ""
        registry.register(self)

    def start(self) -> None:
        """Go on from the past."""
        if self._past is not None:
            self._restore(self._past)

    def room(self) -> int:
        """Old incidents make room for new ones."""
        return 1_000_000

    def write(self, alerts: Sequence[Alert]) -> None:
        """Join the batch, and tell what became of incidents."""
        self._told(self.incidents.take(alerts))

    def _restore(self, past: Past) -> None:
        """Join again what the history has of the last two windows, and tell what nobody was told before the restart.

        Incidents that were open then are joined from their beginning. Of more alerts than ``RESTORED_LIMIT`` the latest
        are. Where there is no history that can be read, incidents begin afresh.
        """
        history = past.sink.history
        begun = time.monotonic()
        since_ns = time.time_ns() - 2 * self.incidents.window_ns
        try:
            states = history.incident_states()
            since_ns = min([since_ns, *[state.first_ns for state in states if state.is_open]])
            found, _ = history.latest(since_ns, 0, RESTORED_LIMIT, also_benign_of=SOURCES)
            alerts = [*found, *history.not_indexed(RESTORED_LIMIT)]
        except NoHistoryError:
            return
        except HistoryError as exc:
            logger.warning("incidents from before the restart cannot be restored: %s", exc)
            return
        self._told(self.incidents.restore(alerts, states, judge=past.judge))
        logger.info(
            "incidents: %d rebuilt from %d alerts of the history in %.1f s",
            len(self.incidents.all()), len(alerts), time.monotonic() - begun,
        )  # fmt: skip

    def close(self, deadline_seconds: float) -> None:
        """Nothing to deliver."""

    def _told(self, changes: Sequence[Change]) -> None:
        if changes and self._tell is not None:
            self._tell(changes, self._address)
        # Asked for even where nobody keeps them: until then the register holds every incident of which it would tell.
        states = self.incidents.states()
        if states and self._past is not None:
            self._past.sink.note_incidents(states)

    def collect(self) -> Iterable[Metric]:
        """Make every metric; what is over ends first."""
        self._told(self.incidents.sweep())
        open_now = GaugeMetricFamily(
            "falco_incidents_open", "Incidents that can still grow, by verdict.", labels=["verdict"]
        )
        for verdict, count in self.incidents.counts().items():
            open_now.add_metric([verdict], count)
        yield open_now
        opened = CounterMetricFamily(
            "falco_incidents_opened", "Incidents that opened with a verdict or rose to it.", labels=["verdict"]
        )
        for verdict, count in self.incidents.opened.items():
            opened.add_metric([verdict], count)
        yield opened
        yield from self._attacks()
        yield CounterMetricFamily(
            "falco_attacks_outside_incidents",
            "Likely attacks that belong to no incident, because there was no time to join them.",
            value=self.incidents.attacks_outside,
        )
        yield CounterMetricFamily(
            "falco_exporter_incidents_skipped",
            "Alerts that were not joined in a flood of alerts that are all unlike each other.",
            value=self.incidents.skipped,
        )
        yield CounterMetricFamily(
            "falco_exporter_incidents_evicted",
            "Incidents and facts of incidents given up before their time because there were too many.",
            value=self.incidents.evicted,
        )

    def _attacks(self) -> Iterable[Metric]:
        attacks = self.incidents.open_attacks()
        family = GaugeMetricFamily(
            "falco_incident_start_timestamp_seconds",
            "When an open incident that is a likely attack began, seconds since 1970; a series per incident.",
            labels=["incident", "subject", "place"],
        )
        for incident in attacks[:SERIES_LIMIT]:
            entity = next(iter(entities_of(incident)), None)
            texts = (incident.id, *((entity.label, entity.value) if entity else ("", "")))
            family.add_metric([label_value(text) for text in texts], incident.first_ns / 1e9)
        yield family
        yield GaugeMetricFamily(
            "falco_incidents_without_series",
            "Open likely attacks that have no falco_incident_start_timestamp_seconds because there are too many.",
            value=max(0, len(attacks) - SERIES_LIMIT),
        )
