"""Lines for a terminal: width, wrapping, indents.

Owns how text fills lines of a width in terminal cells, wide characters
counted as two. Refuses to know what the text is; it takes escaped text alone.
"""

from __future__ import annotations

import re
import unicodedata

_NOT_ONE_CELL = re.compile("[\u0300-\u1fff\u2030-\U0010ffff]")
"""What may take two cells or none; everything else, quotation marks and the ellipsis too, takes one."""


def cells(text: str) -> int:
    """Return how many terminal cells the text takes (UAX #11: wide and fullwidth take two, marks none)."""
    if text.isascii() or not _NOT_ONE_CELL.search(text):
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, *, width: int, first: str = "", rest: str = "") -> list[str]:
    """Return the text as lines of at most ``width`` cells, ``first`` before the first and ``rest`` before the others.

    A word longer than a line gets a line of its own and stays whole, so that
    it can be copied.
    """
    if text.isascii() or not _NOT_ONE_CELL.search(text):
        return _wrap_plain(text, width=width, first=first, rest=rest)
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


def _wrap_plain(text: str, *, width: int, first: str, rest: str) -> list[str]:
    """Wrap text in which every character takes one cell: the last space within the width ends a line."""
    lines: list[str] = []
    start, before, room = 0, first, max(width - cells(first), -1)
    while len(text) - start > room:
        end = text.rfind(" ", start, start + room + 1)
        if end < 0:
            end = text.find(" ", start)
        if end < 0:
            break
        lines.append((before + text[start:end]).rstrip())
        start, before, room = end + 1, rest, max(width - cells(rest), -1)
    lines.append((before + text[start:]).rstrip())
    return lines
