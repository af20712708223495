"""A rule in a few words that hold for every alert of it: no value of any alert is in them.

Owns turning an entry's prose into sentences without values: a placeholder
becomes a generic noun, what is optional is left out. Refuses to know what
they are for (``falco_rule_info``, the catalog's pages).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exporter.catalog.attack import techniques_of
from exporter.catalog.catalog import Catalog
from exporter.catalog.model import Entry
from exporter.catalog.template import ProseTemplate
from exporter.nouns import noun

LIMIT_CHARACTERS = 300
_FEWEST_SPACES = 2
"""Three words are a sentence."""

_CONNECTION = ("fd.l4proto", "fd.lport", "fd.rport", "fd.sport", "fd.cport", "fd.sip", "fd.rip", "fd.lip", "fd.cip")
"""Fields of rules whose ``fd.name`` is a connection."""
_PLACE = re.compile(r"%\{([^}|]*)(?:[^}']*\|'([^']*)')?[^}]*\}")
_NO_NAME = re.compile(r"[(]|\b(?:not named|unnamed|unknown|without)\b")
"""Words for an absent value that say no more than that it is absent."""
_SOMEWHERE = re.compile(r" (?:\b(?:in|on|at)|%\{alert\.in\}) %\{alert\.place[^}]*\}")
_NEEDED = re.compile(r"\b(in|of|on|by|from|as|at|to|with)\[\[(.*?)\]\]")
_OPTIONAL = re.compile(r"\[\[.*?\]\]")
_BRACKETED = re.compile(r" ?\([^()%]*%\{[^()]*\)")
_ADJACENT = re.compile(r"(%\{[^}]*\})(?:[ /]%\{[^}]*\})+")
_LABELS = (
    "service account|account|address|bucket|cluster|command|container|directory|event|file|function|gid|group|history|"
    "host|user id|id|image|key|link|name|namespace|organi[sz]ation|parent|path|pod|policy|port|process|program|project|"
    "region|repository|resource|role|rule|service|uid|user|webhook|ConfigMap"
)
_LABELLED = re.compile(
    r"(?P<article>\b(?:a|an|the|its|this|that|another|each|every|user's) (?:[\w-]+ )?)?"
    rf"\b(?P<label>{_LABELS})(?P<many>e?s)? %\{{[^}}]*\}}",
    re.IGNORECASE,
)
_LEFT_OVER = re.compile(r"[;,] (?:its |with )?(?:images|ports|volumes)(?=[.;])|: an? \w+(?=\.)")
"""What is left of a list of values at a sentence's end."""


@dataclass(frozen=True, slots=True)
class RuleDescription:
    """What is constant about a rule: no value of any alert is in it."""

    maturity: str = ""
    """Upstream's word: stable, incubating, sandbox, deprecated; empty when it has none."""
    tactics: tuple[str, ...] = ()
    """ATT&CK tactics, names."""
    techniques: tuple[str, ...] = ()
    """ATT&CK techniques, identifiers."""
    summary: str = ""
    """At most 300 characters, as are impact and mitigation."""
    impact: str = ""
    mitigation: str = ""
    """The first step against it, one sentence."""
    runbook: str = ""
    """A URL."""


def describe(catalog: Catalog, rule: str, source: str) -> RuleDescription | None:
    """Return what is said of a rule in general; None where neither catalog nor index knows it."""
    facts = catalog.facts(rule)
    entry = catalog.entry(rule, source)
    if entry is None:
        return RuleDescription(maturity=facts.maturity) if facts else None
    techniques = techniques_of(entry.techniques)
    connection = facts is not None and any(field.startswith(_CONNECTION) for field in facts.fields)
    return RuleDescription(
        maturity=facts.maturity if facts else "",
        tactics=tuple(dict.fromkeys(technique.tactic for technique in techniques)),
        techniques=tuple(technique.technique_id for technique in techniques),
        summary=_summary(entry, connection=connection),
        impact=in_general(entry.impact, connection=connection),
        mitigation=_mitigation(entry),
        runbook=entry.references[0].url if entry.references else "",
    )


def _summary(entry: Entry, *, connection: bool) -> str:
    """What happened; where nothing is left of it without values, what the report's title says."""
    summary = in_general(entry.summary, connection=connection)
    return summary if summary.count(" ") >= _FEWEST_SPACES else in_general(entry.what) + "."


def _mitigation(entry: Entry) -> str:
    """The first step that keeps it from happening again; else the first that stops it; else the first of all."""
    titles = [change.title for change in entry.changes]
    titles += [step.title for step in entry.commands if step.phase == "contain"]
    titles += [step.title for step in entry.commands]
    return in_general(titles[0]) if titles else ""


def in_general(prose: ProseTemplate, *, connection: bool = False) -> str:
    """Return prose with generic nouns for its values, at most 300 characters, cut between words.

    With ``connection`` a ``fd.name`` is one, and no file.
    """
    text = _SOMEWHERE.sub("", prose.text)
    text = _BRACKETED.sub("", _OPTIONAL.sub("", _NEEDED.sub(r"\1\2", text)))
    if connection:
        text = text.replace("%{fd.name}", "%{connection}")
    text = _LABELLED.sub(_label, _ADJACENT.sub(r"\1", text))
    text = _LEFT_OVER.sub("", _PLACE.sub(_noun, text).replace("`", ""))
    text = re.sub(r"\b(?:a|an|the) (a|an|the|its|another) ", r"\1 ", " ".join(text.split()), flags=re.IGNORECASE)
    text = text[:1].upper() + text[1:]
    return _cut(re.sub(r" ([.,;:])(?![\w./])", r"\1", text))


def _label(match: re.Match[str]) -> str:
    """``container %{container.name}`` is a container, ``the system account %{user.name}`` the system account."""
    label = match["label"]
    if match["many"]:
        return f"{match['article'] or ''}{label}{match['many']}"
    if match["article"]:
        return match["article"] + label
    return f"{'an' if label[0] in 'aeiou' and not label.startswith('u') else 'a'} {label}"


def _noun(match: re.Match[str]) -> str:
    """The entry's own words for an absent value, else a noun; with a capital at a sentence's beginning."""
    own = match[2]
    words = own if own and not _NO_NAME.search(own) else noun(match[1])
    return words[0].upper() + words[1:] if match.string[: match.start()].endswith((". ", "? ", "! ")) else words


def _cut(text: str) -> str:
    if len(text) <= LIMIT_CHARACTERS:
        return text
    sentence = text.rfind(". ", 0, LIMIT_CHARACTERS)
    if sentence > LIMIT_CHARACTERS // 2:
        return text[: sentence + 1]
    return text[: text.rfind(" ", 0, LIMIT_CHARACTERS - 1)].rstrip(",;:") + " …"
