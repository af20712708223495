"""The digest as HTML: a fragment for the pages, and a document that stands alone and prints on one page.

Owns the form (``templates/digest.html``) and the charts, which are inline SVG
with their numbers in words beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Template

from exporter.alert import time_text
from exporter.digest import words
from exporter.digest.digest import INCIDENTS_SHOWN, RULES_SHOWN, Bar, Digest
from exporter.render.html import HTML_PAGE_END, html_page_start
from exporter.render.pages import environment
from exporter.verdict.judgement import VERDICTS

WIDTH, HEIGHT = 720, 110
LISTED = 6
"""Shown of the rules that are new, of those that grew and of those that fell silent: all has to print on one page."""
_GAP = 3


class Piece(NamedTuple):
    """One rectangle of the chart, in its units."""

    verdict: str
    x: float
    y: float
    width: float
    height: float
    text: str


def digest_css() -> str:
    """Return the style sheet of digests, beside that of reports."""
    return files("exporter.digest").joinpath("digest.css").read_text("utf-8")


def to_html(digest: Digest) -> str:
    """Return the digest as a fragment, safe to put into any page's body."""
    return _template().render(
        digest=digest,
        words=words,
        shown=RULES_SHOWN,
        listed=LISTED,
        incidents=words.lines_of(digest.incidents[:INCIDENTS_SHOWN]),
        more_incidents=max(0, len(digest.incidents) - INCIDENTS_SHOWN),
        caveats=list(words.caveats(digest)),
        pieces=list(_pieces(digest.bars)),
        width=WIDTH,
        height=HEIGHT,
        peak=max((sum(bar.verdicts.values()) for bar in digest.bars), default=0),
        most=max((line.alerts for line in digest.rules), default=1),
    )


def to_html_page(digest: Digest) -> str:
    """Return a document that needs no other file and runs no script."""
    start = html_page_start(f"Falco digest {words.moment(digest.since_ns)}")
    return start.replace("</style>", f"{digest_css()}</style>", 1) + to_html(digest) + HTML_PAGE_END


def _pieces(bars: Sequence[Bar]) -> Iterator[Piece]:
    peak = max((sum(bar.verdicts.values()) for bar in bars), default=0)
    if not peak:
        return
    step = WIDTH / len(bars)
    for index, bar in enumerate(bars):
        top = float(HEIGHT)
        for verdict in reversed(VERDICTS):
            if count := bar.verdicts[verdict]:
                height = HEIGHT * count / peak
                top -= height
                text = f"{time_text(bar.time_ns)[:16].replace('T', ' ')}: {count:,} {words.label(verdict).lower()}"
                width = max(1.0, step - _GAP)
                yield Piece(verdict, round(index * step, 1), round(top, 1), round(width, 1), round(height, 1), text)


@lru_cache(maxsize=1)
def _template() -> Template:
    return environment("exporter.digest").get_template("digest.html")
