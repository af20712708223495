"""What a step keeps for its undo: not overwritten by a second run, and there before anything changes.

Owns the files that a contain step writes and its undo reads, and processes that are stopped or ended. People paste a
step twice, and in a flood the next alert brings the same step again: a second
run that saves what the first one left, or nothing, makes the undo restore just
that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.catalog.catalog import Catalog
from exporter.lint.finding import Finding
from exporter.lint.walk import commands

_WRITTEN = re.compile(r"(?<![<>&=\-\d])>(?![=>&])\s*(\"[^\"\n]+\"|[^\s;&|()<>\"']+)(?P<after>[^\n]*(?:\\\n[^\n]*)*)")
_MOVED = re.compile(
    r"\bmv (?:-\S+ )*\"?(?P<aside>[^\s\"]+)\.new\"? (\"?(?P=aside)\"?)(?=[\s;}]|\Z)(?P<after>[^\n]*(?:\\\n[^\n]*)*)"
)
_IS_THERE, _IS_MISSING = r"\[\[? -[sef] [^\]]+ \]\]?", r"\[\[? ! -[sef] [^\]]+ \]\]?"
_ASKS_FIRST = re.compile(r"\bjq -\w*e|\bif \[ -[ugkL] ")
"""Goes no further where the state is not the one to be saved, as after the step's own doing."""
_GOES_ON_WHERE_SAVED = re.compile(rf"{_IS_THERE} &&|{_IS_MISSING} \|\||if {_IS_THERE}")

_NOTED = re.compile(r"&&\s*(?:\{[^\n}]*(?:\|\||\]\s*&&)\s*)?(?:mv|touch|echo|cat)\b|\bfalco-?%\{alert\.uid\}")
"""What a step notes of its own change once the call was accepted, or what only the step calls by this name."""
_REFUSABLE = re.compile(r"\b(?:aws|gcloud) ")
_WORDS = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^|;&\n\"'])*"
_CALL = re.compile(
    rf"\b(?:curl|gh api)\b(?P<words>{_WORDS}?(?:-X ?|--method[ =])(?:POST|PUT|PATCH|DELETE)\b{_WORDS})"
    r"(?P<then>&&[^\n]*)?"
)
"""A call of an interface over HTTP that changes something, and what is done once it was accepted."""
_NOTE = re.compile(r"\b(?:mv \"?[^\s\"]+\"? |touch )\"?(?P<file>[^\s\";}]+)")


def check_undo(catalog: Catalog) -> Iterator[Finding]:
    """Yield contain steps whose saved state a second run would overwrite, or that act although nothing was saved."""
    for owned, step in commands(catalog):
        if step.phase not in {"contain", "recover"}:
            continue
        saving = unsafe_saving(step.run.text, step.undo.text) if step.undo.text else ()
        others = undoing_others(step.run.text, step.undo.text) if step.undo.text and step.where == "cloud" else ()
        for message in (*saving, *others, *unkept_processes(step.run.text, step.undo.text)):
            yield Finding(step.place, owned.owner, message)


def unkept_processes(run: str, undo: str) -> Iterator[str]:
    """Yield what is wrong with how a step treats processes: stopped for good, or ended with nothing of them kept."""
    if "kill -STOP" in run and "kill -CONT" not in undo:
        yield 'stops processes, and the undo leaves them stopped; write their pids down, and there: kill -CONT "$p"'
    if re.search(r'>> "\$d/stopped"(?! &&)[^\n]*(?:\n\s*)?(?:[^\n]*; )?kill -STOP', run):
        yield 'stops what it may not have written down, as on a full disk: echo … >> "$d/stopped" && kill -STOP …'
    if re.search(r"kill -STOP [^\n]*&& echo", run):
        yield "stops first and writes down afterwards, and of a full disk the undo knows nothing: the other way round"
    if re.search(r"\bps [^\n]*lstart", undo):
        yield "the undo compares a time that moves with the clock; take the ticks since boot, /proc/$p/stat"
    if "kill -STOP" in run and re.search(r'pgrep -P "\$\w+"(?! \| while read -r \w+; do (\w+) "\$\w+"; done)', run):
        yield "stops a few generations only; write a function that calls itself for each child"
    before, ends, _ = run.partition("kill -KILL")
    if ends and not re.search(r"\$p/(?:exe|\$f)\b", before):
        yield "ends processes whose programs may exist in memory only; first keep exe, environ and maps of each"


def undoing_others(run: str, undo: str) -> Iterator[str]:
    """Yield that an undo would act where the step's call was refused and somebody else did the same by hand."""
    calls = list(_CALL.finditer(run.replace("\\\n", " ")))
    refusable = bool(calls) or _REFUSABLE.search(run) is not None
    noted = any(_is_noted(call, undo) for call in calls) if calls and not _REFUSABLE.search(run) else _NOTED.search(run)
    if refusable and not noted:
        yield (
            "the undo cannot tell the step's own change from that of somebody else, where the step was refused; "
            'note it behind the call that makes it: COMMAND && mv "$d/state.now" "$d/state.json"'
        )


def _is_noted(call: re.Match[str], undo: str) -> bool:
    """Whether the undo reads what is written only once the call was accepted: a note behind it.

    The call's answer in a file of its own is none: on a full disk the call is accepted, and the answer lost. Moved
    there from the file that held the request, it is.
    """
    found = _NOTE.search(call["then"] or "")
    # Of `key-$number.json` the undo looks for `key-*.json`.
    return found is not None and found["file"].rpartition("/")[2].partition("$")[0] in undo


def unsafe_saving(run: str, undo: str) -> Iterator[str]:
    """Yield what is wrong with how ``run`` saves what ``undo`` reads.

    Well saved is what is saved where it is not there yet, in a file named by the
    time, or after ``jq -e`` or ``if`` has found the state that is to be changed.
    A file that is written aside and then moved into place is well saved where
    the step deletes the thing: of one that is gone nothing is read a second time.
    """
    deletes = re.search(r"\b(?:delete|rm|-r)\b", run) is not None
    moved = [] if deletes else list(_MOVED.finditer(run))
    for written in (*_WRITTEN.finditer(run), *moved):
        file = (written["aside"] if written.re is _MOVED else written[1]).strip('"')
        if file.startswith("/dev/") or not _reads(undo, file):
            continue
        if not _saves_once(run, file) and not _ASKS_FIRST.search(run, 0, written.start()):
            yield (
                f"a second run overwrites {file!r}, which the undo reads; save it only where it is not there: "
                f'[ -s "{file}" ] || COMMAND > "{file}"; or, of what is then deleted: COMMAND > "{file}.new" && '
                f'mv "{file}.new" "{file}" && …'
            )
        if "&&" not in written["after"] and not _GOES_ON_WHERE_SAVED.search(run, written.start()):
            yield f'the step acts although {file!r} may not have been saved; go on only where it is: [ -s "{file}" ] &&'


def _reads(undo: str, file: str) -> bool:
    """Whether the undo looks into the file, and does more than write or remove it."""
    name = rf"{re.escape(file)}(?!\w)"
    return re.search(name, re.sub(rf"(?:>\s*|\brm (?:-\S+ )*(?:-- )?)\"?{name}", "", undo)) is not None


def _saves_once(run: str, file: str) -> bool:
    if file.startswith("$") and re.search(rf"(?:^|\s){re.escape(file[1:])}=\S*\$\(date ", run):
        return True  # A file of its own for each run.
    there = rf"\[\[? -[sef] \"?{re.escape(file)}\"? \]\]? \|\|"
    return re.search(rf"{there}|if {_IS_MISSING}; then", run) is not None
