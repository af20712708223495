"""Wrapping for a terminal."""

from __future__ import annotations

import unicodedata

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


def greedy(text: str, width: int, first: str, rest: str) -> list[str]:
    """Word by word, as the slow way does for wide characters."""
    lines, line, empty = [], first, True
    for word in text.split(" "):
        if not empty and len(line) + 1 + len(word) > width:
            lines.append(line.rstrip())
            line, empty = rest, True
        line += word if empty else f" {word}"
        empty = False
    return [*lines, line.rstrip()]


@given(st.text("ab“…  ", max_size=60), st.integers(1, 20), st.sampled_from(["", " - ", "  label    "]))
def test_text_of_single_cells_is_wrapped_as_word_by_word(text: str, width: int, first: str) -> None:
    """The quick way for text in which each character takes one cell gives the same lines."""
    assert wrap(text, width=width, first=first, rest="   ") == greedy(text, width, first, "   ")


def test_the_quick_way_knows_every_character_that_is_not_one_cell() -> None:
    """Nothing outside its ranges combines or is wide."""
    for code in (*range(0x300), *range(0x2000, 0x2030)):
        assert not unicodedata.combining(chr(code)), hex(code)
        assert unicodedata.east_asian_width(chr(code)) not in "WF", hex(code)
