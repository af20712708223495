"""An incident's story: what happened in order, what is known and unknown, and what to do, once.

Owns what is taken of each alert's advice and how it is put together. Refuses
to word the advice itself (the catalog's) and to render.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from exporter.alert import Alert
from exporter.catalog.advice import title_alone
from exporter.catalog.uid import with_uid
from exporter.incidents.entities import Entity, entities_of, place_of
from exporter.incidents.incident import Incident, Member
from exporter.incidents.steps import Merged, merged
from exporter.report import Advice, Command, Prose, Span, Technique, to_plain
from exporter.verdict.judgement import VERDICTS

ADVICE_LIMIT = 48
"""Alerts whose advice is looked at: the first of each member, the most severe first, then their others."""
KNOWN_LIMIT, UNKNOWN_LIMIT = 6, 5

AdviceFor = Callable[[Alert], Advice]
"""Gives an alert's advice; with the uid's stand-in where it names the uid."""


class Moment(NamedTuple):
    """One line of the timeline."""

    member: Member
    summary: Prose
    techniques: tuple[Technique, ...]
    place: str
    """Pod, container, principal or host; empty where the alert names none."""


class Story(NamedTuple):
    """Everything that an incident says."""

    incident: Incident
    what: Prose
    """What and where, for the title."""
    chain: tuple[str, ...]
    """ATT&CK tactics in the order in which they were first seen."""
    timeline: tuple[Moment, ...]
    known: tuple[Prose, ...]
    unknown: tuple[Prose, ...]
    close_if: Prose
    """Of its most severe alert, which is named where there are several rules."""
    escalate_if: Prose
    steps: tuple[Command, ...]
    """Look, keep, contain with what verifies it, recover; none twice."""
    steps_of: tuple[Prose, ...]
    """Of each step the alert, by time and rule, where its title by itself does not tell; else empty."""
    steps_left_out: int
    """Steps that the alerts' own reports have besides."""
    entities: tuple[Entity, ...]

    @property
    def verdict_words(self) -> str:
        """The verdict and what to do about it."""
        return _VERDICT_WORDS[self.incident.verdict]

    @property
    def title(self) -> Prose:
        """Verdict, what to do, what happened and where."""
        return (Span("text", f"{self.verdict_words}: "), *self.what)


_VERDICT_WORDS = {
    "attack": "LIKELY ATTACK, escalate now",
    "undecided": "UNDECIDED, decide on the alerts together",
    "benign": "LIKELY BENIGN, confirm, then close",
    "test": "LOOKS LIKE A TEST, confirm, then close",
}


def story_of(incident: Incident, advice_for: AdviceFor) -> Story:
    """Tell the incident: ``advice_for`` is asked for an alert of each member, the most severe members first."""
    ranked = sorted(enumerate(incident.members), key=_gravity)[:ADVICE_LIMIT]
    advised = {number: advice_for(member.alert) for number, member in ranked}
    timeline = tuple(
        [
            Moment(member, *_said(advised.get(number), member), place_of(member.alert))
            for number, member in enumerate(incident.members)
        ]
    )
    by_gravity = [(member, advised[number]) for number, member in ranked]
    gravest, advice = by_gravity[0]
    advice = with_uid(advice, gravest.alert.uid)
    close_if, escalate_if = advice.close_if, advice.escalate_if
    if _rules(incident) > 1:
        close_if, escalate_if = _of_all(gravest.alert, close_if, escalate_if)
    steps = merged([*[(member.alert, advice) for member, advice in by_gravity], *_further(ranked, advice_for)])
    entities = entities_of(incident)
    chain = _chain(timeline)
    return Story(
        incident=incident,
        what=_what(incident, entities, chain),
        chain=chain,
        timeline=timeline,
        known=tuple(_known(incident, by_gravity)),
        unknown=tuple(_unknown(incident, by_gravity)),
        close_if=close_if,
        escalate_if=escalate_if,
        steps=steps.steps,
        steps_of=tuple(_told_apart(steps)),
        steps_left_out=steps.left_out,
        entities=entities,
    )


def _further(ranked: Sequence[tuple[int, Member]], advice_for: AdviceFor) -> Iterator[tuple[Alert, Advice]]:
    """Yield the other alerts of each member with their advice: they may be of another program, file or peer."""
    others = (alert for _, member in ranked for alert in member.alerts[1:])
    for alert in islice(others, ADVICE_LIMIT - len(ranked)):
        yield alert, advice_for(alert)


def _rules(incident: Incident) -> int:
    return len({member.alert.rule for member in incident.members})


