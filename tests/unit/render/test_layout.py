"""Wrapping for a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.render.layout import cells, wrap

WORDS = st.lists(st.text("abcé漢字🔥", min_size=1, max_size=12), min_size=1, max_size=30)


def test_cells_counts_what_a_terminal_shows() -> None:
    """Wide characters take two cells, combining marks none."""
    assert cells("abc") == 3
    assert cells("漢字") == 4
    assert cells("e\u0301") == 1


@given(WORDS, st.integers(10, 40))
def test_wrap_keeps_every_word_and_the_width(words: list[str], width: int) -> None:
    """No word is lost, reordered or broken; a line is too long only when it is one word."""
    lines = wrap(" ".join(words), width=width, first=" 1. ", rest="    ")
    assert [word for line in lines for word in line[4:].split(" ")] == words
    assert all(cells(line) <= width or " " not in line[4:] for line in lines)
    assert lines[0].startswith(" 1. ")


def test_wrap_keeps_spaces_inside_a_line() -> None:
    """What stands in a row of spaces is not closed up."""
    assert wrap("a   b", width=20) == ["a   b"]
