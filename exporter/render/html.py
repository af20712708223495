"""The report as HTML: a fragment for the web pages, and a document that stands alone.

Owns the HTML form (``templates/report.html``). The fragment has classes and
ids, no style and no script. Ids begin with ``report-UID``, so that several
reports can stand on one page.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Template

from exporter.escaping import html
from exporter.render import document
from exporter.render.document import Bullets, Code, Document, Facts, Length, Links, Note, Section, Step
from exporter.render.header import header
from exporter.render.pages import environment, style
from exporter.render.parts import TITLE_VALUE_LIMIT_CHARACTERS, limited
from exporter.report import Report, to_plain

HTML_PAGE_END = "</body>\n</html>\n"
"""A document after the last report."""
_KINDS = {Note: "note", Code: "code", Bullets: "bullets", Step: "step", Facts: "facts", Links: "links"}


def html_page_start(title: str = "Falco Alert Reports") -> str:
    """Return a document up to the first report."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<title>{html(title)}</title>\n<style>\n{style()}</style>\n</head>\n<body class="alone">\n'
    )


def to_html_page(report: Report, length: Length = Length.FULL) -> str:
    """Return a document that needs no other file and runs no script."""
    start = html_page_start(to_plain(document.title(report.advice)))
    return start + to_html(report, length) + HTML_PAGE_END


def to_html(report: Report, length: Length = Length.FULL) -> str:
    """Return one ``<article class="report">``, safe to put into any page's body.

    Sections beyond the brief report are folded; they open in print and when found.
    """
    sections = list(document.sections(report, length))
    return _template("report.html").render(
        report=report,
        anchor=f"report-{report.alert.uid}",
        what=limited(report.advice.what, TITLE_VALUE_LIMIT_CHARACTERS),
        verdict=report.advice.judgement.verdict,
        rows=header(report.alert, report.advice.judgement.outcome),
        sections=sections,
        outline=_outline(sections),
        is_full=length is Length.FULL,
    )


def _outline(sections: Sequence[Section]) -> list[tuple[Section, str]]:
    """Each section with what its fold holds, e.g. ``3 changes``."""
    return [(section, _content(section)) for section in sections]


def _content(section: Section) -> str:
    steps = sum([isinstance(block, Step) for block in section.blocks])
    items = sum([len(block.notes) for block in section.blocks if isinstance(block, Bullets)])
    links = sum([len(block.references) for block in section.blocks if isinstance(block, Links)])
    count = {"configuration": steps, "tuning": steps, "recommendations": items, "references": links}
    return str(count.get(section.name) or "")


def document_html(shown: Document, anchor: str) -> str:
    """Return a document as one ``<article>``, safe to put into any page's body; ``anchor`` is its id."""
    return _template("document.html").render(shown=shown, anchor=anchor)


def document_html_page(shown: Document, anchor: str) -> str:
    """Return a document that needs no other file and runs no script."""
    return html_page_start(to_plain(shown.title)) + document_html(shown, anchor) + HTML_PAGE_END


@lru_cache(maxsize=2)
def _template(name: str) -> Template:
    engine = environment("exporter.render")
    engine.filters["kind"] = _kind
    return engine.get_template(name)


def _kind(block: Any) -> str:
    return _KINDS[type(block)]
