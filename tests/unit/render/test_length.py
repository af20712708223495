"""How long reports are: what the form itself adds, and where the first command stands."""

from __future__ import annotations

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.render.document import Length
from exporter.render.markdown import to_markdown
from exporter.render.parts import count_words
from exporter.render.summary import SUMMARY_WORDS
from exporter.report import Command, Matched, Report, Span
from exporter.reporter import Reporter
from exporter.verdict.judgement import Judgement
from tests.otel_records import ALERT, advice_for
from tools.report_length import ALERTS, FIRST_COMMAND_WORDS, count, measure, nine_of_ten, read_alerts

FORM_WORDS = 110
"""Most words that the form of a brief report with four whole steps adds to its entry's, signs left out."""


def words(number: int) -> tuple[Span, ...]:
    return (Span("text", "word " * number),)


def report(signs: int) -> Report:
    """A report with four steps that have every part, and signs of ten words for an attack."""
    text = words(8)
    step = Command(text, "contain", "node", "sh", "echo a b c", text, text, text, "echo d", text, "it needs hardware")
    judgement = Judgement("attack", "succeeded", tuple(Matched("attack", 5, False, words(10)) for _ in range(signs)))
    advice = advice_for(ALERT)
    changed = {"commands": (step,) * 4, "judgement": judgement}
    return Report(ALERT, type(advice)(**{name: getattr(advice, name) for name in advice.__slots__} | changed))


def test_the_form_adds_few_words() -> None:
    """Header, headings, labels and places of a brief report with four whole steps are short."""
    assert measure(report(0)).own <= FORM_WORDS


@pytest.mark.parametrize("signs", [1, 5, 30])
def test_signs_are_cut_to_the_summarys_words(signs: int) -> None:
    """However many signs match, the summary keeps its length, and the full report has those that were left out."""
    made = report(signs)
    brief = to_markdown(made, Length.BRIEF)
    summary = brief.partition("## Summary of Detected Activity")[2].partition("\n## ")[0]
    assert count(summary) <= SUMMARY_WORDS
    full = to_markdown(made)
    assert full.count("word " * 9 + "word") - full.count("word " * 19) >= signs or signs < 5
    assert ("Further signs:" in full) is (signs > 5)


def test_the_first_command_of_a_labelled_alert_comes_early() -> None:
    """Where an entry's own part of the summary is short, the first command of nine of ten is within 150 words."""
    reports = map(Reporter(load_catalog()).report_for, read_alerts(ALERTS))
    measured = [
        measure(made)
        for made in reports
        if sum(map(count_words, (made.advice.summary, made.advice.close_if, made.advice.escalate_if))) <= 68
    ]
    assert nine_of_ten([each.first_command for each in measured]) <= FIRST_COMMAND_WORDS
    assert len(measured) > 40


def test_nine_of_ten_are_nine_of_ten() -> None:
    """Of ten values the ninth, of one the only one."""
    assert nine_of_ten(range(1, 11)) == 9
    assert nine_of_ten([7]) == 7
    assert nine_of_ten([]) == 0
