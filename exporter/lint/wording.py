"""Wording: no sentence stands in two entries, and none would fit any rule."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.catalog.template import ProseTemplate
from exporter.lint.finding import Finding
from exporter.lint.walk import own_prose, shared_places

RUN_WORDS = 9
"""A run of this many words in two entries is one sentence written twice."""
_WORD = re.compile(r"%\{[^}]*\}|[\w.'/-]*\w")
_FILLER = (
    r"best practices?",
    r"implement (?:log |system |container )?monitoring",
    r"regularly (?:monitor|review|audit|check)",
    r"security posture",
    r"ensure (?:that )?proper",
    r"properly (?:configured|secured|isolated)",
    r"as (?:needed|appropriate|necessary)\b",
    r"consider implementing",
    r"leverage[sd]?",
    r"robust",
    r"comprehensive",
    r"stay vigilant",
    r"malicious activity",
    r"suspicious activity",
    r"unauthorized activity",
    r"potentially malicious",
)
_FILLING = re.compile(r"(?i)\b(?:" + "|".join(_FILLER) + ")")


def check_wording(catalog: Catalog) -> Iterator[Finding]:
    """Yield runs of nine words that two entries share, and phrases that say nothing."""
    shared = shared_places(catalog)
    seen: dict[tuple[str, ...], tuple[str, str]] = {}
    complained: dict[str, set[str]] = defaultdict(set)
    for entry in catalog.entries:
        own: dict[tuple[str, ...], tuple[str, str]] = {}
        for place, text in own_prose(entry, shared):
            if match := _FILLING.search(text.text):
                yield Finding(
                    place, entry.rule, f"{match[0]!r} would fit any rule; say what exactly, with what and how"
                )
            for run in runs(text):
                other = seen.get(run)
                if other and other[1] not in complained[place]:
                    complained[place].add(other[1])
                    yield Finding(
                        place, entry.rule, f"shares {' '.join(run)!r} with {other[1]} ({other[0]}); say what differs"
                    )
                own.setdefault(run, (place, entry.rule))
        seen |= {run: where for run, where in own.items() if run not in seen}


def runs(text: ProseTemplate) -> Iterator[tuple[str, ...]]:
    """Yield every run of nine words, in lower case; a placeholder is one word."""
    words = _WORD.findall(text.text.lower().replace("[[", " ").replace("]]", " "))
    for start in range(len(words) - RUN_WORDS + 1):
        yield tuple(words[start : start + RUN_WORDS])
