"""The shipped catalog, read as it is needed.

Owns when a catalog file is read: with the first alert of one of its rules.
One Falco's alerts come from a few of the rules files, and reading them all
is half of a start and a quarter of the memory (docs/performance.md). Refuses
an operator's own files, which are checked whole before anything starts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from exporter.catalog.catalog import Catalog, outputs_of, shipped_files
from exporter.catalog.index import official_rules
from exporter.catalog.loader import Documents, load_files
from exporter.catalog.model import Entry
from exporter.catalog.procedures import Procedure


class ShippedCatalog(Catalog):
    """Every shipped entry; the rules' index says which file it is in. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._unread = {path.stem: path for path in shipped_files() if path.parent.name != "procedures"}
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
            for name in list(self._unread):
                self._read(name)
        return super().entries

    def entry(self, rule: str, source: str = "") -> Entry | None:
        """Return the entry written for this rule, under its current or an earlier name; None where there is none."""
        facts = self.facts(rule)
        if facts is None:
            return None
        name = facts.ruleset.removesuffix(".yaml")
        if name in self._unread:
            with self._lock:
                self._read(name)
        return super().entry(facts.rule, source)

    def covers(self, rule: str, source: str) -> bool:
        """Whether there is an entry written for this rule: every official rule has one. Reads no file."""
        return self.facts(rule) is not None

    def _read(self, name: str) -> None:
        path = self._unread.get(name)
        if path is None:
            return
        documents = Documents(procedures=dict(self.procedures), outputs=outputs_of(self.rules.values()))
        load_files([path], documents)
        self._add(documents.entries.values())
        # Last, for others look here without the lock.
        del self._unread[name]
