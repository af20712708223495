"""Judge labelled alerts and compare: ``python tools/verdicts.py [FILE …]``, by default those of tests/verdicts.

Prints a confusion matrix by source, the three figures that are held, and
each alert that was judged wrong with its signs; ``--all`` prints every alert.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.prose import to_plain
from exporter.sources.decode import from_json
from exporter.verdict.judgement import VERDICTS, Judgement

FILES = sorted(Path(__file__).parent.parent.joinpath("tests", "verdicts").glob("*.jsonl"))
LABELS = ("attack", "undecided", "benign", "test")
"""``undecided`` is the label of what nobody could tell from the alert only."""


class Row(NamedTuple):
    """A labelled alert and what became of it."""

    id: str
    label: str
    outcome: str
    hard: bool
    alert: Alert
    judgement: Judgement

    @property
    def wrong(self) -> bool:
        """Whether it was decided, and not as the label says."""
        return self.judgement.verdict not in {self.label, "undecided"}


def judged(paths: Iterable[Path]) -> Iterator[Row]:
    """Yield every labelled alert of the files, judged by the shipped signs and entries."""
    judge = load_catalog().judge
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            alert = from_json(json.dumps(row["alert"]).encode())
            yield Row(row["id"], row["label"], row["outcome"], row.get("hard", False), alert, judge.judge(alert))


class Figures(NamedTuple):
    """What is held: counts and shares of all rows."""

    missed: int
    """Attacks that were called benign or a test."""
    precision: float
    """Of what was called an attack, the share that is."""
    decided: float
    """Of what can be decided, the share that was."""
    wrong: int
    outcomes: float
    """The share whose outcome is the label's."""


def figures(rows: Sequence[Row]) -> Figures:
    """Return the figures of these rows."""
    called = [row for row in rows if row.judgement.verdict == "attack"]
    decidable = [row for row in rows if row.label != "undecided"]
    return Figures(
        missed=sum(row.label == "attack" and row.judgement.verdict in {"benign", "test"} for row in rows),
        precision=sum(row.label == "attack" for row in called) / max(len(called), 1),
        decided=sum(row.judgement.verdict != "undecided" for row in decidable) / max(len(decidable), 1),
        wrong=sum(row.wrong for row in rows),
        outcomes=sum(row.outcome == row.judgement.outcome for row in rows) / max(len(rows), 1),
    )


def matrix(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the confusion matrix, a line for each source and label."""
    counts = Counter((row.alert.source, row.label, row.judgement.verdict) for row in rows)
    yield f"{'source':<16}{'label':<9}" + "".join(f"{verdict:>11}" for verdict in VERDICTS)
    for source in sorted({row.alert.source for row in rows}):
        for label in LABELS:
            found = [counts[source, label, verdict] for verdict in VERDICTS]
            if any(found):
                yield f"{source:<16}{label:<9}" + "".join(f"{count:>11}" for count in found)


def told(row: Row) -> Iterator[str]:
    """Yield one alert and its signs."""
    verdict, outcome, signs = row.judgement
    yield f"{row.id} {row.alert.source} [{row.alert.rule}]"
    yield f"    {row.label}, called {verdict}; {row.outcome}, called {outcome}"
    for sign in signs:
        kind = f"{sign.side} {sign.weight}{' forgeable' if sign.forgeable else ''}"
        yield f"    {kind:<20} {to_plain(sign.text)}"


def main(arguments: Sequence[str]) -> None:
    """Print the comparison."""
    paths = [Path(name) for name in arguments if not name.startswith("--")] or FILES
    for path in paths:
        rows = list(judged([path]))
        found = figures(rows)
        print(f"{path.name}: {len(rows)} alerts\n")
        print("\n".join(matrix(rows)))
        print(
            f"\nattacks called benign or test: {found.missed} (0 wanted); "
            f"of those called attack {found.precision:.1%} are (95 % wanted); "
            f"decided {found.decided:.1%} (60 % wanted); wrong {found.wrong}; outcome right {found.outcomes:.1%}\n"
        )
        for row in rows:
            if (
                row.wrong
                or "--all" in arguments
                or ("--undecided" in arguments and row.judgement.verdict == "undecided")
            ):
                print("\n".join(told(row)))
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
