"""How much of the advice has been run: the catalog's blocks against the results of the lab.

Owns the counting. A block is proven when its digest is among the results; one
that an author changed since has another digest. Refuses to run anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from exporter.catalog.catalog import Catalog
from exporter.catalog.model import Entry
from exporter.catalog.proof import digest
from exporter.catalog.template import CommandTemplate
from exporter.errors import CatalogError

CHANGING = frozenset({"contain", "recover"})
"""Phases whose blocks change somebody's system; so does every undo."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of an entry, as its author wrote it: a step's own, or its undo."""

    digest: str
    rule: str
    """The first rule that has it."""
    title: str
    """The step's title as written; an undo's begins with ``undo: ``."""
    template: CommandTemplate
    shell: str
    changes: bool
    """Whether it changes somebody's system."""
    unproven: str
    """Why its author says that it cannot be run; empty where he does not."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The count."""

    blocks: int
    proven: int
    changing: int
    changing_proven: int
    reasons: Counter[str] = field(default_factory=Counter)
    """Why blocks cannot be run, as their authors say, with how many."""
    waiting: tuple[Block, ...] = ()
    """Blocks that nobody has run since they last changed and that give no reason."""


def blocks(catalog: Catalog) -> Iterator[Block]:
    """Yield each block of the catalog's entries once, and of what rules without an entry get; undos included."""
    seen: set[str] = set()
    for entry in (*catalog.entries, *catalog.composer.pieces.values()):
        for block in blocks_of(entry):
            if block.digest not in seen:
                seen.add(block.digest)
                yield block


def blocks_of(entry: Entry) -> Iterator[Block]:
    """Yield each block of one entry, undos included."""
    for step in entry.commands:
        for template, prefix in ((step.run, ""), (step.undo, "undo: ")):
            if template.text:
                changes = bool(prefix) or step.phase in CHANGING
                title = prefix + step.title.text
                name = digest(template.text)
                yield Block(name, entry.rule, title, template, step.shell, changes, step.unproven)


def read_results(directory: Path) -> frozenset[str]:
    """Return every digest in a folder of results (``*.txt``, one a line). Raises CatalogError where it has none."""
    found = frozenset(word for file in sorted(directory.rglob("*.txt")) for word in file.read_text("utf-8").split())
    if not found:
        raise CatalogError(f"{directory}: no results found; expected a folder with files that `make lab` writes")
    return found


def count(catalog: Catalog, results: Set[str]) -> Proof:
    """Return how many of the catalog's blocks have been run."""
    every = list(blocks(catalog))
    proven = [block for block in every if block.digest in results]
    left = [block for block in every if block.digest not in results]
    return Proof(
        blocks=len(every),
        proven=len(proven),
        changing=sum(block.changes for block in every),
        changing_proven=sum(block.changes for block in proven),
        reasons=Counter(block.unproven for block in left if block.unproven),
        waiting=tuple(block for block in left if not block.unproven),
    )


def to_lines(proof: Proof) -> list[str]:
    """Return the count in words, one line each."""
    said = sum(proof.reasons.values())
    return [
        f"{proof.proven} of {proof.blocks} commands were run in the lab ({_percent(proof.proven, proof.blocks)}): "
        f"{said} cannot be, {len(proof.waiting)} wait",
        f"{proof.changing_proven} of {proof.changing} that change something were "
        f"({_percent(proof.changing_proven, proof.changing)})",
        *[f"  cannot be run: {reason} ({number})" for reason, number in proof.reasons.most_common()],
    ]


def _percent(part: int, whole: int) -> str:
    return f"{100.0 * part / whole:.1f} %" if whole else "none"
