"""New reports as they arrive: server-sent events for the list.

Owns the stream at ``/reports/live``. It looks at what is kept a few times a
second instead of being told, so that alerts never wait for a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable

from aiohttp import web

from exporter.history.query import Query
from exporter.history.store import ReportStore
from exporter.web.content import SITE, Site
from exporter.web.query import query_from
from exporter.web.reports import aside, guarded

LOOK_SECONDS = 0.3
HEARTBEAT_SECONDS = 15.0
WRITE_SECONDS = 10.0
BURST_LIMIT = 50
"""Maximum number of reports sent at once; a browser gets the newest of a flood."""
STREAM_LIMIT = 32

_SEQUENCE = re.compile(r"[0-9]{1,18}\Z")
_STREAMS = web.AppKey("streams", set["_Stream"])


def add_live(app: web.Application) -> None:
    """Add the route."""
    app[_STREAMS] = set()
    app.router.add_get("/reports/live", guarded(live))


async def live(request: web.Request) -> web.StreamResponse:
    """Send what arrives after ``after`` (or the browser's ``Last-Event-ID``), filtered as the list is."""
    streams, site = request.app[_STREAMS], request.app[SITE]
    if len(streams) >= STREAM_LIMIT:
        return web.Response(status=503, text=f"{STREAM_LIMIT} live streams are open already; close one.\n")
    wanted, store = query_from(request.query), site.content.reports
    sequence = _sequence(store, request.headers.get("Last-Event-ID") or request.query.get("after", ""))
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    stream = _Stream(response, site, wanted, sequence)
    streams.add(stream)
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):  # the browser went away: nothing is lost
            await response.prepare(request)
            await stream.run(lambda: site.closing() or not site.still_admits(request))
    finally:
        streams.discard(stream)
    return response


def _sequence(store: ReportStore, cursor: str) -> int:
    """Return where to go on; the beginning of what is kept for a cursor of an earlier run."""
    boot, _, sequence = cursor.partition("-")
    if not cursor:
        return store.sequence
    return int(sequence) if boot == store.boot and _SEQUENCE.match(sequence) else 0


class _Stream:
    """One browser's stream."""

    def __init__(self, response: web.StreamResponse, site: Site, wanted: Query, sequence: int) -> None:
        self._response = response
        self._store = site.content.reports
        self._listing = site.listing
        self._wanted = wanted
        self._sequence = sequence

    async def run(self, has_ended: Callable[[], bool]) -> None:
        """Send until it has ended: the server closes, or the reader may no longer see reports.

        Raises ConnectionError or TimeoutError when the browser is gone or stuck.
        """
        loop = asyncio.get_running_loop()
        await self._write("retry: 2000\n\n")
        beat = loop.time()
        while not has_ended():
            if text := await self._news():
                await self._write(text)
                beat = loop.time()
            elif loop.time() - beat > HEARTBEAT_SECONDS:
                await self._write(": still here\n\n")
                beat = loop.time()
            await asyncio.sleep(LOOK_SECONDS)

    async def _news(self) -> str:
        return await aside(self._look)

    def _look(self) -> str:
        newest = self._store.sequence
        if newest <= self._sequence:
            return ""
        boot = self._store.boot
        found = self._store.page(self._wanted, limit=BURST_LIMIT, after=self._sequence, before=newest + 1)
        self._sequence = newest
        numbers = {row.uid: row.id for row in found}
        return "".join(
            [
                f"id: {boot}-{numbers[row.uid]}\nevent: report\ndata: {json.dumps(row._asdict())}\n\n"
                for row in self._listing.shown(reversed(found))
            ]
        )

    async def _write(self, text: str) -> None:
        async with asyncio.timeout(WRITE_SECONDS):
            await self._response.write(text.encode())
