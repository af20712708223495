"""Which steps a brief report shows: as many as fit on its page, the ones that decide and contain first.

Owns the choice. The others follow in the full report, numbered on. Refuses to
change an order or a step: what is shown is shown whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from exporter.catalog.kept_files import kept_files
from exporter.kept import PerObject
from exporter.render import parts
from exporter.render.summary import Summary, summary_notes
from exporter.report import Advice, Command

WORD_LIMIT = 440
"""Of a brief report, code included; a page holds 450, and values differ a little between forms."""
RECORD_WORD_LIMIT = 240
"""Of the brief report inside a log record, which has to stay small."""
_KEPT_STEPS, _KEPT_KINDS = 512, 256
_FRAME_WORDS = 62
"""Title, header, headings and the line on the shell."""


def split_steps(
    advice: Advice, word_limit: int = WORD_LIMIT, notes: Summary | None = None
) -> tuple[tuple[Command, ...], tuple[Command, ...]]:
    """Return the steps of the brief report and the further ones of the full report, each in the advice's order.

    The first look is always shown, and on a whole page the first containment too. What a containment would destroy is
    kept first: no containment is shown without the keep steps before it, and no step without those whose files it
    reads. ``notes`` are the summary's, where they are known already.
    """
    commands = advice.commands
    measured = list(map(_measured, commands))
    chosen: set[int] = set()
    words = _FRAME_WORDS + _words_around(advice, summary_notes(advice) if notes is None else notes)
    groups = _groups(tuple([step.kind for step in measured]), needs_containment=word_limit >= WORD_LIMIT)
    for group, is_needed in groups:
        cost = sum([measured[index].words for index in group if index not in chosen])
        if is_needed or words + cost <= word_limit:
            words += cost
            chosen.update(group)
    brief = tuple([command for index, command in enumerate(commands) if index in chosen])
    return brief, tuple([command for index, command in enumerate(commands) if index not in chosen])


class _Kind(NamedTuple):
    """What decides which steps belong together."""

    phase: str
    reads: frozenset[str]
    """Kept files that others have written."""
    writes: frozenset[str]


class _Measured(NamedTuple):
    """What a step's choice depends on."""

    words: int
    kind: _Kind


@lru_cache(maxsize=_KEPT_KINDS)
def _groups(kinds: tuple[_Kind, ...], *, needs_containment: bool) -> tuple[tuple[tuple[int, ...], bool], ...]:
    """Return steps that belong together, the most important first, and whether they have to be shown."""
    found = _by_importance(kinds, needs_containment=needs_containment)
    return tuple([(_with_sources(kinds, steps), is_needed) for steps, is_needed in found])


def _by_importance(commands: Sequence[_Kind], *, needs_containment: bool) -> Iterator[tuple[tuple[int, ...], bool]]:
    """Yield steps that belong together, by their indices, and whether they have to be shown."""
    looks = [index for index, command in enumerate(commands) if command.phase == "look"]
    contains = [index for index, command in enumerate(commands) if command.phase == "contain"]
    for index in looks[:1]:
        yield (index,), True
    for index in contains[:1]:
        yield _with_keeps(commands, index), needs_containment
        if index + 1 < len(commands) and commands[index + 1].phase == "verify":
            yield (index + 1,), False
    for index, command in enumerate(commands):
        if command.phase == "keep":
            yield (index,), False
            break
    for index in range(len(commands)):
        yield _with_keeps(commands, index), False


def _with_keeps(commands: Sequence[_Kind], index: int) -> tuple[int, ...]:
    """Return a step's index, a containment's after those of the keep steps since the last containment."""
    if commands[index].phase != "contain":
        return (index,)
    keeps: list[int] = []
    for before in range(index):
        if commands[before].phase == "contain":
            keeps.clear()
        elif commands[before].phase == "keep":
            keeps.append(before)
    return (*keeps, index)


def _with_sources(commands: Sequence[_Kind], group: tuple[int, ...]) -> tuple[int, ...]:
    """Return the steps with the earlier ones that write the kept files which these read."""
    wanted, missing = set(group), list(group)
    while missing:
        index = missing.pop()
        for name in commands[index].reads:
            source = next((i for i in range(index) if name in commands[i].writes), None)
            if source is not None and source not in wanted:
                wanted.add(source)
                missing.append(source)
    return tuple(sorted(wanted))


def _measure(command: Command) -> _Measured:
    names, writes = kept_files(command.run)
    return _Measured(_words(command), _Kind(command.phase, names - writes, writes))


_measured = PerObject(_measure, _KEPT_STEPS)


def _words(command: Command) -> int:
    prose = (command.title, command.shows, command.empty, command.breaks, parts.remark(command))
    code = len(command.run.split()) + len(command.undo.split())
    return sum(map(parts.count_words, prose)) + code + len(command.unproven.split()) + 6


def _words_around(advice: Advice, notes: Summary) -> int:
    prose = [notes.activity, *[text for _, text in notes.signs], *[text for _, text in notes.decision]]
    names = " ".join(map(parts.technique_name, advice.techniques))
    return sum(map(parts.count_words, prose)) + parts.count_words(advice.impact) + len(names.split())
