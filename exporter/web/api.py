"""Read-only access for tools: ``/api/v1`` (``docs/openapi.json``).

Owns the addresses below it that give reports and the catalog. Whoever may see
the report pages may see these. Commands are those of the reports, byte for
byte; nothing here changes anything.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from exporter.catalog.catalog import Catalog
from exporter.catalog.model import Entry
from exporter.render.document import Length
from exporter.render.formats import FORMATS
from exporter.web.answers import collection, json_answer, text_answer
from exporter.web.content import SITE
from exporter.web.openapi import openapi
from exporter.web.query import API_LIMIT, number_from, query_from
from exporter.web.reports import aside, guarded

DEFAULT_LIMIT = 100
_UID = "{uid:[0-9a-f]{32}}"


def add_api(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/api/v1/reports", guarded(reports))
    app.router.add_get(f"/api/v1/reports/{_UID}", guarded(report))
    app.router.add_get("/api/v1/catalog", guarded(catalog))
    app.router.add_get("/api/v1/openapi.json", guarded(description))


async def reports(request: web.Request) -> web.Response:
    """Return reports in a line each, newest first; ``before`` goes on behind a number."""
    wanted = query_from(request.query)
    limit = number_from(request.query, "limit", default=DEFAULT_LIMIT, most=API_LIMIT)
    before = number_from(request.query, "before", default=0, most=2**62)
    site = request.app[SITE]

    def work() -> tuple[list[dict[str, Any]], dict[str, str] | None]:
        rows = site.content.reports.page(wanted, limit=limit + 1, before=before)
        shown = site.listing.shown(rows[:limit])
        members = [{**row._asdict(), "url": f"/api/v1/reports/{row.uid}"} for row in shown]
        return members, {"before": str(rows[limit - 1].id)} if len(rows) > limit else None

    return collection(request, "reports", *await aside(work))


async def report(request: web.Request) -> web.Response:
    """Return one report whole (``docs/report-json.md``)."""
    content, uid = request.app[SITE].content, request.match_info["uid"]

    def work() -> str | None:
        alert = content.reports.find(uid)
        return None if alert is None else FORMATS["json"].document(content.report_for(alert), Length.FULL)

    text = await aside(work)
    if text is None:
        raise web.HTTPNotFound(text=f"no alert with the identifier {uid} is kept\n")
    return text_answer(request, text)


async def catalog(request: web.Request) -> web.Response:
    """Return the rules that have advice of their own; ``rule`` and ``source`` choose, ``after`` goes on."""
    known = request.app[SITE].content.catalog
    if known is None:
        raise web.HTTPNotFound(text="no catalog is served here\n")
    limit = number_from(request.query, "limit", default=API_LIMIT, most=API_LIMIT)
    after = number_from(request.query, "after", default=0, most=API_LIMIT * API_LIMIT)
    rule, source = (request.query.get(name, "").strip() for name in ("rule", "source"))

    def work() -> list[dict[str, Any]]:
        return [
            _entry(known, entry)
            for entry in known.entries
            if (not source or entry.source == source) and (not rule or entry.rule.casefold() == rule.casefold())
        ]

    members = await aside(work)
    following = {"after": str(after + limit)} if len(members) > after + limit else None
    return collection(request, "rules", members[after : after + limit], following)


def _entry(known: Catalog, entry: Entry) -> dict[str, Any]:
    facts = known.facts(entry.rule)
    return {
        "rule": entry.rule,
        "source": entry.source,
        "ruleset": entry.ruleset,
        "priority": facts.priority if facts else "",
        "maturity": facts.maturity if facts else "",
        "attack": [{"technique_id": technique, "tactic_id": tactic} for technique, tactic in entry.techniques],
        "steps": [{"title": step.title.text, "phase": step.phase, "where": step.where} for step in entry.commands],
        "references": [{"title": each.title, "url": each.url} for each in entry.references],
    }


async def description(request: web.Request) -> web.Response:
    """Return the description of these addresses in OpenAPI's form."""
    return json_answer(request, openapi())
