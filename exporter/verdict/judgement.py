"""A judgement: what the signs of one alert come to, and each sign that led there.

Owns the words for verdicts and outcomes; refuses to form a judgement (see
``judge.py``). Made once an alert, so NamedTuples: a third as costly to make
as frozen dataclasses.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from exporter.prose import Prose

Verdict = Literal["attack", "undecided", "benign", "test"]
Outcome = Literal["succeeded", "refused", "unknown"]
Side = Literal["attack", "benign", "test", "nothing"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""The most severe first."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
SIDES: tuple[Side, ...] = get_args(Side)


class Matched(NamedTuple):
    """One sign that the alert bears out."""

    side: Side
    """What it speaks for: ``attack``, ``benign``, ``test``; ``nothing`` for what is often misread."""
    weight: int
    """From 1 (a hint) to 5 (nothing outweighs it); 0 for ``nothing``."""
    forgeable: bool
    """Whether an intruder could have chosen the value."""
    text: Prose
    """One line that names the value."""
    about: str = ""
    """What it looks at, as ``Sign.about``: of several signs for one side about one thing the heaviest counts."""


class Judgement(NamedTuple):
    """What the signs of one alert come to."""

    verdict: Verdict
    outcome: Outcome
    """Whether what the alert reports came about."""
    signs: tuple[Matched, ...]
    """Every sign that matched: those that speak for the verdict first, the heaviest first."""


UNDECIDED = Judgement("undecided", "unknown", ())
"""Of an alert that nothing is known of."""
