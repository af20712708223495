"""``/metrics``: text or OpenMetrics, by what the client accepts.

Owns the negotiation and the transfer; refuses to count anything but scrapes.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import gzip_accepted

from exporter.sinks.prometheus.exposition import choose_exposition
from exporter.web.content import SITE

GZIP_LEVEL = 3
"""Twice as fast as 6 for an answer a tenth larger."""

_RENDERING = web.AppKey("rendering", asyncio.Lock)


def add_metrics(app: web.Application) -> None:
    """Add the route."""
    app[_RENDERING] = asyncio.Lock()
    app.router.add_get("/metrics", metrics)


async def metrics(request: web.Request) -> web.Response:
    """Answer a scrape; one at a time, since each holds the interpreter for a while."""
    content = request.app[SITE].content
    try:
        expose, content_type = choose_exposition(request.headers.get("Accept", ""), content.labels)
    except (TypeError, ValueError) as exc:  # prometheus_client reads versions as numbers
        raise web.HTTPBadRequest(text=f"Accept: cannot be read: {type(exc).__name__}\n") from exc
    compress = gzip_accepted(request.headers.get("Accept-Encoding", ""))
    async with request.app[_RENDERING]:
        started = time.perf_counter()
        body = await asyncio.get_running_loop().run_in_executor(None, _render, expose, content.registry, compress)
        content.metrics.scrape_duration.observe(time.perf_counter() - started)
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if compress:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)


def _render(expose: Callable[[CollectorRegistry], bytes], registry: CollectorRegistry, compress: bool) -> bytes:
    text = expose(registry)
    return gzip.compress(text, GZIP_LEVEL, mtime=0) if compress else text
