"""The formats that a digest can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exporter.digest.digest import Digest
from exporter.digest.html import to_html_page
from exporter.digest.json_document import to_json
from exporter.digest.markdown import to_markdown

DIGEST_FORMATS: Mapping[str, tuple[str, str, Callable[[Digest], str]]] = {
    "markdown": ("md", "text/markdown", to_markdown),
    "html": ("html", "text/html", to_html_page),
    "json": ("json", "application/json", to_json),
}
"""By name: the suffix of a file, the media type, and the writer."""
