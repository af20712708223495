"""Lines for a terminal: width, wrapping, indents.

Owns how text fills lines of a width in terminal cells, wide characters
counted as two. Refuses to know what the text is; it takes escaped text alone.
"""

from __future__ import annotations

import unicodedata


def cells(text: str) -> int:
    """Return how many terminal cells the text takes (UAX #11: wide and fullwidth take two, marks none)."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, *, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return the text as lines of at most ``width`` cells, ``first`` before the first and ``rest`` before the others.

    A word longer than a line gets a line of its own and stays whole, so that
    it can be copied.
    """
    lines: list[str] = []
    line, used, empty = first, cells(first), True
    for word in text.split(" "):
        length = cells(word)
        if not empty and used + 1 + length > width:
            lines.append(line.rstrip())
            line, used, empty = rest, cells(rest), True
        line += word if empty else f" {word}"
        used += length if empty else length + 1
        empty = False
    lines.append(line.rstrip())
    return lines
