"""The landing page: where everything is, and how it is.

Owns the page at ``/``; the state on it is injected.
"""

from __future__ import annotations

from aiohttp import web

from exporter.web.content import SITE
from exporter.web.missing import missing_in
from exporter.web.reports import VERDICT_LABELS, aside
from exporter.web.templates import render_page


def add_landing(app: web.Application) -> None:
    """Add the route."""
    app.router.add_get("/", landing)


async def landing(request: web.Request) -> web.Response:
    """Show links, state, and where report pages are or how to turn them on."""
    site = request.app[SITE]
    no_reports = site.shows_reports(request) if site.has_reports else ""
    counts = await aside(site.content.reports.counts) if site.has_reports and not no_reports else {}
    missing = await aside(lambda: missing_in(site.content)) if counts else []
    page = render_page(
        "landing.html",
        root="./",
        has_metrics=site.has_metrics,
        reports_here=site.has_reports,
        on_disk=site.content.on_disk,
        no_reports=no_reports,
        counts=[(verdict, VERDICT_LABELS[verdict], count) for verdict, count in counts.items() if any(counts.values())],
        reports_address=site.settings.reports_address,
        external_url=site.settings.external_url,
        grafana_url=site.settings.grafana_url,
        not_ready=site.content.not_ready(),
        state=site.content.state(),
        missing=missing,
    )
    return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})
