"""What the HTTP side shows, injected by the application.

Owns the shapes; refuses to know where any of it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.catalog.catalog import Catalog
from exporter.config.model import Web
from exporter.digest.digest import Digest
from exporter.history.ended import EndedIncidents
from exporter.history.store import ReportStore
from exporter.incidents.register import Incidents
from exporter.report import Advice, Report
from exporter.reporter import Gist
from exporter.selfmetrics import SelfMetrics
from exporter.web.listing import Listing


@dataclass(frozen=True, slots=True)
class StateRow:
    """One line of state on the landing page."""

    name: str
    """What it is about, e.g. ``Falco unix:///run/falco/falco.sock``."""
    value: str
    """How it is, e.g. ``connected, Falco 0.43.1``."""
    healthy: bool | None = None
    """None where there is nothing to judge."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that is shown."""

    registry: CollectorRegistry
    """All metrics, the exporter's own included."""
    metrics: SelfMetrics
    """Where scrapes and refused requests are counted."""
    reports: ReportStore
    """The alerts that have a page."""
    report_for: Callable[[Alert], Report]
    """Makes a report when its page is opened; any thread may call it."""
    gist_for: Callable[[Alert], Gist]
    """Says in a line what an alert is; any thread may call it."""
    on_disk: bool = False
    """Whether they outlive the process."""
    incidents: Incidents | None = None
    """The incidents that are in memory; None where alerts are not joined."""
    ended_incidents: EndedIncidents | None = None
    """Finds those that are not in memory any more; None without a history on disk, or where alerts are not joined."""
    advice_for: Callable[[Alert], Advice] | None = None
    """Makes an alert's advice, for incidents; None where there are none."""
    settle: Callable[[], None] = lambda: None
    """Lets pages see every alert whose sender was answered; may take a moment."""
    not_ready: Callable[[], Mapping[str, str]] = dict
    """What keeps the exporter from being ready: part and reason; empty when it is."""
    warnings: Callable[[], Mapping[str, str]] = dict
    """What goes wrong although the exporter is ready: part and what to do."""
    state: Callable[[], Sequence[StateRow]] = tuple
    """The landing page's table."""
    digest: Callable[[int, int], Digest] | None = None
    """Makes the digest of a time, nanoseconds since 1970; None without a history on disk. May raise HistoryError."""
    catalog: Catalog | None = None
    """What rules have advice; None where nobody may ask."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Constant labels of every metric."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the routes of one listener share."""

    settings: Web
    content: Content
    shows_reports: Callable[[web.Request], str]
    """Why the report pages are not served to this request; empty when they are."""
    listing: Listing
    """The rows of the alerts that have a page."""
    still_admits: Callable[[web.Request], bool]
    """Whether a request that was let in would be now."""
    has_metrics: bool = True
    """Whether /metrics is on this listener."""
    has_reports: bool = True
    """Whether the report pages are on this listener."""
    closing: Callable[[], bool] = field(default=lambda: False)
    """Whether open streams have to end."""


SITE = web.AppKey("site", Site)
AUTHENTICATED = web.RequestKey("authenticated", bool)
"""Whether the request may see more than a stranger: true without a password where none is asked for."""
