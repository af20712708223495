"""The pages' templates, and the one way in which a value gets into them.

Every expression passes ``escaping.html``: a template cannot forget to escape,
and characters that nobody sees are shown.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from exporter import __version__
from exporter.escaping import html
from exporter.web.static import ASSETS


def _finalize(value: Any) -> Any:
    """Escape an expression's value, unless it is markup already."""
    if isinstance(value, Markup):
        return value
    return Markup(html(str(value)))  # noqa: S704 - html() is the escaping


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("exporter.web", "templates"),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = __version__
    environment.globals["asset"] = {asset.name: asset.versioned for asset in ASSETS.values()}
    return environment


def render_page(template: str, **values: Any) -> str:
    """Return the page; ``root`` is the way from its address to the site's root (``./`` or ``../``)."""
    return _environment().get_template(template).render(values)
