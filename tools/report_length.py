"""How long reports are: words of the brief and the full form, and where the first command stands, by event source.

``python tools/report_length.py [ALERTS]`` reads labelled alerts (one JSON
object a line with the alert under ``alert``, as in tests/verdicts) or plain
alerts. Words are counted in the Markdown form, code included.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.render.brief_steps import split_steps
from exporter.render.document import Length
from exporter.render.markdown import to_markdown
from exporter.report import Report
from exporter.reporter import Reporter
from exporter.sources.decode import from_json

ALERTS = Path(__file__).parents[1] / "tests" / "verdicts" / "dev.jsonl"
BRIEF_WORDS, FULL_WORDS, FIRST_COMMAND_WORDS = 450, 900, 150
"""The limits that nine of ten reports keep."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One report's lengths, in words."""

    rule: str
    source: str
    brief: int
    full: int
    first_command: int
    """Words before the first command; 0 without one."""
    own: int
    """Words of the brief report that neither the entry nor the alert gives: headings, labels, places."""


def read_alerts(path: Path) -> Iterator[Alert]:
    """Yield the file's alerts, labelled or plain."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            document = json.loads(line)
            yield from_json(json.dumps(document.get("alert", document)))


def measure(report: Report) -> Measured:
    """Return how long the report is."""
    brief = to_markdown(report, Length.BRIEF)
    before, fence, _ = brief.partition("\n```")
    return Measured(
        report.alert.rule,
        report.alert.source,
        count(brief),
        count(to_markdown(report)),
        count(before) if fence else 0,
        count(brief) - _given(report),
    )


def count(text: str) -> int:
    """Return the words of a text: what stands between spaces and holds a letter or a digit."""
    return sum([any(map(str.isalnum, word)) for word in text.split()])


def _given(report: Report) -> int:
    """Words of the brief report that come from the entry and the alert."""
    advice = report.advice
    steps, _ = split_steps(advice)
    parts = [advice.what, advice.summary, *advice.unknown[:2], advice.close_if, advice.escalate_if, advice.impact]
    parts += [part for step in steps for part in (step.title, step.shows, step.empty, step.breaks, step.rights)]
    texts = ["".join([span.text for span in prose]) for prose in parts]
    texts += [text for step in steps for text in (step.run, step.undo, step.unproven)]
    return sum(map(count, texts))


def nine_of_ten(values: Iterable[int]) -> int:
    """Return the number that nine of ten values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-9 * len(ordered) // 10) - 1)] if ordered else 0


def table(measured: Iterable[Measured]) -> str:
    """Return the lengths by source, the median and what nine of ten keep."""
    groups: dict[str, list[Measured]] = defaultdict(list)
    for each in measured:
        groups[each.source].append(each)
        groups["all"].append(each)
    lines = [f"{'source':<16} {'alerts':>6}  {'brief':>11}  {'full':>11}  {'1st command':>11}  {'own words':>11}"]
    for source in sorted(groups, key=lambda name: (name == "all", name)):
        group = groups[source]
        cells = [
            f"{sorted(values)[len(values) // 2]:>5} {nine_of_ten(values):>5}"
            for values in (
                [each.brief for each in group],
                [each.full for each in group],
                [each.first_command for each in group],
                [each.own for each in group],
            )
        ]
        lines.append(f"{source:<16} {len(group):>6}  " + "  ".join(cells))
    return "\n".join([*lines, "Words: median, and what nine of ten do not exceed."])


def main() -> int:
    """Print the table, and the longest rules on request; return 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alerts", nargs="?", type=Path, default=ALERTS)
    parser.add_argument("--longest", type=int, default=0, metavar="N", help="name the N rules with the longest reports")
    given = parser.parse_args()
    reporter = Reporter(load_catalog())
    measured = [measure(reporter.report_for(alert)) for alert in read_alerts(given.alerts)]
    print(table(measured))
    for each in sorted(measured, key=lambda each: -each.brief)[: given.longest]:
        print(f"{each.brief:>5} {each.first_command:>4}  {each.rule} ({each.source})")
    kept = [
        nine_of_ten([each.brief for each in measured]) <= BRIEF_WORDS,
        nine_of_ten([each.full for each in measured]) <= FULL_WORDS,
        nine_of_ten([each.first_command for each in measured]) <= FIRST_COMMAND_WORDS,
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
