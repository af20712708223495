"""Wording: no sentence stands in two entries, none would fit any rule, and none names a step by its number."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.catalog.model import Entry
from exporter.catalog.steps import CommandStep
from exporter.catalog.template import ProseTemplate
from exporter.lint.finding import Finding
from exporter.lint.walk import own_prose, prose_of, shared_places, steps

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
_NUMBERED = re.compile(r"(?i)\bsteps? \d+")
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


def check_step_numbers(catalog: Catalog) -> Iterator[Finding]:
    """Yield what names a step by its number: where the alert lacks a field, and in incidents, it is another one."""
    said = [(entry.place, entry.rule, text.text) for entry in catalog.entries for text in _about(entry)]
    for owned in steps(catalog):
        texts = [text.text for text in prose_of(owned.step)]
        if isinstance(owned.step, CommandStep):
            texts += [owned.step.run.text, owned.step.undo.text]
        said += [(owned.step.place, owned.owner, text) for text in texts]
    for place, owner, text in said:
        if match := _NUMBERED.search(text):
            yield Finding(place, owner, f"{match[0]} may be another one in an incident; say what is looked at instead")


def _about(entry: Entry) -> Iterator[ProseTemplate]:
    yield from (entry.what, entry.summary, entry.impact, entry.close_if, entry.escalate_if)
    yield from (sentence.text for sentence in (*entry.benign, *entry.unknown))


def runs(text: ProseTemplate) -> Iterator[tuple[str, ...]]:
    """Yield every run of nine words, in lower case; a placeholder is one word."""
    words = _WORD.findall(text.text.lower().replace("[[", " ").replace("]]", " "))
    for start in range(len(words) - RUN_WORDS + 1):
        yield tuple(words[start : start + RUN_WORDS])
