"""New reports as they arrive: server-sent events for the list.

Owns the stream at ``/reports/live``. It looks into the ring a few times a
second instead of being told, so that alerts never wait for a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable

from aiohttp import web

from exporter.sinks.recent import RecentSink
from exporter.web.content import SITE, Site
from exporter.web.query import Wanted, wanted_from
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
    wanted, recent = wanted_from(request.query), site.content.recent
    sequence = _sequence(recent, request.headers.get("Last-Event-ID") or request.query.get("after", ""))
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


def _sequence(recent: RecentSink, cursor: str) -> int:
    """Return where to go on; the beginning of what is kept for a cursor of an earlier run."""
    boot, _, sequence = cursor.partition("-")
    if not cursor:
        return recent.sequence
    return int(sequence) if boot == recent.boot and _SEQUENCE.match(sequence) else 0


class _Stream:
    """One browser's stream."""

    def __init__(self, response: web.StreamResponse, site: Site, wanted: Wanted, sequence: int) -> None:
        self._response = response
        self._recent = site.content.recent
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
        newest = self._recent.sequence
        entries = self._recent.newer_than(self._sequence, self._wanted.filter, limit=BURST_LIMIT)
        self._sequence = max(self._sequence, newest)
        if not entries:
            return ""
        rows = await aside(lambda: [(entry.sequence, self._listing.row(entry)) for entry in reversed(entries)])
        return "".join(
            [
                f"id: {self._recent.boot}-{sequence}\nevent: report\ndata: {json.dumps(row._asdict())}\n\n"
                for sequence, row in rows
                if self._wanted.verdict in {"", row.verdict}
            ]
        )

    async def _write(self, text: str) -> None:
        async with asyncio.timeout(WRITE_SECONDS):
            await self._response.write(text.encode())
