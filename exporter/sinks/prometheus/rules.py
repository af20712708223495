"""What ``falco_rule_info`` says of a rule.

Owns the description's shape and its labels; refuses to know where the words
come from (the catalog, through a callable).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from exporter.escaping import label_value
from exporter.sinks.prometheus.series import OVERFLOW, Key


class RuleDescription(Protocol):
    """What is constant about a rule: no value of any alert is in it."""

    @property
    def maturity(self) -> str:
        """Upstream's word: stable, incubating, sandbox, deprecated; empty when it has none."""

    @property
    def tactics(self) -> Sequence[str]:
        """ATT&CK tactics, names."""

    @property
    def techniques(self) -> Sequence[str]:
        """ATT&CK techniques, identifiers."""

    @property
    def summary(self) -> str:
        """What happened, in general."""

    @property
    def impact(self) -> str:
        """What may follow."""

    @property
    def mitigation(self) -> str:
        """The first step against it, one sentence or one command."""

    @property
    def runbook(self) -> str:
        """A URL; empty when there is none."""


Describe = Callable[[str, str], RuleDescription | None]
"""From a rule's name and source to its description; None where there is none."""

NOTHING = ("",) * 7


class RuleInfos:
    """Label values of ``falco_rule_info`` after rule, priority and source; made once a rule."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._labels: dict[Key, tuple[str, ...]] = {}

    def labels(self, key: Key) -> tuple[str, ...]:
        """Return maturity, tactics, techniques, summary, impact, mitigation and runbook of a rule seen."""
        labels = self._labels.get(key)
        if labels is None:
            labels = self._labels[key] = self._make(str(key[0]), str(key[2]))
        return labels

    def _make(self, rule: str, source: str) -> tuple[str, ...]:
        said = None if rule == OVERFLOW else self._describe(rule, source)
        if said is None:
            return NOTHING
        texts = (said.maturity, ", ".join(said.tactics), ", ".join(said.techniques))
        return tuple(map(label_value, (*texts, said.summary, said.impact, said.mitigation, said.runbook)))
