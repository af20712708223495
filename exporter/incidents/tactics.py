"""The ATT&CK tactics of a rule, as its entry or its tags say.

Owns what is kept of them: names of rules are the senders' choice.
"""

from __future__ import annotations

from exporter.catalog.catalog import Catalog
from exporter.catalog.describe import describe
from exporter.incidents.incident import TacticsOf
from exporter.kept import NAMES_CHARACTERS, Kept

_KEPT_RULES = 4_096


def tactics_by_rule(catalog: Catalog) -> TacticsOf:
    """Return what gives a rule's tactics by its name and source; none for a rule without an entry."""
    kept: Kept[tuple[str, str], tuple[str, ...]] = Kept(_KEPT_RULES, entry_bytes=NAMES_CHARACTERS)

    def tactics_of(rule: str, source: str) -> tuple[str, ...]:
        key = (rule, source)
        found = kept.get(key)
        if found is None:
            described = describe(catalog, rule, source)
            found = kept.keep(key, described.tactics if described else (), len(rule) + len(source))
        return found

    return tactics_of