def _of_all(alert: Alert, close_if: Prose, escalate_if: Prose) -> tuple[Prose, Prose]:
    """Return when to close and when to escalate, of several rules: by the gravest alert's own words, and its name."""
    rule = _value(alert.rule)
    close = (Span("text", "every alert is explained; "), rule, Span("text", ", the most severe, if "), *close_if)
    escalate = (Span("text", "one of them is not; "), rule, Span("text", ", if "), *escalate_if)
    return close if close_if else (), escalate if escalate_if else ()


def _told_apart(steps: Merged) -> Iterator[Prose]:
    """Yield for each step which alert it is of, where another step has the same title."""
    titles = [to_plain(title_alone(step)) for step in steps.steps]
    count = Counter(titles)
    for title, alert in zip(titles, steps.alerts, strict=True):
        when = alert.time_text[:19].replace("T", " ")
        yield (Span("text", f"{when} "), _value(alert.rule)) if count[title] > 1 else ()


def _gravity(numbered: tuple[int, Member]) -> tuple[int, bool, int]:
    number, member = numbered
    judgement = member.judgement
    return VERDICTS.index(judgement.verdict), judgement.outcome == "refused", number


def _said(advice: Advice | None, member: Member) -> tuple[Prose, tuple[Technique, ...]]:
    if advice is None:
        return (Span("text", "See the alert's own report."),), ()
    return with_uid(advice, member.alert.uid).summary, advice.techniques


def _chain(timeline: Sequence[Moment]) -> tuple[str, ...]:
    tactics = [technique.tactic for moment in timeline for technique in moment.techniques[:1]]
    return tuple(dict.fromkeys(tactic for tactic in tactics if tactic))


def _what(incident: Incident, entities: Sequence[Entity], chain: Sequence[str]) -> Prose:
    alerts = "1 alert" if incident.count == 1 else f"{incident.count:,} alerts"
    spans = [Span("text", alerts)]
    if chain:
        steps = (chain[0], chain[-1]) if len(chain) > 1 else (chain[0],)
        spans.append(Span("text", f" from {steps[0]} to {steps[1]}" if len(steps) > 1 else f" of {steps[0]}"))
    if entities:
        spans += [Span("text", f" {entities[0].preposition} {entities[0].label.lower()} "), _value(entities[0].value)]
    return tuple(spans)


def _value(text: str) -> Span:
    return Span("value", text)


def _known(incident: Incident, by_gravity: Sequence[tuple[Member, Advice]]) -> Iterator[Prose]:
    if incident.raised_by:
        tactics = ", ".join(incident.raised_by)
        yield (Span("text", f"No single alert decides, but {len(incident.raised_by)} tactics chain here: {tactics}."),)
    counts = [(verdict, sum(member.count for member in incident.members if member.judgement.verdict == verdict))
              for verdict in VERDICTS]  # fmt: skip
    told = ", ".join(f"{count:,} {_COUNTED[verdict]}" for verdict, count in counts if count)
    yield (Span("text", f"Of {incident.count:,} alerts: {told}."),)
    refused = sum(member.count for member, _ in by_gravity if member.judgement.outcome == "refused")
    succeeded = sum(member.count for member, _ in by_gravity if member.judgement.outcome == "succeeded")
    yield (Span("text", f"What they report succeeded in {succeeded:,} and was refused in {refused:,}."),)
    seen: set[str] = set()
    for member, advice in by_gravity:
        for sign in advice.judgement.signs[:1]:
            plain = to_plain(sign.text)
            if sign.side == member.judgement.verdict and plain not in seen and len(seen) < KNOWN_LIMIT:
                seen.add(plain)
                yield sign.text


_COUNTED = {
    "attack": "by their signs a likely attack", "undecided": "undecided", "benign": "likely benign",
    "test": "by their signs a test",
}  # fmt: skip
_SOURCES_LACK = {
    "aws_cloudtrail": "Which access key was used: the alerts do not name it, and show an assumed role by its name.",
    "github": "Where the GitHub requests came from: their alerts have no address.",
}
"""What a source's alerts never say."""


def _unknown(incident: Incident, by_gravity: Sequence[tuple[Member, Advice]]) -> Iterator[Prose]:
    """Yield what is open; of several rules each with its rule, which its words do not name."""
    seen: dict[str, Prose] = {}
    for source in sorted({member.alert.source for member in incident.members} & _SOURCES_LACK.keys()):
        seen[source] = (Span("text", _SOURCES_LACK[source]),)
    names_rule = _rules(incident) > 1
    for member, advice in by_gravity:
        rule = (_value(member.alert.rule), Span("text", ": ")) if names_rule else ()
        for prose in advice.unknown:
            seen.setdefault(to_plain(prose), (*rule, *prose))
    yield from list(seen.values())[:UNKNOWN_LIMIT]
    yield (Span("text", "what Falco has no rule for: read the logs of the time between the alerts."),)
