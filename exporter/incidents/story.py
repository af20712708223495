"""An incident's story: what happened in order, what is known and unknown, and what to do, once.

Owns what is taken of each alert's advice and how it is put together. Refuses
to word the advice itself (the catalog's) and to render.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from exporter.alert import Alert
from exporter.catalog.uid import with_uid
from exporter.incidents.entities import Entity, entities_of, place_of
from exporter.incidents.incident import Incident, Member
from exporter.incidents.steps import merged
from exporter.report import Advice, Command, Prose, Span, Technique, to_plain
from exporter.verdict.judgement import VERDICTS

MEMBERS_LIMIT = 48
"""Members whose advice is looked at; the most severe first."""
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
    """Of its most severe alert."""
    escalate_if: Prose
    steps: tuple[Command, ...]
    """Look, keep, contain with what verifies it, recover; none twice."""
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
    ranked = sorted(enumerate(incident.members), key=_gravity)[:MEMBERS_LIMIT]
    advised = {number: advice_for(member.alert) for number, member in ranked}
    timeline = tuple(
        [
            Moment(member, *_said(advised.get(number), member), place_of(member.alert))
            for number, member in enumerate(incident.members)
        ]
    )
    by_gravity = [(member, advised[number]) for number, member in ranked]
    gravest = by_gravity[0][1]
    steps, left_out = merged([(member.alert, advice) for member, advice in by_gravity])
    entities = entities_of(incident)
    chain = _chain(timeline)
    uid = by_gravity[0][0].alert.uid
    return Story(
        incident=incident,
        what=_what(incident, entities, chain),
        chain=chain,
        timeline=timeline,
        known=tuple(_known(incident, by_gravity)),
        unknown=tuple(_unknown(incident, [advice for _, advice in by_gravity])),
        close_if=with_uid(gravest, uid).close_if,
        escalate_if=with_uid(gravest, uid).escalate_if,
        steps=steps,
        steps_left_out=left_out,
        entities=entities,
    )


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


def _unknown(incident: Incident, advised: Sequence[Advice]) -> Iterator[Prose]:
    seen: dict[str, Prose] = {}
    for source in sorted({member.alert.source for member in incident.members} & _SOURCES_LACK.keys()):
        seen[source] = (Span("text", _SOURCES_LACK[source]),)
    for advice in advised:
        for prose in advice.unknown:
            seen.setdefault(to_plain(prose), prose)
    yield from list(seen.values())[:UNKNOWN_LIMIT]
    yield (Span("text", "what Falco has no rule for: read the logs of the time between the alerts."),)
