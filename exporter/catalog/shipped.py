"""The shipped catalog, read as it is needed.

Owns when an entry is read: with the first alert of its rule. One Falco's
alerts come from a few rules, and reading a whole file would let its first
alert wait for up to 0.1 s (docs/performance.md). Refuses an operator's own
files, which are checked whole before anything starts.
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

_ENTRY = re.compile(r"""^  - rule: (?P<quote>"?)(?P<rule>.+)(?P=quote)\n""", re.MULTILINE)
"""Where an entry begins. Nothing inside of one stands so far left, blocks of text included."""


class ShippedCatalog(Catalog):
    """Every shipped entry; the rules' index says which file it is in. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._files = {path.stem: path for path in shipped_files() if path.parent.name != "procedures"}
        self._texts: dict[str, dict[str, str]] = {}
        """What is not read yet of each file that was opened: rule to its part of the file."""
        self._read: set[str] = set()
        """Rules whose entries were read."""
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
            for file in self._files:
                for rule in list(self._texts_of(file)):
                    self._read_entry(file, rule)
        return super().entries

    def entry(self, rule: str, source: str = "") -> Entry | None:
        """Return the entry written for this rule, under its current or an earlier name; None where there is none."""
        facts = self.facts(rule)
        if facts is None:
            return None
        if facts.rule not in self._read:
            with self._lock:
                self._read_entry(_file_of(facts), facts.rule)
        return super().entry(facts.rule, source)

    def covers(self, rule: str, source: str) -> bool:
        """Whether there is an entry written for this rule: every official rule has one. Reads no file."""
        return self.facts(rule) is not None

    def _texts_of(self, file: str) -> dict[str, str]:
        if file not in self._texts:
            self._texts[file] = dict(_entries_in(read_text(self._files[file], CatalogError)))
        return self._texts[file]

    def _read_entry(self, file: str, rule: str) -> None:
        text = self._texts_of(file).pop(rule, None)
        if text is not None:
            facts = self.rules.get(rule)
            documents = Documents(procedures=dict(self.procedures), outputs=outputs_of([facts] if facts else []))
            load_documents([document_of(text, self._files[file], CatalogError)], documents)
            self._add(documents.entries.values())
        # Last, for others look here without the lock.
        self._read.add(rule)


def _file_of(facts: RuleFacts) -> str:
    return facts.ruleset.removesuffix(".yaml")


def _entries_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield each entry's rule and a document that has this entry only, at the lines that it has in the file."""
    starts = list(_ENTRY.finditer(text))
    head = text[: starts[0].start()]
    ends = [*(start.start() for start in starts[1:]), len(text)]
    for start, end in zip(starts, ends, strict=True):
        lines_before = text.count("\n", len(head), start.start())
        yield start["rule"], head + "\n" * lines_before + text[start.start() : end]
