"""The report: one alert, and what is to be said of it.

Owns what a report is made of. Everything in it is plain data: prose as
spans whose values still wait for their escaping, commands and file contents
already rendered with values quoted for shell or format. Refuses to know any
output format (see ``render/``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.alert import Alert
from exporter.catalog.advice import Advice, Change, Command, Reference, Technique
from exporter.catalog.model import Entry
from exporter.catalog.uid import UID_SENTINEL, with_uid
from exporter.derived import lookup_of
from exporter.details import details
from exporter.prose import Lookup, Prose, Span, to_plain
from exporter.verdict.judgement import UNDECIDED, Judgement, Matched

__all__ = [
    "Advice", "Change", "Command", "Judgement", "Matched", "Prose", "Reference", "Report", "Span",
    "Technique", "make_advice", "make_report", "to_plain",
]  # fmt: skip

Renderer = Callable[[Lookup, Judgement, str], Advice]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a reader needs of one alert.

    The advice names this alert's uid, even where another alert's advice is reused.
    """

    alert: Alert
    advice: Advice

    def __post_init__(self) -> None:
        object.__setattr__(self, "advice", with_uid(self.advice, self.alert.uid))

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """The alert's own facts: label and value, in order of reading."""
        return details(self.alert)


def make_report(alert: Alert, entry: Entry, maturity: str, judgement: Judgement = UNDECIDED) -> Report:
    """Return the report of one alert: the entry's advice with the alert's values in place."""
    return Report(alert, make_advice(alert, entry.render, maturity, judgement))


def make_advice(alert: Alert, render: Renderer, maturity: str, judgement: Judgement) -> Advice:
    """Return the advice of an entry with the alert's values in place, its uid excepted.

    ``render`` is the entry's own, or the quicker one of ``catalog.remembered``;
    ``maturity`` is upstream's word for the rule.
    """
    return render(lookup_of(alert, uid=UID_SENTINEL), judgement, maturity)
