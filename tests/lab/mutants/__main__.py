"""`python -m tests.lab.mutants`: figures by source; ``--survivors [SOURCE]``: each survivor with its fault."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from tests.lab.ledger import LAB, PROVEN, SCENARIOS, read
from tests.lab.mutants import choice
from tests.lab.mutants.choice import Mutant
from tests.lab.mutants.results import File, Result, source_of, survivors


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.mutants", description=__doc__)
    parser.add_argument("--file", type=Path, default=LAB.parents[1] / ".lab-mutants.jsonl")
    parser.add_argument("--survivors", nargs="?", const="", metavar="SOURCE")
    arguments = parser.parse_args()
    results = [each for each in File(arguments.file).results() if choice.named(each.mutant)]
    if arguments.survivors is None:
        for line in figures(results):
            print(line)
        return
    for name, runs in survivors(results).items():
        mutant = choice.named(name)
        if mutant and arguments.survivors in {"", source_of(runs)}:
            print(described(mutant, runs))


def figures(results: list[Result]) -> list[str]:
    """Return a table in Markdown: by source and kind, how many mutants ran, were found and survived."""
    first: dict[str, list[Result]] = {}
    for result in results:
        first.setdefault(result.mutant, []).append(result)
    rows: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, runs in first.items():
        kind = name.split("-")[1]
        for row in ((source_of(runs), kind), (source_of(runs), "all"), ("all", kind), ("all", "all")):
            rows[row].add(name)
    left = set(survivors(results))
    lines = ["| Source | Kind | Blocks | Mutants | Found | Survived |", "|---|---|---|---|---|---|"]
    for (source, kind), names in sorted(rows.items()):
        blocks = {name.split("-")[0] for name in names}
        survived = len(names & left)
        lines.append(f"| {source} | {kind} | {len(blocks)} | {len(names)} | {len(names) - survived} | {survived} |")
    return lines


def described(mutant: Mutant, runs: list[Result]) -> str:
    """Return a survivor in some lines: its name, rule and step, the fault, and which scenarios missed it."""
    tests = dict.fromkeys(run.test.removeprefix("tests/lab/scenarios/") for run in runs)
    tried = {test.partition("::")[0] for test in tests}
    others = [name for name in _pasting(mutant.block.digest) if name not in tried]
    lines = [f"{mutant.name} | {mutant.block.rule} | {mutant.block.title}", mutant.difference]
    lines.append(f"  not found by: {', '.join(tests)}")
    if others:
        lines.append(f"  not tried with: {', '.join(others)}")
    return "\n".join(lines) + "\n"


def _pasting(digest: str) -> list[str]:
    """Return the scenario files that paste a block, by their results."""
    files = (SCENARIOS / path.relative_to(PROVEN) for path in sorted(PROVEN.rglob("*.txt")) if digest in read(path))
    return [str(file.relative_to(SCENARIOS).with_suffix(".py")) for file in files]


if __name__ == "__main__":
    main()
