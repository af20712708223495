"""The catalog: which advice a rule gets.

Owns matching an alert to its entry: by rule and source, by rule alone, by a
name that upstream used earlier, and otherwise by composing general advice.
Refuses to render anything (see ``report.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path

from exporter.alert import Alert, Priority
from exporter.catalog.compose import Composer
from exporter.catalog.index import RuleFacts, official_rules
from exporter.catalog.loader import Documents, load_files
from exporter.catalog.model import Entry
from exporter.catalog.procedures import Procedure
from exporter.errors import CatalogError
from exporter.verdict.files import load_language
from exporter.verdict.judge import Judge
from exporter.verdict.language import Language
from exporter.verdict.sign import Sign


class Catalog:
    """Every entry, ready to be matched."""

    def __init__(
        self,
        entries: Iterable[Entry],
        procedures: Iterable[Procedure],
        rules: Iterable[RuleFacts],
        *,
        signs: tuple[Language, tuple[Sign, ...]] | None = None,
    ) -> None:
        """Take the general signs with the lists and macros in them; None: the shipped ones."""
        self._signs = signs
        self._entries: dict[tuple[str, str], Entry] = {}
        self.rules = {facts.rule: facts for facts in rules}
        """Facts of the official rules, by name."""
        self._current = {name: facts.rule for facts in self.rules.values() for name in facts.former_names}
        self._by_name: dict[str, Entry] = {}
        self._procedures = {procedure.name: procedure for procedure in procedures}
        self._add(entries)

    def _add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._entries[entry.rule, entry.source] = entry
            self._current.update(dict.fromkeys(entry.former_names, entry.rule))
            self._by_name[entry.rule] = entry

    @property
    def procedures(self) -> Mapping[str, Procedure]:
        """Steps that several entries share, by name."""
        return self._procedures

    @cached_property
    def composer(self) -> Composer:
        """What composes advice for rules without an entry."""
        return Composer(self.procedures)

    @cached_property
    def judge(self) -> Judge:
        """What judges alerts, by the general signs and by those of the alert's entry."""
        language, signs = self._signs or load_language()
        return Judge(signs, language, self.signs_for)

    def signs_for(self, alert: Alert) -> tuple[Sign, ...]:
        """Return the signs of the alert's entry."""
        entry = self.match(alert)
        return entry.signs if entry else ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, by source and rule."""
        return tuple(sorted(self._entries.values(), key=lambda entry: (entry.source, entry.rule)))

    def entry(self, rule: str, source: str = "") -> Entry | None:
        """Return the entry written for this rule, under its current or an earlier name; None where there is none."""
        found = self._entries.get((rule, source)) or self._by_name.get(rule)
        return found or self._by_name.get(self._current.get(rule, ""))

    def covers(self, rule: str, source: str) -> bool:
        """Whether there is an entry written for this rule."""
        return self.entry(rule, source) is not None

    def facts(self, rule: str) -> RuleFacts | None:
        """Return what upstream's rules files say about the rule, by its current or an earlier name."""
        return self.rules.get(rule) or self.rules.get(self._current.get(rule, ""))

    def match(self, alert: Alert) -> Entry | None:
        """Return the alert's entry, None where none was written for its rule."""
        return self.entry(alert.rule, alert.source)

    def prepare(self, source: str) -> None:
        """Make what the first alert of this source would wait for: shared steps, and the judge's tables."""
        _ = self.procedures
        self.judge.judge(Alert(0, "", Priority.DEBUG, source, "", "", {}, ()))

    def advice_for(self, alert: Alert) -> Entry:
        """Return the advice written for the alert's rule, otherwise general advice (``composed``)."""
        return self.match(alert) or self.composer.advice_for(alert)


def outputs_of(rules: Iterable[RuleFacts]) -> dict[str, frozenset[str]]:
    """Return which fields each rule's output names, by rule."""
    return {facts.rule: frozenset(facts.fields) for facts in rules}


def shipped_files() -> list[Path]:
    """Return the catalog files that come with the program."""
    root = Path(str(resources.files("exporter.catalog").joinpath("data")))
    entries = [path for path in root.glob("*.yaml") if path.name != "attack.yaml"]
    return sorted([*entries, *root.joinpath("procedures").glob("*.yaml")])


def load_catalog(directories: Sequence[Path] = ()) -> Catalog:
    """Return the shipped catalog with the operator's own directories laid over it, in order.

    Raises CatalogError naming file, line and key.
    """
    rules = official_rules()
    signs = load_language(directories)
    documents = Documents(outputs=outputs_of(rules), language=signs[0])
    load_files(shipped_files(), documents)
    for directory in directories:
        if not directory.is_dir():
            raise CatalogError(f"{directory}: no such directory; catalog directories hold *.yaml files")
        load_files(sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")]), documents, overlay=True)
    catalog = Catalog(documents.entries.values(), documents.procedures.values(), rules, signs=signs)
    _ = catalog.composer.pieces  # an operator's procedure may have taken a shipped one's place: say so now
    return catalog
