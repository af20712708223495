"""The incident pages: the list, and a page per incident with its other formats.

Owns the addresses under ``/incidents`` and ``/api/v1/incidents``. An incident's
story is told when it is asked for, off the event loop; both pages stay up to
date by themselves. Whoever may see the report pages may see these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aiohttp import web
from markupsafe import Markup

from exporter.alert import time_text
from exporter.history.database import HistoryError
from exporter.incidents.entities import entities_of
from exporter.incidents.incident import Incident
from exporter.incidents.state import State
from exporter.incidents.story import Story, story_of
from exporter.prose import to_plain
from exporter.render.incident import INCIDENT_FORMATS, IncidentFormat, to_incident_html, to_incident_json
from exporter.verdict.judgement import VERDICTS
from exporter.web.answers import collection, text_answer
from exporter.web.content import SITE, Content
from exporter.web.query import API_LIMIT, number_from
from exporter.web.reports import VERDICT_LABELS, aside, guarded
from exporter.web.templates import render_page

_ID = "{id:[0-9a-f]{16}}"
_NO_STORE = {"Cache-Control": "no-store"}
PAGE_ROWS = EARLIER_ROWS = 100
DEFAULT_LIMIT = 100


def add_incidents(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/incidents", guarded(incident_list))
    app.router.add_get(f"/incidents/{_ID}", guarded(incident_page))
    for form in INCIDENT_FORMATS.values():
        app.router.add_get(f"/incidents/{_ID}.{form.suffix}", guarded(partial(incident_as, form)))
    app.router.add_get("/api/v1/incidents", guarded(incident_api))
    app.router.add_get(f"/api/v1/incidents/{_ID}", guarded(one_of_api))


async def incident_list(request: web.Request) -> web.Response:
    """Show the incidents, the one with the latest alert first; ``verdict`` and ``state`` choose."""
    content = request.app[SITE].content
    verdict, state = (request.query.get(name, "").strip() for name in ("verdict", "state"))
    if verdict and verdict not in VERDICTS:
        raise web.HTTPBadRequest(text=f"verdict: expected one of {', '.join(VERDICTS)}\n")
    if state and state not in {"open", "ended"}:
        raise web.HTTPBadRequest(text="state: expected open or ended\n")

    def work() -> str:
        kept = _kept(content)
        found = [each for each in kept if _admits(each, verdict, state)]
        earlier = () if state == "open" else _earlier(content, kept, verdict)
        return render_page(
            "incidents.html",
            root="./",
            rows=[_row(each) for each in found[:PAGE_ROWS]],
            found=len(found),
            earlier=[(each, VERDICT_LABELS[each.verdict], time_text(each.first_ns)) for each in earlier[:EARLIER_ROWS]],
            earlier_found=len(earlier),
            version=_version(found),
            kept=len(kept),
            is_on=content.incidents is not None,
            verdict=verdict,
            state=state,
            verdicts=[(each, VERDICT_LABELS[each]) for each in VERDICTS],
        )

    return web.Response(text=await aside(work), content_type="text/html", headers=_NO_STORE)


def _kept(content: Content) -> list[Incident]:
    return [] if content.incidents is None else content.incidents.all()


def _find(content: Content, name: str) -> Incident | None:
    """Return an incident from memory, else from the history; one that became a part of another is that other."""
    found = None if content.incidents is None else content.incidents.find(name)
    if found is None and content.ended_incidents is not None:
        found = content.ended_incidents.find(name)
    return found


def _earlier(content: Content, kept: Sequence[Incident], verdict: str) -> Sequence[State]:
    """Return what is known of incidents that are not in memory any more, the latest first."""
    if content.ended_incidents is None:
        return ()
    in_memory = {name for each in kept for name in (each.id, *each.other_ids)}
    try:
        states = content.ended_incidents.states()
    except HistoryError:
        return ()
    return [each for each in states if each.id not in in_memory and (not verdict or each.verdict == verdict)]


def _admits(incident: Incident, verdict: str, state: str) -> bool:
    return (not verdict or incident.verdict == verdict) and (not state or incident.is_open == (state == "open"))


def _version(shown: Sequence[Incident]) -> str:
    """Return what changes with everything that a page shows of the incidents."""
    parts = [f"{each.id} {each.verdict} {each.is_open} {each.count} {each.last_ns}" for each in shown]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _row(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "verdict": incident.verdict,
        "words": VERDICT_LABELS[incident.verdict],
        "is_open": incident.is_open,
        "alerts": incident.count,
        "first": incident.first_text,
        "last": incident.last_text,
        "rules": list(dict.fromkeys(member.alert.rule for member in incident.members))[:6],
        "entities": entities_of(incident)[:2],
    }


async def _told(request: web.Request, tell: Callable[[Story], str]) -> tuple[Story, str]:
    """Return the incident asked for and what is made of it; HTTP 404 when it is not kept."""
    content, name = request.app[SITE].content, request.match_info["id"]

    def work() -> tuple[Story, str] | None:
        incident = _find(content, name)
        if incident is None or content.advice_for is None:
            return None
        story = story_of(incident, content.advice_for)
        return story, tell(story)

    found = await aside(work)
    if found is None:
        page = render_page("no_incident.html", root="../", id=name, kept=len(_kept(content)), on_disk=content.on_disk)
        raise web.HTTPNotFound(text=page, content_type="text/html", headers=_NO_STORE)
    return found


async def incident_page(request: web.Request) -> web.Response:
    """Show one incident; one that became a part of another leads there."""
    story, fragment = await _told(request, to_incident_html)
    incident = story.incident
    if incident.id != request.match_info["id"]:
        raise web.HTTPFound(f"{incident.id}")
    page = render_page(
        "incident.html",
        root="../",
        incident=incident,
        version=_version([incident]),
        title=to_plain(story.title),
        story=Markup(fragment),  # noqa: S704 - the renderer escapes
        formats=list(INCIDENT_FORMATS.values()),
        alerts=[(alert, member) for member in incident.members for alert in member.alerts[:4]][:PAGE_ROWS],
    )
    return web.Response(text=page, content_type="text/html", headers=_NO_STORE)


async def incident_as(form: IncidentFormat, request: web.Request) -> web.Response:
    """Return one incident in a format; HTML as a file to keep."""
    story, text = await _told(request, form.document)
    headers = dict(_NO_STORE)
    if form.name == "html":
        # Its style is inline, which the pages' own policy forbids.
        headers["Content-Disposition"] = f'attachment; filename="incident-{story.incident.id}.html"'
    return web.Response(text=text, content_type=form.media_type, headers=headers)


async def incident_api(request: web.Request) -> web.Response:
    """Return the incidents in a line each, the one with the latest alert first; ``after`` goes on."""
    content = request.app[SITE].content
    limit = number_from(request.query, "limit", default=DEFAULT_LIMIT, most=API_LIMIT)
    after = number_from(request.query, "after", default=0, most=API_LIMIT * API_LIMIT)
    found = await aside(lambda: _kept(content))
    members = [
        {
            "id": each.id,
            "verdict": each.verdict,
            "state": "open" if each.is_open else "ended",
            "alerts": each.count,
            "first_time": each.first_text,
            "last_time": each.last_text,
            "entities": [{"label": entity.label, "value": entity.value} for entity in entities_of(each)],
            "url": f"/api/v1/incidents/{each.id}",
        }
        for each in found[after : after + limit]
    ]
    following = {"after": str(after + limit)} if len(found) > after + limit else None
    return collection(request, "incidents", members, following)


async def one_of_api(request: web.Request) -> web.Response:
    """Return one incident whole (``docs/incidents.md``)."""
    _, text = await _told(request, to_incident_json)
    return text_answer(request, text)
