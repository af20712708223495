"""``/digest``: what the last week brought, on one page, and the same in other formats.

Owns the addresses. One digest is made at a time, off the event loop; the pages
never wait for it.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial

from aiohttp import web
from markupsafe import Markup

from exporter.digest.digest import Digest
from exporter.digest.formats import DIGEST_FORMATS
from exporter.digest.html import to_html
from exporter.web.answers import text_answer
from exporter.web.content import SITE
from exporter.web.query import time_from
from exporter.web.reports import aside, guarded
from exporter.web.templates import render_page

DEFAULT_SPAN = "7d"
SPANS = {"24h": "day", "7d": "week", "30d": "30 days"}
_MAKING = web.AppKey("making", asyncio.Lock)


def add_digest(app: web.Application) -> None:
    """Add the routes."""
    app[_MAKING] = asyncio.Lock()
    app.router.add_get("/digest", guarded(digest_page))
    for name, (suffix, _, _) in DIGEST_FORMATS.items():
        app.router.add_get(f"/digest.{suffix}", guarded(partial(digest_as, name)))


async def _digest(request: web.Request) -> Digest:
    make = request.app[SITE].content.digest
    if make is None:
        raise web.HTTPNotFound(text="A digest needs a history on disk: set history.directory.\n")
    now_ns = time.time_ns()
    until_ns = time_from(request.query, "until", now_ns) or now_ns
    since_ns = time_from(request.query, "since", until_ns, default=DEFAULT_SPAN)
    if since_ns >= until_ns:
        raise web.HTTPBadRequest(text="since: expected a time before until\n")
    async with request.app[_MAKING]:
        return await aside(lambda: make(since_ns, until_ns))


async def digest_page(request: web.Request) -> web.Response:
    """Show the digest of a week, or of the time asked for."""
    digest = await _digest(request)
    asked = {name: request.query.get(name, "").strip() for name in ("since", "until")}
    page = render_page(
        "digest.html",
        root="./",
        digest=Markup(to_html(digest)),  # noqa: S704 - the renderer escapes
        asked=asked,
        spans=SPANS,
        formats=[(name, suffix) for name, (suffix, _, _) in DIGEST_FORMATS.items()],
        query=request.query_string and f"?{request.query_string}",
    )
    return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})


async def digest_as(name: str, request: web.Request) -> web.Response:
    """Return the digest in a format; HTML as a file to keep, whose style the pages' own policy forbids."""
    suffix, media_type, write = DIGEST_FORMATS[name]
    response = text_answer(request, write(await _digest(request)), media_type)
    if name == "html":
        response.headers["Content-Disposition"] = f'attachment; filename="digest.{suffix}"'
    return response
