"""From the history to exceptions, each counted by what it would have hidden.

Owns the two walks through the history: one finds what alerts that are no
attacks have in common, by the fields that the rule's own advice compares, and
of a large history looks at every so manieth; the other asks of every alert of
these rules, by the evaluator of conditions, whether the exception hides it.
Memory does not grow with the history.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from exporter.alert import Alert
from exporter.catalog.catalog import Catalog
from exporter.catalog.exception import ExceptionStep
from exporter.catalog.model import offered
from exporter.derived import lookup_of
from exporter.escaping import Unembeddable
from exporter.falco.condition import compile_condition
from exporter.falco.exceptions import Comparison, exception_name, write_exception
from exporter.falco.rules import RuleException, paste_exceptions
from exporter.falco.tokens import ConditionError
from exporter.history.facts import Row
from exporter.history.history import History
from exporter.kept import Kept
from exporter.redaction import MASK
from exporter.verdict.judgement import VERDICTS

CANDIDATES = 5_000
"""Different exceptions that are counted in the first walk; values are the senders' choice."""
CANDIDATES_PER_RULE = 50
SAMPLE = 100_000
"""Alerts about so many of which the first walk reads, evenly spread; what it finds is counted exactly by the second."""
KEPT_ANSWERS, KEPT_BYTES = 20_000, 16 * 1024 * 1024
"""Values of compared fields for which is remembered what hides them."""
EXAMPLES = 3
_ALWAYS = "not evt.num = -1"
"""A condition that holds for every alert, so that only the exception decides."""

Survives = Callable[[Alert], bool]


class Exclusion(NamedTuple):
    """What decides whether an exception hides an alert."""

    survives: Survives
    """Tells whether an alert would still have come."""
    fields: tuple[str, ...]
    """All that it looks at."""


