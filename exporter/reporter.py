"""From alert to report with one catalog: matching, names and links, ready for every sink.

Owns what is looked up once a rule and kept; refuses to render.
"""

from __future__ import annotations

from exporter.alert import Alert
from exporter.catalog.attack import techniques_of
from exporter.catalog.catalog import Catalog
from exporter.catalog.model import Entry
from exporter.report import Report, RuleContext, make_report


class Reporter:
    """Makes reports. Safe from any thread."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._contexts: dict[int, tuple[Entry, RuleContext]] = {}

    def report_for(self, alert: Alert) -> Report:
        """Return the alert's report: its rule's own advice, or general advice composed from its facts."""
        entry = self.catalog.advice_for(alert)
        return make_report(alert, entry, self._context(entry))

    def _context(self, entry: Entry) -> RuleContext:
        if entry.composed:
            return RuleContext("", techniques_of(entry.techniques))
        kept = self._contexts.get(id(entry))
        if kept is None:
            facts = self.catalog.facts(entry.rule)
            context = RuleContext(facts.maturity if facts else "", techniques_of(entry.techniques))
            # The entry is kept beside it, so that its id is never another's.
            kept = self._contexts[id(entry)] = (entry, context)
        return kept[1]
