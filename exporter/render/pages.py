"""HTML: the one way in which a value gets into a page, and the one style sheet.

Owns the template engine, set up so that every expression passes
``escaping.html``: a template cannot forget to escape, and characters that
nobody sees are shown. Refuses to know any page.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from exporter import __version__
from exporter.escaping import html, html_block, web_address
from exporter.render import palette


def environment(package: str) -> Environment:
    """Return the engine for the templates in a package's ``templates`` directory."""
    made = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["version"] = __version__
    made.filters["block"] = _block
    made.filters["web_address"] = _web_address
    return made


def _finalize(value: Any) -> Any:
    """Escape an expression's value, unless it is markup already."""
    return value if isinstance(value, Markup) else Markup(html(str(value)))  # noqa: S704 - html() is the escaping


def _block(text: str) -> Markup:
    """Escape text of several lines for ``<pre>``."""
    return Markup(html_block(text))  # noqa: S704 - html_block() is the escaping


def _web_address(url: str) -> Markup | None:
    """Return the address for ``href``; None for anything but the web's."""
    address = web_address(url)
    return None if address is None else Markup(address)  # noqa: S704 - web_address() escapes


@lru_cache(maxsize=1)
def style() -> str:
    """Return the style sheet of reports: colours first, then the report's own."""
    return f"{palette.to_css()}\n{files('exporter.render').joinpath('report.css').read_text('utf-8')}"
