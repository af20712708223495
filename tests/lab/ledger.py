"""Which blocks the lab has run, one file a scenario file, kept with the code.

``proven/SCENARIO.txt`` holds the digests (``exporter.catalog.proof``) of every
block that the passing scenarios of ``scenarios/SCENARIO.py`` ran. A block whose
author changed it since has another digest, so it is unproven until it is run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from pathlib import Path

LAB = Path(__file__).parent
PROVEN = LAB / "proven"
SCENARIOS = LAB / "scenarios"


@dataclass(slots=True)
class Ledger:
    """The blocks that one scenario ran."""

    digests: set[str] = field(default_factory=set)
    pasted: set[str] = field(default_factory=set)
    """Those as well that it pasted without proving anything by that."""

    def ran(self, digest: str) -> None:
        """Note that a block was run."""
        if digest:
            self.digests.add(digest)
            self.pasted.add(digest)


def file_of(scenario: Path) -> Path:
    """Return the results file of a scenario file."""
    return (PROVEN / scenario.relative_to(SCENARIOS)).with_suffix(".txt")


def read(file: Path) -> set[str]:
    """Return the digests in one results file; none where there is no such file."""
    return set(file.read_text("ascii").split()) if file.exists() else set()


def write(file: Path, ran: Iterable[str], *, is_whole: bool, present: Set[str]) -> None:
    """Write what a scenario file's passing scenarios ran, sorted; remove the results file where nothing was.

    Where not all of its scenarios ran (``is_whole``), what the others had
    proven stays as long as the block is still in the catalog (``present``).
    """
    lines = sorted({*ran} if is_whole else {*ran} | read(file) & present)
    if not lines:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), "ascii")


def proven() -> set[str]:
    """Return every digest in every results file."""
    return {digest for file in PROVEN.rglob("*.txt") for digest in read(file)}
