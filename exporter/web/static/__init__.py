"""The style sheet, the script and the icon: all that pages load, served from here.

Owns their content types and caching; a changed file has a changed address.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from aiohttp import web

from exporter.digest.html import digest_css
from exporter.render.pages import style

_TYPES = {"app.css": "text/css", "app.js": "text/javascript", "icon.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    name: str
    content_type: str
    body: bytes

    @property
    def versioned(self) -> str:
        """The file's address below the site's root."""
        return f"static/{self.name}?v={hashlib.blake2b(self.body, digest_size=6).hexdigest()}"


def _read(name: str) -> Asset:
    body = files(__package__).joinpath(name).read_bytes()
    # Reports and digests look the same here and in a file of their own.
    return Asset(name, _TYPES[name], (style() + digest_css()).encode() + body if name == "app.css" else body)


ASSETS = {name: _read(name) for name in _TYPES}


def add_static(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/static/{name}", static)
    app.router.add_get("/favicon.ico", favicon)


async def static(request: web.Request) -> web.Response:
    """Serve one of the files."""
    asset = ASSETS.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    return _answer(asset)


async def favicon(request: web.Request) -> web.Response:
    """Serve the icon to browsers that ask for it by custom."""
    return _answer(ASSETS["icon.svg"])


def _answer(asset: Asset) -> web.Response:
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return web.Response(body=asset.body, content_type=asset.content_type, headers=headers)
