"""Which rules are known before their first event, and which of them begin at 0."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from exporter.alert import Priority
from exporter.catalog.catalog import Catalog
from exporter.catalog.index import RuleFacts, facts_of
from exporter.config.model import Metrics
from exporter.falco.rules_file import read_rules_files
from exporter.sinks.prometheus.sink import KnownRule

logger = logging.getLogger(__name__)


def known_rules(settings: Metrics, catalog: Catalog) -> Iterator[KnownRule]:
    """Yield the rules of the rules files and of the catalog.

    Those of the files begin at 0; without files the stable ones do, which Falco loads by default. Raises ConfigError.
    """
    read = read_rules_files(settings.rules_files)
    own = facts_of(read)
    for problem in read.problems:
        logger.warning("metrics.rules_files: %s; Falco would not load it, so it is left out", problem)
    if settings.rules_files and not own:
        files = ", ".join(map(str, settings.rules_files))
        logger.warning("metrics.rules_files: found no rule in %s; expected Falco's rules files", files)
    for facts in own:
        yield _known(facts, begins_at_zero=True, covered=catalog.covers(facts.rule, facts.source))
    for facts in catalog.rules.values():
        default = facts.source == "internal" or (not own and facts.maturity == "stable")
        yield _known(facts, begins_at_zero=default)


def _known(facts: RuleFacts, *, begins_at_zero: bool, covered: bool | None = None) -> KnownRule:
    return KnownRule(facts.rule, Priority.from_label(facts.priority), facts.source, begins_at_zero, covered)
