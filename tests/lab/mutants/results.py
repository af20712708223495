"""What came of each mutant: `python -m tests.lab.mutants` prints the figures, with ``--survivors`` each survivor.

One line of JSON a run, added as soon as it is known: several workers write to
the same file, a run that was broken off goes on where it was, and others may
read meanwhile. A mutant is found if any scenario has found it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FOUND, SURVIVED = "found", "survived"


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario's run with one mutant."""

    mutant: str
    test: str
    """The scenario's name in pytest."""
    outcome: str
    """``found`` or ``survived``."""
    seconds: float
    why: str = ""
    """What the scenario said when it failed, its first line."""


class File:
    """The results in one file, read again as far as others have added to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_bytes = 0
        self._results: list[Result] = []
        self._tests: dict[str, list[str]] = {}

    def add(self, result: Result) -> None:
        """Add one line, in one write."""
        line = json.dumps(asdict(result), ensure_ascii=True) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line.encode("ascii"))
        finally:
            os.close(handle)

    def results(self) -> list[Result]:
        """Return every result so far."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._read_bytes)
                lines = file.read().rpartition(b"\n")[0]
            if lines:
                self._read_bytes += len(lines) + 1
                for line in lines.splitlines():
                    result = Result(**json.loads(line))
                    self._results.append(result)
                    self._tests.setdefault(result.mutant, []).append(result.test)
        return self._results

    def tests_of(self, mutant: str) -> list[str]:
        """Return the tests that have run a mutant, as far as has been read."""
        return self._tests.get(mutant, [])

    def found(self, since: int = 0) -> set[str]:
        """Return the mutants that some scenario has found, in the results from one on."""
        return {result.mutant for result in self.results()[since:] if result.outcome == FOUND}


def survivors(results: Iterable[Result]) -> Mapping[str, list[Result]]:
    """Return the runs of each mutant that no scenario has found, in the order in which they came."""
    runs: dict[str, list[Result]] = {}
    for result in results:
        runs.setdefault(result.mutant, []).append(result)
    return {name: found for name, found in runs.items() if all(run.outcome == SURVIVED for run in found)}


def source_of(results: Iterable[Result]) -> str:
    """Return the folder of the scenario that ran a mutant first, which is its source's name."""
    return Path(next(iter(results)).test.partition("::")[0]).parent.name
