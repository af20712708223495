"""``/healthz``, ``/readyz`` and falco-exporter's ``/liveness`` and ``/readiness``.

Owns how a state becomes a status code; the reasons are injected. A stranger
without the password sees the code alone.
"""

from __future__ import annotations

from aiohttp import web

from exporter.web.content import AUTHENTICATED, SITE


def add_probes(app: web.Application) -> None:
    """Add the routes."""
    for path in ("/healthz", "/liveness"):
        app.router.add_get(path, healthy)
    for path in ("/readyz", "/readiness"):
        app.router.add_get(path, ready)


async def healthy(request: web.Request) -> web.Response:
    """Say that the process answers."""
    return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})


async def ready(request: web.Request) -> web.Response:
    """Say whether alerts can be kept; 503 and the reasons when not. Warnings too; JSON where the client prefers it."""
    content = request.app[SITE].content
    reasons = content.not_ready()
    status = 503 if reasons else 200
    shown = reasons if request[AUTHENTICATED] else {}
    warnings = content.warnings() if request[AUTHENTICATED] else {}
    headers = {"Cache-Control": "no-store"}
    if "application/json" in request.headers.get("Accept", ""):
        document = {"ready": not reasons, "reasons": dict(shown), "warnings": dict(warnings)}
        return web.json_response(document, status=status, headers=headers)
    lines = [f"{part}: {reason}\n" for part, reason in shown.items()]
    lines += [f"warning: {part}: {text}\n" for part, text in warnings.items()]
    return web.Response(text="".join(["not ready\n" if reasons else "ready\n", *lines]), status=status, headers=headers)
