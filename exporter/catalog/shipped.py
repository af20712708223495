"""The shipped catalog, read as it is needed.

Owns when an entry is read: with the first alert of its rule. One Falco's
alerts come from a few rules, and the first would wait for a whole file
(docs/performance.md). Refuses an operator's own files, which are checked
whole before anything starts.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping

from exporter.catalog.catalog import Catalog, outputs_of, shipped_files
from exporter.catalog.index import RuleFacts, official_rules
from exporter.catalog.loader import Documents, load_documents, load_files
from exporter.catalog.model import Entry
from exporter.catalog.procedures import Procedure
from exporter.errors import CatalogError
from exporter.yaml_nodes import document_of, read_text

_RULE = "  - rule: "
_ENTRY = re.compile(f"^(?={_RULE})", re.MULTILINE)
"""Where an entry begins. Nothing inside of one stands so far left, blocks of text included."""


class ShippedCatalog(Catalog):
    """Every shipped entry; the rules' index says which file it is in. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._files = {path.stem: path for path in shipped_files() if path.parent.name != "procedures"}
        self._texts: dict[str, dict[str, str]] = {}
        """What is not read yet of each file that was opened: rule to its part of the file."""
        super().__init__((), (), official_rules())

    @property
    def procedures(self) -> Mapping[str, Procedure]:
        """Steps that several entries share, by name."""
        with self._lock:
            if not self._procedures:
                documents = Documents()
                load_files([path for path in shipped_files() if path.parent.name == "procedures"], documents)
                self._procedures = documents.procedures
            return self._procedures

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, by source and rule."""
        with self._lock:
            for facts in self.rules.values():
                self._read(facts)
        return super().entries

    def entry(self, rule: str, source: str = "") -> Entry | None:
        """Return the entry written for this rule, under its current or an earlier name; None where there is none."""
        facts = self.facts(rule)
        if facts is None:
            return None
        found = super().entry(facts.rule, source)
        if found is None:
            with self._lock:
                self._read(facts)
            found = super().entry(facts.rule, source)
        return found

    def covers(self, rule: str, source: str) -> bool:
        """Whether there is an entry written for this rule: every official rule has one. Reads no file."""
        return self.facts(rule) is not None

    def _read(self, facts: RuleFacts) -> None:
        """Read the rule's entry where it was not yet. Raises CatalogError, each time, for a damaged file."""
        name = facts.ruleset.removesuffix(".yaml")
        path = self._files[name]
        if name not in self._texts:
            self._texts[name] = dict(_entries_in(read_text(path, CatalogError)))
        unread = self._texts[name]
        if facts.rule in unread:
            documents = Documents(procedures=dict(self.procedures), outputs=outputs_of([facts]))
            load_documents([document_of(unread[facts.rule], path, CatalogError)], documents)
            self._add(documents.entries.values())
            del unread[facts.rule]


def _entries_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield each entry's rule and a document that has this entry only, at the lines that it has in the file."""
    head, *entries = _ENTRY.split(text)
    lines_before = 0
    for entry in entries:
        rule = entry.partition("\n")[0].removeprefix(_RULE).strip('"')
        yield rule, head + "\n" * lines_before + entry
        lines_before += entry.count("\n")
