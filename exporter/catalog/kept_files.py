"""Which files of the evidence directory a block reads and writes: what ties one step to an earlier one.

Owns how such a file is told from the block's text. Refuses to decide what follows.
"""

from __future__ import annotations

import re
from functools import lru_cache

_KEPT = re.compile(
    r"(?P<writes>>>?\s*|\s(?:-o|-O|file)\s+|\b(?:cp|mv)\b[^|;&\n]*\s)?"
    r'"?(?:\$d|/evidence/[0-9a-f]{32})"?/(?P<name>[\w.-]+)(?!\$)'
)
"""A file of the evidence directory, written where a redirection, an option or a copy's end stands before it."""
_NONE: frozenset[str] = frozenset()
_KEPT_BLOCKS = 512


@lru_cache(maxsize=_KEPT_BLOCKS)
def kept_files(run: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names in the evidence directory that a block mentions, and those of them that it writes."""
    if "$d" not in run and "/evidence/" not in run:  # as most
        return _NONE, _NONE
    lines = run.split("\n")
    names_one = ["$d" in line or "/evidence/" in line for line in lines]
    # A name's line and the one before it, where the word that writes may stand: the pattern is slow on all the others.
    near = [
        line for line, own, next_one in zip(lines, names_one, [*names_one[1:], False], strict=True) if own or next_one
    ]
    found = [(match["name"], bool(match["writes"])) for match in _KEPT.finditer("\n".join(near))]
    return frozenset([name for name, _ in found]), frozenset([name for name, written in found if written])
