"""A sign: a condition on an alert's fields, what it speaks for, and how much.

Owns a sign's form and its checks. Refuses to weigh signs against each other
(see ``judge.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.alert import Alert
from exporter.errors import CatalogError
from exporter.falco.condition import Evaluation, Node
from exporter.prose import ProseTemplate
from exporter.verdict.facts import source_fields
from exporter.verdict.judgement import SIDES, Side
from exporter.verdict.language import Language

DECISIVE = 4
"""The weight that decides where nothing speaks against it."""
HARD = 5
"""The weight that nothing outweighs, except a proven test."""
ABOUT = ("actor", "command", "file", "image", "object", "peer", "program", "rule")
SIGN_KEYS = frozenset({"for", "weight", "forgeable", "when", "say", "about", "rules", "sources", "tags"})
_REQUIRED = ("for", "when", "say")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which alerts a sign is asked about; empty means all."""

    rules: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def holds(self, alert: Alert) -> bool:
        """Whether alerts of this rule and source are in scope; tags are asked for each alert."""
        return (not self.rules or alert.rule in self.rules) and (not self.sources or alert.source in self.sources)

    def has_tag(self, alert: Alert) -> bool:
        """Whether the alert has one of the tags, where any are named."""
        return not self.tags or not self.tags.isdisjoint(alert.tags)


@dataclass(frozen=True, slots=True)
class Sign:
    """A condition with one line of text."""

    side: Side
    weight: int
    """From 1 to 5; 0 for ``nothing``."""
    forgeable: bool
    """Whether an intruder could choose the values: then it clears an alert only beside a sign that is not."""
    holds: Evaluation
    """What the condition says of one alert's facts. The judge asks all signs together and gets the same answers."""
    condition: Node
    absent_is_unknown: bool
    """Whether absent fields leave comparisons open, or make them false."""
    say: ProseTemplate
    scope: Scope
    about: str
    """What it looks at. Of several signs for one side about one thing the heaviest counts; empty: counts by itself."""
    fields: frozenset[str]
    """Every output field that condition and text depend on."""
    place: str = ""
    """``FILE:LINE``, for messages."""

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], place: str, *, language: Language, scope: Scope | None = None
    ) -> Sign:
        """Make a sign of the keys in ``SIGN_KEYS``; values are texts, numbers and lists of texts as YAML gives them.

        ``scope`` stands for ``rules``, ``sources`` and ``tags`` where the sign names none (an entry's own signs).
        Raises CatalogError that begins with ``place``.
        """
        try:
            return cls._made(mapping, place, language, scope or Scope())
        except CatalogError as exc:
            raise CatalogError(f"{place}: {exc}") from exc

    @classmethod
    def _made(cls, mapping: Mapping[str, Any], place: str, language: Language, scope: Scope) -> Sign:
        if unknown := mapping.keys() - SIGN_KEYS:
            raise CatalogError(f"unknown key {min(unknown)!r}; expected one of: {', '.join(sorted(SIGN_KEYS))}")
        if missing := [key for key in _REQUIRED if key not in mapping]:
            raise CatalogError(f"missing key: {', '.join(missing)}")
        side = mapping["for"]
        if side not in SIDES:
            raise CatalogError(f"for: found {side!r}, expected one of: {', '.join(SIDES)}")
        about = str(mapping.get("about", ""))
        if about and about not in ABOUT:
            raise CatalogError(f"about: found {about!r}, expected one of: {', '.join(ABOUT)}")
        # What clears an alert must be there to be read; what excuses an act is missing where it is not.
        is_open = side in {"benign", "test"}
        condition = language.compile(str(mapping["when"]), absent_is_unknown=is_open)
        say = ProseTemplate(str(mapping["say"]))
        said = {name for field in say.fields for name in source_fields(field)}
        return cls(
            side=side,
            weight=_weight(mapping, side),
            forgeable=_forgeable(mapping, side),
            holds=condition.holds,
            condition=condition.node,
            absent_is_unknown=is_open,
            say=say,
            scope=Scope(
                _rules(mapping, language) or scope.rules,
                frozenset(_texts(mapping, "sources")) or scope.sources,
                frozenset(_texts(mapping, "tags")) or scope.tags,
            ),
            about=about,
            fields=condition.fields | said,
            place=place,
        )


def _rules(mapping: Mapping[str, Any], language: Language) -> frozenset[str]:
    """Return the rules named, those of lists among them."""
    return frozenset(rule for name in _texts(mapping, "rules") for rule in language.lists.get(name, (name,)))


def _weight(mapping: Mapping[str, Any], side: str) -> int:
    if side == "nothing":
        if "weight" in mapping:
            raise CatalogError("weight: a sign for nothing has none; leave the key out")
        return 0
    text = str(mapping.get("weight", ""))
    if text not in {"1", "2", "3", "4", "5"}:
        raise CatalogError(f"weight: found {text!r}, expected a number from 1 (a hint) to 5 (nothing outweighs it)")
    return int(text)


def _forgeable(mapping: Mapping[str, Any], side: str) -> bool:
    if "forgeable" not in mapping:
        if side in {"benign", "test"}:
            raise CatalogError("missing key: forgeable; say true where an intruder could choose the value")
        return False
    text = str(mapping["forgeable"]).lower()
    if text not in {"true", "false"}:
        raise CatalogError(f"forgeable: found {text!r}, expected true or false")
    return text == "true"


def _texts(mapping: Mapping[str, Any], key: str) -> list[str]:
    found = mapping.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise CatalogError(f"{key}: expected a list of strings")
    return found
