"""What signs come to together."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from exporter.verdict.judgement import SIDES, VERDICTS, Side, Verdict
from exporter.verdict.language import Language
from exporter.verdict.sign import Sign
from exporter.verdict.weighing import weigh

LANGUAGE = Language()


def sign(side: Side, weight: int, *, forgeable: bool = False, about: str = "") -> Sign:
    mapping: dict[str, Any] = {"for": side, "when": "proc.name exists", "say": "x", "forgeable": str(forgeable)}
    if weight:
        mapping["weight"] = weight
    if about:
        mapping["about"] = about
    return Sign.from_mapping(mapping, "here:1", language=LANGUAGE)


@pytest.mark.parametrize(
    ("signs", "verdict"),
    [
        ([], "undecided"),
        ([sign("nothing", 0)], "undecided"),
        ([sign("attack", 3)], "undecided"),
        ([sign("attack", 4)], "attack"),
        ([sign("attack", 3), sign("attack", 1)], "attack"),
        ([sign("benign", 4)], "benign"),
        ([sign("benign", 4, forgeable=True)], "undecided"),
        ([sign("benign", 5, forgeable=True), sign("benign", 5, forgeable=True)], "undecided"),
        ([sign("benign", 3, forgeable=True), sign("benign", 1)], "benign"),
        ([sign("test", 4, forgeable=True)], "undecided"),
        ([sign("test", 4)], "test"),
        ([sign("test", 4), sign("attack", 5)], "test"),
        ([sign("test", 4, forgeable=True), sign("attack", 4)], "undecided"),
        ([sign("benign", 4), sign("attack", 4)], "undecided"),
        ([sign("benign", 5), sign("benign", 5), sign("attack", 5)], "attack"),
        ([sign("benign", 4), sign("attack", 1)], "benign"),
        ([sign("benign", 4), sign("attack", 2)], "undecided"),
        ([sign("benign", 4), sign("benign", 3), sign("attack", 3)], "benign"),
    ],
)
def test_signs_come_to_a_verdict(signs: list[Sign], verdict: Verdict) -> None:
    """As docs/verdicts.md says."""
    for order in itertools.permutations(signs):
        assert weigh(order) == verdict


def test_signs_about_one_thing_count_once() -> None:
    """Correlated signs do not vote together."""
    assert weigh([sign("attack", 3, about="actor"), sign("attack", 3, about="actor")]) == "undecided"
    assert weigh([sign("attack", 3, about="actor"), sign("attack", 1, about="object")]) == "attack"


def test_nothing_that_can_be_forged_clears_an_alert() -> None:
    """Whatever forgeable signs come together, without another the verdict is never benign or test."""
    every = [sign(side, weight, forgeable=True) for side in SIDES if side != "nothing" for weight in (1, 3, 5)]
    for count in range(4):
        for chosen in itertools.combinations_with_replacement(every, count):
            assert weigh(chosen) in {"attack", "undecided"}


def test_more_attack_signs_never_lead_away_from_attack() -> None:
    """An attack sign added makes no alert more benign."""
    rank = {verdict: place for place, verdict in enumerate(VERDICTS)}
    every = [sign(side, weight) for side in ("attack", "benign") for weight in (1, 2, 4, 5)]  # type: ignore[arg-type]
    for chosen in itertools.combinations(every, 3):
        before = weigh(chosen)
        for weight in (1, 3, 5):
            assert rank[weigh([*chosen, sign("attack", weight)])] <= rank[before]
