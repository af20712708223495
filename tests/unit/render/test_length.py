"""How long reports are: what the form itself adds, and where the first command stands."""

from __future__ import annotations

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.render.document import Length
from exporter.render.markdown import to_markdown
from exporter.render.parts import count_words
from exporter.render.summary import SUMMARY_WORDS, summary_notes
from exporter.report import Advice, Command, Matched, Report, Span, to_plain
from exporter.reporter import Reporter
from exporter.verdict.judgement import Judgement
from tests.otel_records import ALERT, advice_for
from tools.report_length import ALERTS, FIRST_COMMAND_WORDS, count, measure, nine_of_ten, read_alerts

FORM_WORDS = 110
"""Most words that the form of a brief report with four whole steps adds to its entry's, signs left out."""


def words(number: int) -> tuple[Span, ...]:
    return (Span("text", "word " * number),)


def sign(number: int) -> tuple[Span, ...]:
    """Ten words that no other sign has."""
    return (Span("text", " ".join([f"sign{number}-{word}" for word in range(10)])),)


def report(signs: int) -> Report:
    """A report with four steps that have every part, and signs of ten words for an attack."""
    text = words(8)
    step = Command(text, "contain", "node", "sh", "echo a b c", text, text, text, "echo d", text, "it needs hardware")
    judgement = Judgement(
        "attack", "succeeded", tuple(Matched("attack", 5, False, sign(number)) for number in range(signs))
    )
    return Report(ALERT, changed(commands=(step,) * 4, judgement=judgement))


def changed(**parts: object) -> Advice:
    """Some advice with other parts."""
    advice = advice_for(ALERT)
    return type(advice)(**{name: getattr(advice, name) for name in advice.__slots__} | parts)


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
    assert all(f"sign{number}-9" in full for number in range(signs))
    assert ("Further signs:" in full) is (signs > 5)


def test_what_a_stronger_sign_says_is_not_said_again() -> None:
    """A weaker sign of the same side with nearly the same words is a further sign; an equal one is left out."""
    said = [(5, "a download is run and nobody sits there"), (3, "a download is run"), (2, "a download is run")]
    signs = tuple([Matched("attack", weight, False, (Span("text", each),)) for weight, each in said])
    benign = Matched("benign", 1, False, signs[1].text)
    advice = changed(judgement=Judgement("attack", "succeeded", (*signs, benign)))
    notes = summary_notes(advice)
    assert [to_plain(prose) for _, prose in notes.signs[:2]] == [f"{said[0][1]}.", f"{said[1][1]}."]
    assert [(label, to_plain(prose)) for label, prose in notes.left_out] == [("For an attack:", "a download is run.")]


def test_of_signs_about_one_thing_the_heaviest_is_shown() -> None:
    """They count once, so the brief report has one; the full report has the others."""
    said = [(5, "object", "one"), (4, "object", "two"), (4, "actor", "three"), (3, "", "four"), (3, "", "five")]
    signs = [Matched("attack", weight, False, (Span("text", each),), about) for weight, about, each in said]
    notes = summary_notes(changed(judgement=Judgement("attack", "succeeded", tuple(signs))))
    assert to_plain(notes.signs[0][1]) == "one; three; four; five."
    assert [to_plain(prose) for _, prose in notes.left_out] == ["two."]


def undecided(*signs: Matched, **changes: object) -> dict[str, str]:
    """The summary's lines of an undecided report, by label."""
    notes = summary_notes(changed(judgement=Judgement("undecided", "unknown", signs), **changes))
    return {label: to_plain(prose) for label, prose in notes.signs}


def test_an_undecided_report_without_a_sign_says_what_decides() -> None:
    """It says that no sign speaks, and which step shows what would; with a sign that one stands there."""
    first = changed().commands[0]._replace(phase="look", title=(Span("text", "Who opened it?"),))
    nothing = Matched("nothing", 0, False, (Span("text", "root is usual"),))
    assert undecided(nothing, commands=(first,), summary=())["Undecided:"] == (
        "no sign speaks for either side; step 1 decides: Who opened it?"
    )
    kept = first._replace(phase="keep", title=(Span("text", "Keep a copy."),))
    assert undecided(commands=(kept,), summary=())["Undecided:"] == (
        "no sign speaks for either side; begin with step 1."
    )
    long = (Span("text", "word " * 60),)
    assert (
        undecided(nothing, commands=(first,), summary=long, close_if=long)["Undecided:"] == "no sign; step 1 decides."
    )
    assert undecided(commands=(), summary=())["Undecided:"] == "no sign speaks for either side."
    asked = {"unknown": ((Span("text", "who opened it"),), (Span("text", "from where"),))}
    assert undecided(commands=(first,), summary=(), **asked)["Unknown:"] == "from where."
    assert "Undecided:" not in undecided(Matched("attack", 2, False, (Span("text", "odd"),)), commands=(first,))
    attack = summary_notes(changed(judgement=Judgement("attack", "unknown", ())))
    assert "Undecided:" not in dict(attack.signs)


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
