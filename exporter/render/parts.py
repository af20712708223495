"""What every form of the report has in common: names of sections, labels, limits.

Owns the report's words besides the catalog's. Refuses to escape anything:
that is each renderer's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

from exporter.escaping import shortened
from exporter.report import Command, Prose, Span, Technique, to_plain

SUMMARY, IMPACT = "Summary of Detected Activity", "Possible Impact"
MITIGATION, COMMANDS = "Mitigation Strategies", "Command Line Commands"
CHANGES, RECOMMENDATIONS, TUNING = "Configuration Changes", "Additional Recommendations", "Tuning Falco"
FURTHER_STEPS = "Further Steps"
DETAILS, REFERENCES = "Alert Details", "References"

TUNING_NOTE = "Only if you are sure this is benign: Falco will no longer alert on it."
COMPOSED_NOTE = "General advice, composed from the alert's tags, source and fields: no entry is written for this rule."
NO_COMMANDS = "None: the alert names nothing that a command could look at."
UNPROVEN = "Unproven"

SIDES = (
    ("attack", "For an attack:"),
    ("benign", "For benign:"),
    ("test", "For a test:"),
    ("nothing", "Says nothing:"),
)
"""What a sign can speak for, in the order of the summary, with its label."""
UNDECIDED = "Undecided:"
"""Before what a summary says where no sign speaks for any side."""
PLACES = {
    "host": "root on the host",
    "node": "root on the node",
    "cluster": "kubectl",
    "cloud": "your machine",
}

TITLE_VALUE_LIMIT_CHARACTERS = 80
"""Of a value in the title."""
SUMMARY_VALUE_LIMIT_CHARACTERS = 120
"""Of a value in the summary; Alert Details have it whole."""
VALUE_LIMIT_CHARACTERS = 400
"""Of a value inside any other sentence."""
DETAIL_LIMIT_CHARACTERS = 1000
"""Of a value on a line of its own."""
MESSAGE_LIMIT_CHARACTERS = 4000
"""Of Falco's own message."""
_KEPT_WORDS = 256


@lru_cache(maxsize=_KEPT_WORDS)
def text(words: str) -> Prose:
    """Return our own words as prose."""
    return (Span("text", words),) if words else ()


def limited(prose: Prose, limit_characters: int = VALUE_LIMIT_CHARACTERS) -> Prose:
    """Return the prose with each of its values cut to the limit."""
    for span in prose:
        if len(span.text) > limit_characters and span.kind == "value":
            break
    else:
        return prose
    return tuple(
        [Span(span.kind, shortened(span.text, limit_characters)) if span.kind == "value" else span for span in prose]
    )


def clause(prose: Prose) -> Prose:
    """Return the prose without the full stop at its end, so that it can stand in a list of clauses."""
    if not prose or prose[-1].kind != "text" or not prose[-1].text.rstrip().endswith("."):
        return prose
    return (*prose[:-1], Span("text", prose[-1].text.rstrip().removesuffix(".")))


def sentence(prose: Prose) -> Prose:
    """Return the prose with a full stop at its end where it has none."""
    return prose if not prose or to_plain(prose[-1:]).rstrip().endswith((".", "!", "?")) else (*prose, *text("."))


def joined(clauses: list[Prose]) -> Prose:
    """Return clauses as one sentence, with semicolons between them."""
    spans: list[Span] = []
    for number, each in enumerate(clauses):
        spans += [*(text("; ") if number else ()), *clause(each)]
    return sentence(tuple(spans))


def joined_spans(prose: Prose) -> Iterator[tuple[bool, str]]:
    """Yield (is literal, text) with neighbours of one kind joined: two code spans in a row would read as one."""
    for literal, spans in groupby(prose, lambda span: span.kind != "text"):
        yield literal, "".join([span.text for span in spans])


def count_words(prose: Prose) -> int:
    """Return how many words a reader counts."""
    return len(to_plain(prose).split())


def technique_name(technique: Technique) -> str:
    """Return e.g. ``T1070.002 Clear Linux or Mac System Logs``."""
    return f"{technique.technique_id} {technique.technique}".rstrip()


def remark(command: Command, *, names_shell: bool = False) -> Prose:
    """Return what a step is for and where it runs, e.g. ``look, root on the node``, with the rights that it takes."""
    rights = to_plain(command.rights)
    if rights.startswith("root on "):
        return (Span("text", f"{command.phase}, "), *limited(clause(command.rights)))
    place = f"{command.phase}, {PLACES.get(command.where, command.where)}"
    if names_shell and command.shell != "sh":
        place += f", {command.shell}"
    if not rights:
        return text(place)
    return (Span("text", f"{place}; needs "), *limited(clause(command.rights)))


def further_steps(commands: tuple[Command, ...]) -> str:
    """Return the sentence that says which steps the full report has besides."""
    phases = ", ".join(dict.fromkeys([command.phase for command in commands]))
    steps = "1 further step" if len(commands) == 1 else f"{len(commands)} further steps"
    return f"{steps} in the full report: {phases}."


def dialect(commands: tuple[Command, ...]) -> str:
    """Return the sentence that says once which shell the blocks are for."""
    shells = {command.shell for command in commands}
    if not shells:
        return NO_COMMANDS
    if len(shells) > 1:
        return "Shell: any POSIX sh; steps marked bash need bash."
    return "Shell: any POSIX sh." if shells == {"sh"} else f"Shell: {shells.pop()}."
