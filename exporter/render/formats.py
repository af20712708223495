"""The formats that a report can have: what each is called and how it is made.

Owns the one table that the command line, the web pages and the documentation
are made from. Renderers are imported when they are first used, so that
``--help`` does not wait for a template engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.render.document import Length
    from exporter.report import Report


@dataclass(frozen=True, slots=True)
class Format:
    """One format."""

    name: str
    """For ``--format``."""
    suffix: str
    """Of a file and of a page's address, without the dot."""
    media_type: str
    title: str
    """For links, e.g. ``Markdown``."""
    purpose: str
    """What it is for, in a few words."""
    module: str
    function: str
    between: str = ""
    """What stands between two reports in one file."""

    def render(self, report: Report, length: Length) -> str:
        """Return the report in this format."""
        text: str = self._load(self.function)(report, length)
        return text

    def document(self, report: Report, length: Length) -> str:
        """Return the report as a file of its own."""
        start, end = self.frame()
        return start + self.render(report, length) + end

    def frame(self) -> tuple[str, str]:
        """Return what stands before the first and after the last report of a file."""
        return (self._load("html_page_start")(), self._load("HTML_PAGE_END")) if self.name == "html" else ("", "")

    def _load(self, name: str) -> Any:
        return getattr(import_module(self.module), name)


FORMATS: Mapping[str, Format] = {
    made.name: made
    for made in (
        Format("text", "txt", "text/plain", "Text", "for a terminal", "exporter.render.text", "to_text",
               "\n" + "─" * 80 + "\n\n"),
        Format("markdown", "md", "text/markdown", "Markdown", "for tickets and chats", "exporter.render.markdown",
               "to_markdown", "\n---\n\n"),
        Format("html", "html", "text/html", "HTML", "a page that needs no other file", "exporter.render.html",
               "to_html"),
        Format("json", "json", "application/json", "JSON", "for programs, one line per report",
               "exporter.render.json_document", "to_json"),
    )
}  # fmt: skip
"""Every format by its name. ``html`` gives fragments, which ``frame`` makes a document."""
Renderer = Callable[["Report", "Length"], str]
LENGTHS: Mapping[str, str] = {
    "brief": "what decides and what to do, on one page",
    "full": "everything",
    "pager": "three lines of text",
}
"""What ``--length`` takes."""
