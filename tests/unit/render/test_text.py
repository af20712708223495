"""Reports as text: what a value looks like beside the author's words."""

from __future__ import annotations

import pytest

from exporter.render.text import to_text
from exporter.report import Advice, Report, Span
from tests.otel_records import ALERT, advice_for


def changed(advice: Advice, **parts: object) -> Advice:
    return type(advice)(**{name: getattr(advice, name) for name in advice.__slots__} | parts)


@pytest.mark.parametrize("value", ["nc", "/tmp/x", "3.0 s", "14 min", "12 days", "2024-10-05 10:16:19 UTC"])
def test_one_word_a_time_and_a_duration_stand_as_they_are(value: str) -> None:
    assert f"seen {value} before" in shown(value)


@pytest.mark.parametrize("value", ["of nobody", 'a"b', "", "3 s ago", "x 3 s", "2024-10-05 10:16:19 UTC by root"])
def test_several_words_are_quoted(value: str) -> None:
    """They would read as the author's own."""
    assert f"seen “{value}” before" in shown(value)


def shown(value: str) -> str:
    about = (Span("text", "seen "), Span("value", value), Span("text", " before"))
    return to_text(Report(ALERT, changed(advice_for(ALERT), summary=about)), width=200)
