"""Which steps a brief report shows: as many as fit on its page, the ones that decide and contain first.

Owns the choice. The others follow in the full report, numbered on. Refuses to
change an order or a step: what is shown is shown whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from exporter.render import parts
from exporter.render.summary import Summary, summary_notes
from exporter.report import Advice, Command

WORD_LIMIT = 440
"""Of a brief report, code included; a page holds 450, and values differ a little between forms."""
RECORD_WORD_LIMIT = 240
"""Of the brief report inside a log record, which has to stay small."""
_KEPT_STEPS = 512
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
    chosen: set[int] = set()
    words = _FRAME_WORDS + _words_around(advice, summary_notes(advice) if notes is None else notes)
    for steps, is_needed in _by_importance(commands, needs_containment=word_limit >= WORD_LIMIT):
        group = _with_sources(commands, steps)
        cost = sum([_words(commands[index]) for index in group if index not in chosen])
        if is_needed or words + cost <= word_limit:
            words += cost if not chosen.issuperset(group) else 0
            chosen.update(group)
    brief = tuple([command for index, command in enumerate(commands) if index in chosen])
    return brief, tuple([command for index, command in enumerate(commands) if index not in chosen])


def _by_importance(commands: Sequence[Command], *, needs_containment: bool) -> Iterator[tuple[tuple[int, ...], bool]]:
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


def _with_keeps(commands: Sequence[Command], index: int) -> tuple[int, ...]:
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


def _with_sources(commands: Sequence[Command], group: tuple[int, ...]) -> tuple[int, ...]:
    """Return the steps with the earlier ones that write the kept files which these read."""
    wanted, missing = set(group), list(group)
    while missing:
        index = missing.pop()
        reads, writes = kept_files(commands[index].run)
        for name in reads - writes:
            source = next((i for i in range(index) if name in kept_files(commands[i].run)[1]), None)
            if source is not None and source not in wanted:
                wanted.add(source)
                missing.append(source)
    return tuple(sorted(wanted))


_KEPT = re.compile(
    r"(?P<writes>>>?\s*|\s(?:-o|-O|file)\s+|\b(?:cp|mv)\b[^|;&\n]*\s)?"
    r'"?(?:\$d|/evidence/[0-9a-f]{32})"?/(?P<name>[\w.-]+)(?!\$)'
)
"""A file of the evidence directory, written where a redirection, an option or a copy's end stands before it."""


_NONE: frozenset[str] = frozenset()


@lru_cache(maxsize=_KEPT_STEPS)
def kept_files(run: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names in the evidence directory that a block mentions, and those of them that it writes."""
    if "$d" not in run and "/evidence/" not in run:
        return _NONE, _NONE
    found = [(match["name"], bool(match["writes"])) for match in _KEPT.finditer(run)]
    return frozenset([name for name, _ in found]), frozenset([name for name, written in found if written])


@lru_cache(maxsize=_KEPT_STEPS)
def _words(command: Command) -> int:
    prose = (command.title, command.shows, command.empty, command.breaks, parts.remark(command))
    code = len(command.run.split()) + len(command.undo.split())
    return sum(map(parts.count_words, prose)) + code + len(command.unproven.split()) + 6


def _words_around(advice: Advice, notes: Summary) -> int:
    prose = [notes.activity, *[text for _, text in notes.signs], *[text for _, text in notes.decision]]
    names = " ".join(map(parts.technique_name, advice.techniques))
    return sum(map(parts.count_words, prose)) + parts.count_words(advice.impact) + len(names.split())
