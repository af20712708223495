"""The report pages: the list, one page a report, and both as JSON.

Owns the addresses under ``/reports`` and ``/api/reports``. A report is made
when it is asked for, off the event loop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from markupsafe import Markup

from exporter.alert import Alert, Priority
from exporter.escaping import valid_text
from exporter.render.html import to_html
from exporter.render.json_document import to_json
from exporter.render.markdown import to_markdown
from exporter.report import Report
from exporter.sinks.recent import Entry, Filter, RecentSink
from exporter.web.content import SITE
from exporter.web.templates import render_page

LIST_LIMIT = 200
API_LIMIT = 1_000
OUTPUT_LIMIT_CHARACTERS = 400
REPORTS_DASHBOARD = "falco-alert-reports"
"""The uid of the dashboard in ``dashboards/falco-alert-reports.json``; Grafana finds it without its name."""
HALF_HOUR_MS = 1_800_000

T = TypeVar("T")

_LIMIT = re.compile(r"[1-9][0-9]{0,4}\Z")
_UID = "{uid:[0-9a-f]{32}}"
_NO_STORE = {"Cache-Control": "no-store"}


def add_reports(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/reports", guarded(report_list))
    app.router.add_get("/api/reports", guarded(report_api))
    app.router.add_get(f"/reports/{_UID}", guarded(report_page))
    app.router.add_get(f"/reports/{_UID}.md", guarded(report_markdown))
    app.router.add_get(f"/reports/{_UID}.json", guarded(report_json))


def guarded(handler: Handler) -> Handler:
    """Serve the route only to requests that may see report pages; else say how to turn them on."""

    async def guard(request: web.Request) -> web.StreamResponse:
        site = request.app[SITE]
        reason = site.shows_reports(request)
        if not reason:
            return await handler(request)
        root = "../" * (request.path.count("/") - 1) or "./"
        page = render_page("refused.html", root=root, reason=reason)
        return web.Response(status=403, text=page, content_type="text/html", headers=_NO_STORE)

    return guard


def filter_from(query: Mapping[str, str]) -> Filter:
    """Read a filter from a query; HTTP 400 for a priority that does not exist."""
    word = query.get("priority", "")
    priority = Priority.from_label(word) if word else None
    if priority is Priority.UNKNOWN and word.lower() != "unknown":
        choices = ", ".join(known.label for known in Priority)
        raise web.HTTPBadRequest(text=f"priority: expected one of {choices}\n")
    texts = {name: query.get(name, "").strip() for name in ("rule", "host", "namespace", "text")}
    return Filter(priority=priority, **texts)


def row(entry: Entry) -> dict[str, str]:
    """Return what the list shows of one alert; texts valid, the output cut."""
    alert = entry.alert
    texts = {
        "uid": entry.uid,
        "time": alert.time_text,
        "priority": alert.priority.label,
        "rule": alert.rule,
        "source": alert.source,
        "host": alert.hostname,
        "namespace": alert.namespace,
        "output": _cut(alert.output),
    }
    return {name: valid_text(text) for name, text in texts.items()}


def _cut(text: str) -> str:
    return text if len(text) <= OUTPUT_LIMIT_CHARACTERS else text[: OUTPUT_LIMIT_CHARACTERS - 1] + "…"


async def _aside(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def report_list(request: web.Request) -> web.Response:
    """Show the recent reports, newest first."""
    page = await _aside(lambda: _list_page(request.app[SITE].content.recent, request.query))
    return web.Response(text=page, content_type="text/html", headers=_NO_STORE)


def _list_page(recent: RecentSink, query: Mapping[str, str]) -> str:
    wanted = filter_from(query)
    sequence = recent.sequence
    entries = recent.search(wanted, limit=LIST_LIMIT + 1)
    return render_page(
        "reports.html",
        root="./",
        rows=[row(entry) for entry in entries[:LIST_LIMIT]],
        is_cut=len(entries) > LIST_LIMIT,
        limit=LIST_LIMIT,
        kept=len(recent),
        wanted=wanted,
        is_filtered=wanted != Filter(),
        priorities=[priority.label for priority in Priority if priority is not Priority.UNKNOWN],
        choices=recent.choices(),
        cursor=f"{recent.boot}-{sequence}",
    )


async def report_api(request: web.Request) -> web.Response:
    """Return the recent reports as JSON; the filter as on the page, ``limit`` besides."""
    wanted, limit = filter_from(request.query), request.query.get("limit", "100")
    if not _LIMIT.match(limit) or int(limit) > API_LIMIT:
        raise web.HTTPBadRequest(text=f"limit: expected a number from 1 to {API_LIMIT}\n")
    recent = request.app[SITE].content.recent
    rows = await _aside(lambda: [row(entry) for entry in recent.search(wanted, limit=int(limit))])
    return web.json_response(
        {"reports": [{**found, "url": f"/reports/{found['uid']}"} for found in rows]}, headers=_NO_STORE
    )


async def _rendered(request: web.Request, render: Callable[[Report], str]) -> tuple[Alert, str]:
    """Return the alert asked for and its report, rendered; HTTP 404 when it is not kept."""
    content, uid = request.app[SITE].content, request.match_info["uid"]

    def work() -> tuple[Alert, str] | None:
        alert = content.recent.find(uid)
        return None if alert is None else (alert, render(content.report_for(alert)))

    found = await _aside(work)
    if found is None:
        page = render_page("missing.html", root="../", uid=uid, kept=len(content.recent))
        raise web.HTTPNotFound(text=page, content_type="text/html", headers=_NO_STORE)
    return found


async def report_page(request: web.Request) -> web.Response:
    """Show one report."""
    alert, fragment = await _rendered(request, to_html)
    settings = request.app[SITE].settings
    values: dict[str, Any] = {
        "root": "../",
        "uid": request.match_info["uid"],
        "alert": alert,
        "report": Markup(fragment),  # noqa: S704 - the renderer escapes
        "external_url": settings.external_url.rstrip("/"),
        "grafana_url": dashboard_url(settings.grafana_url, alert),
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


async def report_markdown(request: web.Request) -> web.Response:
    """Return one report as Markdown."""
    _, text = await _rendered(request, to_markdown)
    return web.Response(text=text, content_type="text/markdown", headers=_NO_STORE)


async def report_json(request: web.Request) -> web.Response:
    """Return one report as JSON."""
    _, text = await _rendered(request, to_json)
    return web.Response(text=text, content_type="application/json", headers=_NO_STORE)
