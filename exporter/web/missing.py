"""What recent alerts lack, on the landing page and as JSON at ``/api/missing-fields`` for ``check``."""

from __future__ import annotations

from aiohttp import web

from exporter.history.query import Query
from exporter.missing_fields import Missing, explain
from exporter.web.content import SITE, Content
from exporter.web.reports import aside, guarded

LOOKED_AT_ALERTS = 300


def add_missing(app: web.Application) -> None:
    """Add the route."""
    app.router.add_get("/api/missing-fields", guarded(missing_api))


def missing_in(content: Content) -> list[Missing]:
    """Return what the newest alerts lack. Raises HistoryError."""
    rows = content.reports.page(Query(), limit=LOOKED_AT_ALERTS)
    return explain(content.reports.read(rows).values())


async def missing_api(request: web.Request) -> web.Response:
    """Return each thing that is missing, why, and what to set."""
    content = request.app[SITE].content
    found = await aside(lambda: missing_in(content))
    return web.json_response({"missing": [each._asdict() for each in found]}, headers={"Cache-Control": "no-store"})
