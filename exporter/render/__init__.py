"""A report in the form a reader wants: Markdown, terminal text, HTML, JSON.

Every renderer takes a ``Report`` and escapes each value for its own target by
``exporter.escaping``. Refuses to decide what a report says (see ``report.py``).
"""

from exporter.render.html import HTML_PAGE_END, HTML_PAGE_START, to_html, to_html_page
from exporter.render.json_document import to_document, to_json
from exporter.render.markdown import to_markdown
from exporter.render.text import to_text

__all__ = [
    "HTML_PAGE_END",
    "HTML_PAGE_START",
    "to_document",
    "to_html",
    "to_html_page",
    "to_json",
    "to_markdown",
    "to_text",
]
