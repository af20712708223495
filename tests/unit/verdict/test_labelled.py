"""Labelled alerts: what the shipped signs make of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tools.verdicts import Figures, Row, figures, judged, told

VERDICTS = Path(__file__).parents[2] / "verdicts"
FILES = ("dev", "own", "traps", "heldout", "fresh", "blind", "unseen", "later", "shams")


@cache
def rows(name: str) -> tuple[Row, ...]:
    return tuple(judged([VERDICTS / f"{name}.jsonl"]))


def found(name: str) -> Figures:
    return figures(rows(name))


def report(name: str) -> str:
    return "\n".join(line for row in rows(name) if row.wrong for line in told(row))


@pytest.mark.parametrize("name", FILES)
def test_no_attack_is_called_benign_or_a_test(name: str) -> None:
    """Whoever reads LIKELY BENIGN may close: no attack is among them."""
    assert found(name).missed == 0, report(name)


def test_what_imitates_ordinary_work_is_never_called_benign_or_a_test() -> None:
    """Each of these was made to match what clears an alert: who reads LIKELY BENIGN would close it."""
    called = [row for row in rows("shams") if row.judgement.verdict in {"benign", "test"}]
    assert not called, "\n".join(line for row in called for line in told(row))


@pytest.mark.parametrize("name", FILES)
def test_of_what_is_called_an_attack_95_percent_are(name: str) -> None:
    """A pager that cries wolf is switched off."""
    assert found(name).precision >= 0.95, report(name)


@pytest.mark.parametrize("name", ["dev", "own", "heldout", "fresh", "blind", "unseen", "later"])
def test_at_least_60_percent_are_decided(name: str) -> None:
    """A verdict that is never given helps nobody."""
    assert found(name).decided >= 0.6


@pytest.mark.parametrize("name", ["dev", "own", "traps"])
def test_at_least_95_percent_of_the_outcomes_are_right(name: str) -> None:
    """Whether it succeeded is said right, where fields tell it; the held-out set counts every connection as made."""
    assert found(name).outcomes >= 0.95


@pytest.mark.parametrize("name", FILES)
def test_what_clears_an_alert_cannot_all_be_forged(name: str) -> None:
    """Benign and test rest on at least one sign that an intruder could not have made."""
    for row in rows(name):
        verdict, _, signs = row.judgement
        if verdict in {"benign", "test"}:
            assert any(sign.side == verdict and not sign.forgeable for sign in signs), "\n".join(told(row))


def test_the_figures_of_a_wrong_judge_are_bad() -> None:
    """The figures above can fail: with every label turned round, they do."""
    turned = [
        row._replace(label="benign" if row.label == "attack" else "attack", outcome="refused") for row in rows("dev")
    ]
    wrong = figures(turned)
    assert wrong.missed > 10
    assert wrong.precision < 0.5
    assert wrong.outcomes < 0.5
