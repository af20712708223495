"""A brief report shows the steps that fit on its page; the full report has the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.render.brief_steps import RECORD_WORD_LIMIT, WORD_LIMIT, split_steps
from exporter.render.document import Length
from exporter.render.markdown import to_markdown
from exporter.report import Advice, Command, Report, Span
from tests.reference import reference_report


def step(phase: str, name: str, words: int) -> Command:
    title = (Span("text", name),)
    return Command(title, phase, "host", "sh", " ".join(["true"] * words), title, (), (), "", (), "")


def advice(*steps: Command) -> Advice:
    return replace(reference_report().advice, commands=steps, names_uid=False)


def names(steps: tuple[Command, ...]) -> list[str]:
    return ["".join([span.text for span in step.title]) for step in steps]


def test_all_steps_are_shown_where_they_fit() -> None:
    """A short entry loses nothing, in its own order."""
    steps = (step("look", "a", 5), step("keep", "b", 5), step("contain", "c", 5), step("verify", "d", 5))
    assert split_steps(advice(*steps)) == (steps, ())


def test_looking_and_containing_come_first_where_not_all_fits() -> None:
    """The first look, the first containment with its check and what it would destroy go before second looks."""
    steps = (
        step("look", "first look", 20),
        step("look", "second look", 200),
        step("keep", "keep", 20),
        step("contain", "contain", 20),
        step("verify", "verify", 20),
        step("contain", "second contain", 200),
    )
    brief, further = split_steps(advice(*steps))
    assert names(brief) == ["first look", "keep", "contain", "verify"]
    assert names(further) == ["second look", "second contain"]


@pytest.mark.parametrize("words", [50, 400])
def test_a_look_and_a_containment_are_always_shown(words: int) -> None:
    """However long they are, a page says where to look and how to contain."""
    brief, _ = split_steps(advice(step("look", "look", words), step("contain", "contain", words)))
    assert names(brief) == ["look", "contain"]


def test_a_log_record_shows_fewer_steps_but_where_to_look() -> None:
    """Its limit is lower and holds for containing too."""
    steps = (step("look", "look", 400), step("contain", "contain", 90), step("keep", "keep", 5))
    assert names(split_steps(advice(*steps), RECORD_WORD_LIMIT)[0]) == ["look"]
    short = (step("look", "look", 5), *steps[1:])
    assert "keep" in names(split_steps(advice(*short), RECORD_WORD_LIMIT)[0])


def test_the_full_report_goes_on_where_the_brief_one_ends() -> None:
    """Every step stands in the full report once, numbered through; the brief report says what it leaves out."""
    steps = tuple([step("look", f"look {number}", 120) for number in range(6)])
    report = Report(reference_report().alert, advice(*steps))
    brief, full = to_markdown(report, Length.BRIEF), to_markdown(report)
    assert full.startswith(brief)
    assert "further steps in the full report: look." in brief
    assert [full.count(f"**{number}. look {number - 1}") for number in range(1, 7)] == [1] * 6
    assert len(brief.split()) < WORD_LIMIT + 30


@pytest.mark.parametrize("limit", [WORD_LIMIT, RECORD_WORD_LIMIT])
@pytest.mark.parametrize("words", [5, 60, 400])
def test_no_containment_is_shown_without_what_keeps_the_evidence(limit: int, words: int) -> None:
    """What a containment destroys is kept first, on a page and in a record, for the second containment too."""
    steps = (
        step("look", "look", 20),
        step("keep", "keep one", words),
        step("look", "another look", 10),
        step("contain", "contain one", 10),
        step("keep", "keep two", words),
        step("contain", "contain two", 10),
    )
    brief = names(split_steps(advice(*steps), limit)[0])
    assert ("contain one" in brief) <= ("keep one" in brief)
    assert ("contain two" in brief) <= ("keep two" in brief)
    if limit == WORD_LIMIT:
        assert brief[:2] == ["look", "keep one"]
