"""The pages' templates; values get into them as into a report (``render.pages``)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment

from exporter.render.pages import environment
from exporter.web.static import ASSETS


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = environment("exporter.web")
    made.globals["asset"] = {asset.name: asset.versioned for asset in ASSETS.values()}
    return made


def render_page(template: str, **values: Any) -> str:
    """Return the page; ``root`` is the way from its address to the site's root (``./`` or ``../``)."""
    return _environment().get_template(template).render(values)
