"""JSON for programs: answers with an ETag, and collections in pages.

Owns the form that everything under ``/api/v1`` has: the same content has the
same bytes and the same ETag, so that a tool that asks again is told with 304
that nothing is new. Text is ASCII, and inert in a page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from exporter.render.json_document import inert

_HEADERS = {"Cache-Control": "private, no-cache"}
"""To be asked for again each time; 304 says that it is still the same."""


def json_answer(request: web.Request, document: Any) -> web.Response:
    """Return the document; 304 without a body where the client has it already."""
    return text_answer(request, inert(json.dumps(document, separators=(",", ":"))) + "\n")


def text_answer(request: web.Request, text: str, media_type: str = "application/json") -> web.Response:
    """Return text that is fit for its media type already; 304 where the client has it."""
    body = text.encode()
    tag = hashlib.blake2b(body, digest_size=12).hexdigest()
    headers = _HEADERS | {"ETag": f'"{tag}"'}
    if any(each.value in {tag, "*"} for each in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=media_type, charset="utf-8", headers=headers)


def collection(
    request: web.Request, name: str, members: Sequence[Any], following: dict[str, str] | None
) -> web.Response:
    """Return one page of a collection; ``following`` is what the next page's query has besides this one's."""
    link = None
    if following is not None:
        asked = {key: value for key, value in request.query.items() if key not in following and value}
        link = f"{request.path}?{urlencode(asked | dict(following), errors='replace')}"
    response = json_answer(request, {name: list(members), "next": link})
    if link is not None:
        response.headers["Link"] = f'<{link}>; rel="next"'
    return response