@dataclass(slots=True)
class Proposal:
    """One exception and what it would have hidden."""

    rule: str
    source: str
    comparisons: tuple[Comparison, ...]
    content: str
    """The exception as a rules file."""
    hidden: Counter[str] = field(default_factory=Counter)
    """Alerts that it would have hidden, by verdict."""
    examples: list[Alert] = field(default_factory=list)

    @property
    def alerts(self) -> int:
        """How many alerts it would have hidden."""
        return self.hidden.total()

    @property
    def name(self) -> str:
        """The exception's name in the file."""
        return exception_name(self.rule, self.comparisons)

    @property
    def by_verdict(self) -> Mapping[str, int]:
        """What it would have hidden, the most severe verdict first, without those of which there are none."""
        return {verdict: self.hidden[verdict] for verdict in VERDICTS if self.hidden[verdict]}


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is proposed for a time."""

    since_ns: int
    until_ns: int
    alerts: int
    """Alerts of this time."""
    proposals: Sequence[Proposal]
    """Those that would have hidden most first."""
    removed: int
    """Alerts that all of them together would have hidden; one that two would have hidden counts once."""


def propose(
    history: History, catalog: Catalog, since_ns: int, until_ns: int, *, minimum: int = 10, limit: int = 20
) -> Tuning:
    """Return at most ``limit`` exceptions that would each have hidden ``minimum`` alerts or more.

    Raises HistoryError.
    """
    total = sum(history.tally(("verdict",), since_ns, until_ns).values())
    candidates = _candidates(history, catalog, (since_ns, until_ns), minimum, stride=-(-total // SAMPLE) or 1)
    by_rule: dict[str, list[tuple[Proposal, Exclusion]]] = defaultdict(list)
    for proposal in candidates:
        if (exclusion := exclusion_of(proposal.content)) is not None:
            by_rule[proposal.rule].append((proposal, exclusion))
    covers = _count(history, catalog, (since_ns, until_ns), by_rule)
    good = [
        proposal
        for found in by_rule.values()
        for proposal, _ in found
        if not proposal.hidden["attack"] and proposal.alerts >= minimum
    ]
    good.sort(key=lambda each: (-each.alerts, each.rule, each.name))
    chosen = good[:limit]
    names = {proposal.name for proposal in chosen}
    removed = sum(count for hidden_by, count in covers.items() if names & hidden_by)
    return Tuning(since_ns, until_ns, total, chosen, removed)


def _candidates(
    history: History, catalog: Catalog, span_ns: tuple[int, int], minimum: int, *, stride: int
) -> list[Proposal]:
    """Return exceptions that hide ``minimum`` alerts or more, by what every ``stride``-th of each rule says."""
    seen: Counter[str] = Counter()

    def is_wanted(row: Row) -> bool:
        if row.verdict == "attack":
            return False
        seen[row.rule] += 1
        return seen[row.rule] % stride == 1 % stride

    counted: Counter[tuple[str, str, tuple[Comparison, ...]]] = Counter()
    for row, alert in history.alerts(*span_ns, wanted=is_wanted):
        step_comparisons = _comparisons(catalog, alert, row.verdict)
        if step_comparisons is not None and (step_comparisons in counted or len(counted) < CANDIDATES):
            counted[step_comparisons] += 1
    found, per_rule = [], Counter[str]()
    for (rule, source, comparisons), count in sorted(counted.items(), key=lambda item: (-item[1], item[0][0])):
        if count * stride < minimum or per_rule[rule] >= CANDIDATES_PER_RULE:
            continue
        try:
            content = write_exception(rule, source, comparisons)
        except Unembeddable:
            continue
        per_rule[rule] += 1
        found.append(Proposal(rule, source, comparisons, content))
    return found


def _comparisons(catalog: Catalog, alert: Alert, verdict: str) -> tuple[str, str, tuple[Comparison, ...]] | None:
    """Return rule, source and what its exception compares; None where none is offered, or a value was masked."""
    lookup = lookup_of(alert)
    for step in offered(catalog.advice_for(alert).tuning, verdict):
        if isinstance(step, ExceptionStep) and (comparisons := step.comparisons(lookup)):
            masked = any(MASK in comparison.value for comparison in comparisons)
            return None if masked else (step.rule, step.source, tuple(comparisons))
    return None


def exclusion_of(content: str) -> Exclusion | None:
    """Return what tells whether an exception hides an alert; None where Falco refuses it."""
    written = yaml.safe_load(content)[0]["exceptions"][0]
    row = tuple(tuple(value) if isinstance(value, list) else value for value in written["values"][0])
    exception = RuleException(written["name"], tuple(written["fields"]), tuple(written["comps"]), (row,))
    try:
        evaluate = compile_condition(paste_exceptions(_ALWAYS, (exception,)))
    except ConditionError:
        return None
    return Exclusion(lambda alert: evaluate(alert.all_fields().get) is not False, tuple(written["fields"]))


Answers = Kept[tuple[str | None, ...], tuple[list[Proposal], frozenset[str]]]
"""From a rule and the values of compared fields to the exceptions that hide such an alert, and their names."""


def _count(
    history: History,
    catalog: Catalog,
    span_ns: tuple[int, int],
    by_rule: Mapping[str, Sequence[tuple[Proposal, Exclusion]]],
) -> Counter[frozenset[str]]:
    """Count what each exception hides; return how many alerts each set of exceptions hides together."""
    together: Counter[frozenset[str]] = Counter()
    judge = catalog.judge.judge
    answers: Answers = Kept(KEPT_ANSWERS, KEPT_BYTES)
    hiding = {rule: _Hiding(rule, found, answers) for rule, found in by_rule.items()}
    for row, alert in history.alerts(*span_ns, wanted=lambda row: row.rule in by_rule):
        hidden_by, names = hiding[row.rule](alert)
        if not hidden_by:
            continue
        # What was an attack when it came stays one, and so does what today's signs call one.
        verdict = "attack" if row.verdict == "attack" else judge(alert).verdict
        for proposal in hidden_by:
            proposal.hidden[verdict] += 1
            if len(proposal.examples) < EXAMPLES:
                proposal.examples.append(alert)
        together[names] += 1
    return together


class _Hiding:
    """Finds which exceptions of one rule hide an alert; asks once about alerts whose compared fields are the same."""

    def __init__(self, rule: str, found: Sequence[tuple[Proposal, Exclusion]], answers: Answers) -> None:
        self._rule = rule
        self._found = found
        self._fields = tuple(dict.fromkeys(name for _, exclusion in found for name in exclusion.fields))
        self._names = {id(proposal): proposal.name for proposal, _ in found}
        self._answers = answers

    def __call__(self, alert: Alert) -> tuple[list[Proposal], frozenset[str]]:
        """Return the exceptions, and their names."""
        values = (self._rule, *map(alert.all_fields().get, self._fields))
        answer = self._answers.get(values)
        if answer is None:
            hidden_by = [proposal for proposal, exclusion in self._found if not exclusion.survives(alert)]
            answer = hidden_by, frozenset(self._names[id(proposal)] for proposal in hidden_by)
            self._answers.keep(values, answer, sum(len(value or "") for value in values))
        return answer
