"""What ``falco_rule_info`` says of a rule.

Owns the description's shape and its labels; refuses to know where the words
come from (the catalog, through a callable).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.escaping import label_value
from exporter.sinks.prometheus_series import OVERFLOW, Key


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
    impact: str = ""
    mitigation: str = ""
    """The first step against it, one sentence or one command."""
    runbook: str = ""
    """A URL."""


Describe = Callable[[str, str], RuleDescription | None]
"""From a rule's name and source to its description; None where there is none."""

NOTHING = RuleDescription()


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
        said = (None if rule == OVERFLOW else self._describe(rule, source)) or NOTHING
        texts = (said.maturity, ", ".join(said.tactics), ", ".join(said.techniques))
        return tuple(map(label_value, (*texts, said.summary, said.impact, said.mitigation, said.runbook)))
