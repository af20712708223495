"""A brief report that leaves steps out still holds together, and texts do not count steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.catalog.advice import Command
from exporter.catalog.catalog import load_catalog
from exporter.catalog.kept_files import kept_files
from exporter.lint.brief import _faults
from exporter.lint.examples import examples
from exporter.prose import Span
from exporter.render.brief_steps import split_steps
from exporter.report import Advice
from exporter.reporter import Reporter

RULE = "Run Instances"


@pytest.fixture(scope="module")
def advice() -> Advice:
    """Of an alert whose containment reads what the look before it wrote."""
    catalog = load_catalog()
    facts = catalog.facts(RULE)
    assert facts is not None
    ((_, alert),) = examples(facts)
    return Reporter(catalog).advice_for(alert)


@pytest.mark.parametrize(
    ("run", "mentioned", "written"),
    [
        ('[ -s "$d/a.json" ] || get > "$d/a.json"', {"a.json"}, {"a.json"}),
        ('jq . "$d/a.json" > "$d/b"', {"a.json", "b"}, {"b"}),
        ('curl -o "$d/code.zip" x; echo >> "$d/log"', {"code.zip", "log"}, {"code.zip", "log"}),
        ('cp -p -- "$f" "$d/program"', {"program"}, {"program"}),
        ('[ -e "$d/$p.exe" ] || cat x > "$d/$p.exe"', set(), set()),
        (f'jq . "$HOME"/evidence/{"0" * 32}/calls.json', {"calls.json"}, set()),
    ],
)
def test_files_that_a_block_reads_and_writes(run: str, mentioned: set[str], written: set[str]) -> None:
    """By what stands before their names; names made of variables are nobody's."""
    assert kept_files(run) == (mentioned, written)


def test_a_containment_comes_with_the_look_that_it_reads(advice: Advice) -> None:
    """Else the pasted block finds nothing to stop."""
    brief, further = split_steps(advice)
    titles = ["".join(span.text for span in command.title) for command in brief]
    assert "Which instances were launched?" in titles
    assert any("Snapshot their disks" in title for title in titles)
    assert further
    assert list(_faults(advice)) == []


def test_the_number_of_a_later_step_is_found(advice: Advice) -> None:
    """Brief and full reports number steps differently."""
    changed = advice.commands[0]._replace(shows=(Span("text", "as step 2 says"),))
    found = list(_faults(_with(advice, changed)))
    assert len(found) == 1
    assert "as step 2 says" in found[0]


def _with(advice: Advice, first: Command) -> Advice:
    return replace(advice, commands=(first, *advice.commands[1:]))
