"""Operators' regular expressions over attackers' text."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.patterns import MATCH_LIMIT, Pattern


@pytest.mark.parametrize("pattern", [r"\S+@\S+\.\w+", r"(a+)+$", r"(x*)*y", r"(?i)(\w+\s?)+!"])
def test_no_pattern_takes_long_on_any_text(pattern: str) -> None:
    """Expressions that hold Python's engine for minutes on a text that does not match take milliseconds."""
    compiled = Pattern(pattern)
    for text in ("a" * 60_000, "x" * 60_000 + "z", "a b " * 15_000, "@" * 60_000):
        begun = time.process_time()
        compiled.replaced(text, "[redacted]")
        assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", r"missing \)"),
        (r"(?=secret)", "look-around and back-references are not supported"),
        (r"(a)\1", "look-around and back-references are not supported"),
        ("x*", "matches the empty text"),
        ("\ud800", "is not a valid regular expression"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(pattern: str, why: str) -> None:
    """At the start, not at the first alert."""
    with pytest.raises(ValueError, match=why):
        Pattern(pattern)


def test_a_text_with_many_matches_is_masked_whole() -> None:
    """A bound on the work; nothing that should go stays."""
    pattern = Pattern("[0-9]")
    assert pattern.replaced("a1b" * MATCH_LIMIT, "#") == "a#b" * MATCH_LIMIT
    assert pattern.replaced("a1b" * (MATCH_LIMIT + 1), "#") == "#"


@given(st.text())
def test_what_is_replaced_is_what_python_would_replace(text: str) -> None:
    """Where the engines agree on the expression they agree on the places, whatever the text."""
    valid = text.encode("utf-8", "replace").decode()
    expected = re.sub("[0-9a-f]+", "#", valid)
    assert Pattern("[0-9a-f]+").replaced(text, "#") in {expected, "#"}


def test_a_lone_surrogate_disturbs_nothing() -> None:
    """JSON can write what UTF-8 cannot hold."""
    assert Pattern("b+").replaced("a\ud800b", "#") == "a?#"
