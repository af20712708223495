"""Which mutants there are: of each block in the catalog, in an order that never changes, each with a name.

A mutant is called ``DIGEST-OPERATOR-NUMBER``: the first eight digits of the
block's digest, what was done to it, and which of these it is, from 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from exporter.catalog.template import PLACEHOLDER, CommandTemplate
from exporter.errors import CatalogError
from exporter.lint.proven import Block, blocks
from exporter.lint.shell import Script, syntax_errors
from tests.lab.mutants.operators import OPERATORS, drop, silence
from tests.lab.steps import reporter

LOOKS = "looks"
"""Names the mutants of blocks that change nothing: one command left out."""
NAMES = (*OPERATORS, LOOKS)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One block with one fault."""

    name: str
    block: Block
    text: str
    """The block as its author would have written it with the fault."""

    @property
    def kind(self) -> str:
        """What was done to it, one of ``NAMES``."""
        return self.name.split("-")[1]

    @property
    def difference(self) -> str:
        """The lines that differ, each with ``-`` or ``+`` before it."""
        lines = difflib.ndiff(self.block.template.text.splitlines(), self.text.splitlines())
        return "\n".join(line for line in lines if line[0] in "-+")


def mutants_of(block: Block) -> list[Mutant]:
    """Return a block's mutants, the most telling first, those included that no shell parses."""
    operators = OPERATORS if block.changes else {LOOKS: lambda text: chain(drop(text), silence(text))}
    seen = {block.template.text}
    found = []
    for operator, changes in operators.items():
        number = 0
        for change in changes(block.template.text):
            text = change.applied(block.template.text)
            if text not in seen:
                seen.add(text)
                number += 1
                found.append(Mutant(f"{block.digest[:8]}-{operator}-{number}", block, text))
    return found


def of_block(digest: str) -> Sequence[Mutant]:
    """Return the mutants of a block by its digest, without those that could not be pasted at all."""
    block = _blocks().get(digest)
    return _pasteable(block) if block else ()


def named(name: str) -> Mutant | None:
    """Return a mutant by its name; None where there is none, as when its block has changed."""
    for digest, block in _blocks().items():
        if digest.startswith(name.partition("-")[0]):
            return next((mutant for mutant in _pasteable(block) if mutant.name == name), None)
    return None


@cache
def _blocks() -> Mapping[str, Block]:
    return {block.digest: block for block in blocks(reporter().catalog)}


@cache
def _pasteable(block: Block) -> Sequence[Mutant]:
    return _parsing(mutants_of(block))


def _parsing(made: Iterable[Mutant]) -> list[Mutant]:
    """Leave out what no shell and no template parses."""
    kept = [mutant for mutant in made if _is_template(mutant.text)]
    scripts = [Script(mutant.name, mutant.block.rule, PLACEHOLDER.sub("x", mutant.text)) for mutant in kept]
    wrong = {script.text for script, _ in syntax_errors(scripts)}
    return [mutant for mutant, script in zip(kept, scripts, strict=True) if script.text not in wrong]


def _is_template(text: str) -> bool:
    try:
        CommandTemplate(text)
    except CatalogError:
        return False
    return True
