"""Which entries and procedures are still to be rewritten for the form that the lint asks for.

Owns the list (``data/first_form.txt``), which only ever gets shorter.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources


@lru_cache(maxsize=1)
def first_form() -> frozenset[str]:
    """Return the rules, and procedures as ``procedure NAME``, that are spared the checks of form."""
    text = resources.files("exporter.lint").joinpath("data/first_form.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
