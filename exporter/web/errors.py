"""What a wrong address or a wrong query gets: a page for people, JSON under /api, text for the rest.

Owns the form of errors that a handler raises. Refuses to decide what is an error.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.history.database import HistoryError
from exporter.web.templates import render_page

logger = logging.getLogger(__name__)

_TITLES = {
    400: "This address is not valid", 404: "Nothing is here", 405: "This page cannot do that",
    503: "The history does not answer",
}  # fmt: skip


def root_of(path: str) -> str:
    """Return the way from a path to the site's root, e.g. ``../`` for ``/reports/x``."""
    return "../" * (path.count("/") - 1) or "./"


@web.middleware
async def error_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors in the form that the client reads."""
    try:
        return await handler(request)
    except HistoryError as error:
        # Its text names a directory of this machine: who may see report pages may see that.
        logger.warning("%s: %s", request.path, error)
        return _answer(request, web.HTTPServiceUnavailable(text=f"{error}\n"))
    except web.HTTPException as error:
        if error.status < 400 or error.content_type != "text/plain":
            raise
        return _answer(request, error)


def _answer(request: web.Request, error: web.HTTPException) -> web.Response:
    default = f"{error.status}: {error.reason}"
    message = error.text.strip() if error.text and error.text != default else HTTPStatus(error.status).phrase
    headers = {"Cache-Control": "no-store", **({"Allow": error.headers["Allow"]} if "Allow" in error.headers else {})}
    if request.path.startswith("/api/"):
        return web.json_response({"error": message}, status=error.status, headers=headers)
    if "text/html" not in request.headers.get("Accept", ""):
        return web.Response(status=error.status, text=f"{message}\n", headers=headers)
    page = render_page(
        "error.html",
        root=root_of(request.path),
        title=_TITLES.get(error.status, error.reason),
        message="" if error.status == 404 else message,
        path=request.path,
    )
    return web.Response(status=error.status, text=page, content_type="text/html", headers=headers)
