"""The summary: what happened, what speaks for what, and when to close or escalate.

Owns which signs fit into the summary's words, the strongest of each side
first. Refuses to judge: verdict and signs come with the advice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from exporter.kept import PerObject
from exporter.render import parts
from exporter.render.parts import count_words, joined, limited, sentence, text
from exporter.report import Advice, Command, Matched, Prose, to_plain

SUMMARY_WORDS = 105
"""Of the summary, its heading left out."""
FIRST_COMMAND_WORDS = 150
"""Before the first command."""
_WORDS_AROUND = 37
"""Of the header, the headings and the shell's name before the first command, values included."""
_UNKNOWN_LIMIT = 2
_KEPT_PROSE = 512
_SAID_SHARE = 0.6
"""A sign of whose words so many stand in a stronger sign of its side tells a reader nothing more."""


class Summary(NamedTuple):
    """The summary's paragraphs, each with its label."""

    activity: Prose
    signs: tuple[tuple[str, Prose], ...]
    decision: tuple[tuple[str, Prose], ...]
    left_out: tuple[tuple[str, Prose], ...]
    """Signs that found no room, each with its side's label."""


def summary_notes(advice: Advice) -> Summary:
    """Return what the summary says, cut to its words by leaving out the weakest signs."""
    activity = limited(advice.summary, parts.SUMMARY_VALUE_LIMIT_CHARACTERS)
    unknown = [limited(each) for each in advice.unknown[:_UNKNOWN_LIMIT]]
    asked = (("Close if", advice.close_if), ("Escalate if", advice.escalate_if))
    decision = tuple([(label, _whole(prose)) for label, prose in asked if prose])
    spent = count_words(activity) + sum(map(_words, unknown)) + bool(unknown)
    spent += sum([2 + _words(prose) for _, prose in decision])
    if advice.composed:
        spent += count_words(text(parts.COMPOSED_NOTE))
    room = min(SUMMARY_WORDS, _words_before_command(advice)) - spent
    why = _why_undecided(advice, room)
    kept, left_out = _chosen(advice.judgement.signs, room - count_words(why) - bool(why))
    signs = _listed(kept)
    if why:
        signs.append((parts.UNDECIDED, why))
        unknown = [each for each in unknown if room >= 0 and not _asks(why, each)]
    if unknown:
        signs.append(("Unknown:", joined(unknown)))
    labels = dict(parts.SIDES)
    return Summary(
        activity,
        tuple(signs),
        decision,
        tuple([(labels.get(sign.side, ""), sentence(sign.text)) for sign in left_out]),
    )


def _why_undecided(advice: Advice, words: int) -> Prose:
    """Return that no sign decides and which step does, by the question that it asks where so many words hold it."""
    judgement = advice.judgement
    if judgement.verdict != "undecided" or any(sign.side != "nothing" for sign in judgement.signs):
        return ()
    if not advice.commands or advice.commands[0].phase not in _ASKS:
        return text("no sign speaks for either side.")
    named = _decided_by(advice.commands[0])
    return named if count_words(named) <= words else text("no sign; step 1 decides.")


def _asks(why: Prose, unknown: Prose) -> bool:
    """Return whether the deciding step's title asks just for what is unknown."""
    asked = to_plain(why).rpartition(": ")[2].rstrip("?").lower()
    return asked == to_plain(unknown).rstrip(".").lower()


_ASKS = frozenset({"look", "keep"})
"""Phases of a first step that shows what an alert does not say."""


def _make_whole(prose: Prose) -> Prose:
    return sentence(limited(prose))


def _count_of_step(step: Command) -> int:
    return count_words(step.title) + count_words(parts.remark(step)) + 1


def _characters(prose: Prose) -> int:
    return sum([len(span.text) for span in prose])


def _make_decided_by(step: Command) -> Prose:
    if not to_plain(step.title).endswith("?"):
        return text("no sign speaks for either side; begin with step 1.")
    return (*text("no sign speaks for either side; step 1 decides: "), *limited(step.title))


_decided_by = PerObject(_make_decided_by, _KEPT_PROSE)
_whole = PerObject(_make_whole, _KEPT_PROSE, size_of_object=_characters)
_words = PerObject(count_words, _KEPT_PROSE)
_words_of_step = PerObject(_count_of_step, _KEPT_PROSE)


def _words_before_command(advice: Advice) -> int:
    """Return how many words the summary may have for the first command to stand where it should."""
    first = _words_of_step(advice.commands[0]) if advice.commands else 0
    return FIRST_COMMAND_WORDS - _WORDS_AROUND - count_words(advice.title) - first


def _listed(kept: Sequence[Matched]) -> list[tuple[str, Prose]]:
    """One line a side; the side opposite to the only one that has signs says that it has none."""
    lines = []
    sides = {sign.side for sign in kept}
    for side, label in parts.SIDES:
        if clauses := [sign.text for sign in kept if sign.side == side]:
            lines.append((label, joined(clauses)))
        elif (side == "attack" and sides & {"benign", "test"}) or (side == "benign" and sides == {"attack"}):
            lines.append((label, text("nothing.")))
    return lines


_LAST = len(parts.SIDES) - 1


def _chosen(signs: Sequence[Matched], words: int) -> tuple[list[Matched], list[Matched]]:
    """Return the signs that fit and those that do not: first one of each side, then by weight."""
    sides = {side: rank for rank, (side, _) in enumerate(parts.SIDES)}
    seen: dict[str, int] = {}
    ranked = []
    different: dict[tuple[str, Prose], Matched] = {}
    for sign in sorted(signs, key=lambda sign: -sign.weight):
        different.setdefault((sign.side, sign.text), sign)
    for sign in different.values():
        turn = seen[sign.side] = seen.get(sign.side, 0) + 1
        side = sides.get(sign.side, _LAST)
        rank = (side == _LAST, turn > 1, -sign.weight, turn)
        ranked.append((rank, sign._replace(text=limited(sign.text, 120))))
    kept: list[Matched] = []
    left_out: list[Matched] = []
    opened: set[str] = set()
    for (_, later, *_rest), sign in sorted(ranked, key=lambda each: each[0]):
        cost = len(to_plain(sign.text).split()) + (0 if sign.side in opened else 3)
        # The strongest of a side that decides is never left out.
        if not later and sign.side != "nothing":
            fits = True
        else:
            fits = cost <= words and not any(_says(other, sign) for other in kept if other.side == sign.side)
        if fits:
            words -= cost
            opened.add(sign.side)
            kept.append(sign)
        else:
            left_out.append(sign)
    return kept, left_out


def _says(stronger: Matched, sign: Matched) -> bool:
    """Return whether the stronger sign looks at the same thing, or says nearly all that this one says."""
    if sign.about and sign.about == stronger.about:
        return True
    words = set(to_plain(sign.text).split())
    return len(words & set(to_plain(stronger.text).split())) >= _SAID_SHARE * len(words)
