"""Weighing: what signs come to together.

Owns how they outweigh each other. Refuses to vote: what decides is one sign
heavy enough, or few about different things, and a sign that an intruder could
have forged clears nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter.verdict.judgement import Side, Verdict
from exporter.verdict.sign import DECISIVE, HARD, Sign

MARGIN = 4
"""By how much benign signs must outweigh those for an attack that do not decide by themselves."""


def weigh(signs: Sequence[Sign]) -> Verdict:
    """Return the verdict of the signs that matched.

    A side decides from weight 4 on. Signs about one thing count once. Benign
    and test need a sign that cannot be forged. A proven test wins over attack
    signs, which every test imitates; a hard attack sign wins over all benign
    ones; otherwise two sides that could each decide leave it undecided, and
    weaker attack signs want benign ones that outweigh them by 4.
    """
    attack, benign, test = (_total(signs, side) for side in ("attack", "benign", "test"))
    if test >= DECISIVE and _firm(signs, "test"):
        return "test"
    if any(sign.side == "attack" and sign.weight >= HARD for sign in signs):
        return "attack"
    clears = benign >= DECISIVE and _firm(signs, "benign")
    if attack >= DECISIVE:
        return "undecided" if clears or test >= DECISIVE else "attack"
    if clears and benign - attack >= MARGIN - (attack == 1):
        return "benign"
    return "undecided"


def _total(signs: Sequence[Sign], side: Side) -> int:
    """Add up one side's weights; of signs about one thing the heaviest counts."""
    total = 0
    heaviest: dict[str, int] = {}
    for sign in signs:
        if sign.side == side:
            if sign.about:
                heaviest[sign.about] = max(heaviest.get(sign.about, 0), sign.weight)
            else:
                total += sign.weight
    return total + sum(heaviest.values())


def _firm(signs: Sequence[Sign], side: Side) -> bool:
    return any(sign.side == side and not sign.forgeable for sign in signs)
