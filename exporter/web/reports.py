"""The report pages: the list, and one page per report with its other formats.

Owns the addresses under ``/reports`` and ``/api/reports``. A report is made
when it is asked for, off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from markupsafe import Markup

from exporter.alert import Alert, Priority, time_text
from exporter.history.query import Query
from exporter.prose import to_plain
from exporter.render.document import Length
from exporter.render.formats import FORMATS, Format
from exporter.render.html import to_html
from exporter.report import Report
from exporter.verdict.judgement import VERDICTS
from exporter.web.content import SITE, Site
from exporter.web.errors import root_of
from exporter.web.listing import STRETCH_ALERTS, Page
from exporter.web.query import API_LIMIT, PARAMETERS, address_of, number_from, place_from, query_from
from exporter.web.templates import render_page

REPORTS_DASHBOARD = "falco-alert-reports"
"""The uid of the dashboard in ``dashboards/falco-alert-reports.json``; Grafana finds it without its name."""
HALF_HOUR_MS = 1_800_000
VERDICT_LABELS = {
    "attack": "Likely attack", "undecided": "Undecided", "benign": "Likely benign", "test": "Looks like a test",
}  # fmt: skip
"""Each verdict as a filter names it."""

T = TypeVar("T")

_UID = "{uid:[0-9a-f]{32}}"
_NO_STORE = {"Cache-Control": "no-store"}


def add_reports(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/reports", guarded(report_list))
    app.router.add_get("/api/reports", guarded(report_api))
    app.router.add_get(f"/reports/{_UID}", guarded(report_page))
    for form in FORMATS.values():
        app.router.add_get(f"/reports/{_UID}.{form.suffix}", guarded(partial(report_as, form)))


def guarded(handler: Handler) -> Handler:
    """Serve the route only to requests that may see report pages; else say how to turn them on."""

    async def guard(request: web.Request) -> web.StreamResponse:
        site = request.app[SITE]
        reason = site.shows_reports(request)
        if not reason:
            return await handler(request)
        page = render_page("refused.html", root=root_of(request.path), reason=reason)
        return web.Response(status=403, text=page, content_type="text/html", headers=_NO_STORE)

    return guard


async def aside(work: Callable[[], T]) -> T:
    """Do work that takes long off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def report_list(request: web.Request) -> web.Response:
    """Show the recent reports, newest first, repeats in groups."""
    page = await aside(lambda: _list_page(request.app[SITE], request))
    return web.Response(text=page, content_type="text/html", headers=_NO_STORE)


def _list_page(site: Site, request: web.Request) -> str:
    query, store = request.query, site.content.reports
    wanted = query_from(query)
    cursor = f"{store.boot}-{store.sequence}"
    page = site.listing.page(wanted, place_from(query))
    return render_page(
        "reports.html",
        root="./",
        page=page,
        kept=len(store),
        on_disk=site.content.on_disk,
        asked={name: query.get(name, "").strip() for name in PARAMETERS},
        wanted=wanted,
        is_all=wanted == Query(),
        verdicts=[(verdict, VERDICT_LABELS[verdict]) for verdict in VERDICTS],
        priorities=[priority.label for priority in Priority if priority is not Priority.UNKNOWN],
        choices=store.choices(),
        cursor=cursor,
        span=_span(page),
        newer=None if page.newer is None else address_of(query, page.newer),
        older=None if page.older is None else address_of(query, page.older),
    )


def _span(page: Page) -> tuple[str, str] | None:
    """Return the times between which a stretch's alerts are; None where it has all that match."""
    if not page.alerts or (page.is_newest and len(page.alerts) < STRETCH_ALERTS):
        return None
    times = [row.time_ns for row in page.alerts]
    return time_text(min(times)), time_text(max(times))


async def report_api(request: web.Request) -> web.Response:
    """Return the recent reports as JSON; the filter as on the page, ``limit`` besides."""
    wanted = query_from(request.query)
    limit = number_from(request.query, "limit", default=100, most=API_LIMIT)
    listing = request.app[SITE].listing
    rows = await aside(lambda: listing.search(wanted, limit=limit))
    return web.json_response(
        {"reports": [{**row._asdict(), "url": f"/reports/{row.uid}"} for row in rows]}, headers=_NO_STORE
    )


async def _rendered(request: web.Request, render: Callable[[Report], str]) -> tuple[Report, str]:
    """Return the report asked for and its text; HTTP 404 when it is not kept."""
    content, uid = request.app[SITE].content, request.match_info["uid"]

    def work() -> tuple[Report, str] | None:
        alert = content.reports.find(uid)
        if alert is None:
            return None
        report = content.report_for(alert)
        return report, render(report)

    found = await aside(work)
    if found is None:
        grafana = request.app[SITE].settings.grafana_url.rstrip("/")
        page = render_page(
            "missing.html",
            root="../",
            uid=uid,
            kept=len(content.reports),
            on_disk=content.on_disk,
            records=f"{grafana}/d/{REPORTS_DASHBOARD}?var-alert={uid}&from=now-30d&to=now" if grafana else "",
        )
        raise web.HTTPNotFound(text=page, content_type="text/html", headers=_NO_STORE)
    return found


async def report_page(request: web.Request) -> web.Response:
    """Show one report."""
    report, fragment = await _rendered(request, to_html)
    settings = request.app[SITE].settings
    values: dict[str, Any] = {
        "root": "../",
        "uid": request.match_info["uid"],
        "title": to_plain(report.advice.title),
        "report": Markup(fragment),  # noqa: S704 - the renderer escapes
        "formats": list(FORMATS.values()),
        "external_url": settings.external_url.rstrip("/"),
        "grafana_url": dashboard_url(settings.grafana_url, report.alert),
    }
    return web.Response(text=render_page("report.html", **values), content_type="text/html", headers=_NO_STORE)


def dashboard_url(grafana_url: str, alert: Alert) -> str:
    """Return the address of the alert in the dashboard of reports, an hour around it; empty without Grafana."""
    if not grafana_url:
        return ""
    moment = alert.time_ns // 1_000_000
    return (
        f"{grafana_url.rstrip('/')}/d/{REPORTS_DASHBOARD}?var-alert={alert.uid}"
        f"&from={max(0, moment - HALF_HOUR_MS)}&to={moment + HALF_HOUR_MS}"
    )


async def report_as(form: Format, request: web.Request) -> web.Response:
    """Return one report in a format, whole or with ``length=brief``; HTML as a file to keep."""
    word = request.query.get("length", Length.FULL)
    if word not in set(Length):
        raise web.HTTPBadRequest(text=f"length: expected one of {', '.join(Length)}\n")
    _, text = await _rendered(request, lambda report: form.document(report, Length(word)))
    headers = dict(_NO_STORE)
    if form.name == "html":
        # Its style is inline, which the pages' own policy forbids.
        headers["Content-Disposition"] = f'attachment; filename="report-{request.match_info["uid"]}.html"'
    return web.Response(text=text, content_type=form.media_type, headers=headers)
