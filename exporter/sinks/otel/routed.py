"""Several endpoints, each with its own sink and queue, and the routes between them.

Owns the fan-out and the counting of what a route drops. Refuses to know how a
record is made, kept or sent (see ``sink.py``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from exporter.alert import Alert
from exporter.config.routes import DEFAULT
from exporter.incidents.ledger import Change
from exporter.pipeline import Arrival
from exporter.selfmetrics import SelfMetrics
from exporter.sinks.otel.encode.incident import incident_record
from exporter.sinks.otel.routes import Router
from exporter.sinks.otel.sink import DeliveryStatus, OtelLogsSink


class RoutedSink:
    """Give each alert to the sinks that its route names."""

    name = "otel_logs"

    def __init__(self, sinks: Mapping[str, OtelLogsSink], router: Router, metrics: SelfMetrics) -> None:
        self.sinks = dict(sinks)
        self._router = router
        self._has_one_way = not router.has_routes and DEFAULT in sinks
        self._filtered = metrics.alerts_filtered

    def start(self) -> None:
        """Start every sink."""
        for sink in self.sinks.values():
            sink.start()

    def room(self) -> int:
        """The least room of any sink: an alert may have to go to each."""
        return min(sink.room() for sink in self.sinks.values())

    def write(self, alerts: Sequence[Alert]) -> None:
        """Queue the batch where its routes lead; what they drop is counted."""
        for name, batch in self._routed(alerts).items():
            self.sinks[name].write(batch)

    def keep(self, alerts: Sequence[Alert]) -> bool:
        """Keep the batch where its routes lead (``OtelLogsSink.keep``)."""
        kept = [self.sinks[name].keep(batch) for name, batch in self._routed(alerts).items()]
        return all(kept)

    @property
    def stores(self) -> bool:
        """Whether any queue is to be on disk."""
        return any(sink.stores for sink in self.sinks.values())

    @property
    def takes_messages(self) -> bool:
        """Whether messages go one way whatever they say."""
        return self._has_one_way and self.sinks[DEFAULT].takes_messages

    def keep_messages(self, arrivals: Sequence[Arrival]) -> bool:
        """Keep messages for the one endpoint (``OtelLogsSink.keep_messages``)."""
        return self.sinks[DEFAULT].keep_messages(arrivals)

    def write_kept(self) -> None:
        """Queue what was kept."""
        for sink in self.sinks.values():
            sink.write_kept()

    def _routed(self, alerts: Sequence[Alert]) -> Mapping[str, Sequence[Alert]]:
        if self._has_one_way:
            return {DEFAULT: alerts}
        batches: dict[str, list[Alert]] = {}
        for alert in alerts:
            route = self._router.route_of(alert)
            if route.drop:
                self._filtered.labels(route.name).inc()
            for name in route.to:
                # There is no default endpoint where only named ones are set.
                if name in self.sinks:
                    batches.setdefault(name, []).append(alert)
                else:
                    self._filtered.labels("no default endpoint").inc()
        return batches

    def write_incidents(self, changes: Sequence[Change], address: str) -> None:
        """Queue a record of each change for the default endpoint, or for every one where there is no default."""
        records = [incident_record(change, observed_ns=time.time_ns(), address=address) for change in changes]
        default = self.sinks.get(DEFAULT)
        for sink in [default] if default else self.sinks.values():
            sink.write_encoded(records)

    def close(self, deadline_seconds: float) -> None:
        """Close every sink at once, so that a collector that is away does not use up the time of the others."""
        threads = [
            threading.Thread(target=sink.close, args=(deadline_seconds,), name=f"close {name}")
            for name, sink in self.sinks.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def statuses(self) -> Mapping[str, DeliveryStatus]:
        """Say how delivery is doing, endpoint by endpoint."""
        return {name: sink.status() for name, sink in self.sinks.items()}

    def unready_reason(self) -> str:
        """Say why the exporter is not ready; empty while it is."""
        reasons = {name: reason for name, sink in self.sinks.items() if (reason := sink.unready_reason())}
        return "; ".join(f"{name}: {reason}" if len(self.sinks) > 1 else reason for name, reason in reasons.items())
