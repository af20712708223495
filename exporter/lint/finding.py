"""A finding: what is wrong with a piece of advice, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that a check found."""

    place: str
    """``FILE:LINE`` of the step or entry."""
    rule: str
    """The rule whose entry it is, or ``procedure NAME``."""
    message: str
    """What was expected, what was found, what to do."""

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.message}"
