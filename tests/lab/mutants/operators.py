"""Ways to break a block, each one small, as an author might get it wrong.

Left out on purpose: how text is cut and sorted, which either breaks everything
or nothing; how long a command waits and how much it may write; the folder for
the evidence, which the steps before have made already; and ``--``: a value that
begins with a dash is refused by the renderer or has ``./`` before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.lab.mutants.reading import Command, read

_LEAVING = frozenset({"break", "continue", "exit", "return"})
_TESTS = frozenset({"[", "[[", "cmp", "command", "test"})
_SAYING = frozenset({":", "echo", "mkdir", "printf", "sleep", "ulimit"})
_TEXT = frozenset(
    {"awk", "cat", "cut", "head", "jq", "od", "paste", "sed", "sort", "tail", "tr", "uniq", "wc", "xargs"}
)
"""Programs that pass text on; where it is filtered they are broken by ``condition``."""
_READING = re.compile(
    r"(?:cat|getent|journalctl|ls|lsattr|namei|passwd|ps|readlink|stat)\b.*|(?:\S+ ){1,4}(?:auth )?"
    r"(?:can-i|describe|diff|get|is-active|is-enabled|list|ls|show|status)\b.*|curl (?!.*-X).*",
    re.DOTALL,
)
_LEFT = re.compile(r"\|\|\s*(?:\{(?:[^{}]|\{[^{}]*\})*?\b)?(?:break|continue|exit|return)\b")
"""``||`` before what leaves the block, the loop or the function."""
_UNSET = re.compile(r"\$\{(\w+):\?\w*\}")
_SHOWS = re.compile(
    r"-o(?:json|yaml|wide|name|jsonpath.*|go-template.*)?|--(?:output|query|format|template|reason|description)(?:=.*)?"
    r"|--no-pager|--jq|--color.*|--quiet|-q|-w+|--forest|--header|-v|-h|-ld?|-d|-lb?|--timestamps|--timeout=.*|--error-with-body"
)
"""Options that change only what is shown, or how long is waited."""
_FIND = {
    "-type",
    "-name",
    "-maxdepth",
    "-mindepth",
    "-newerct",
    "-newermt",
    "-regex",
    "-path",
    "-size",
    "-perm",
    "-user",
}
_WITH_VALUE: Mapping[str, frozenset[str]] = {
    "find": frozenset(_FIND),
    "gh": frozenset({"-F", "-H", "-f", "--method"}),
    "head": frozenset({"-n"}),
    "kubectl": frozenset({"-l", "-p", "-c"}),
    "pgrep": frozenset({"-P", "-d"}),
    "systemctl": frozenset({"-p"}),
}
_UNTOUCHED = frozenset(
    {
        "awk",
        "chpasswd",
        "cut",
        "date",
        "grep",
        "journalctl",
        "jq",
        "nsenter",
        "paste",
        "ps",
        "sed",
        "sort",
        "ss",
        "stat",
        "tail",
        "tar",
        "tr",
    }
)
"""Programs whose options say what is read of a text: without one, nothing comes of it."""
_CONDITION = re.compile(r" and |&&")
_ORDER = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "-lt": "-gt", "-le": "-ge", "-gt": "-lt", "-ge": "-le"}
_COMPARED = re.compile(r"(?<![<>=\-|])(?:<=|>=|<|>)(?![<>=(&])")
_VARIABLE = re.compile(r'"\$\{?([a-z]\w*)[^"]*"')
_FIELD = re.compile(r"%\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Change:
    """One fault in a block."""

    start: int
    end: int
    text: str
    """What stands there instead."""

    def applied(self, block: str) -> str:
        """Return the block with the fault in it."""
        return block[: self.start] + self.text + block[self.end :]


def drop(block: str) -> Iterator[Change]:
    """Leave out one command: nothing is done, kept or found, or all passes through that was to be filtered."""
    for command in _working(block):
        if not _only_shows(block, command):
            yield _without(block, command)


def silence(block: str) -> Iterator[Change]:
    """Leave out one command that only shows how things are."""
    for command in _working(block):
        if _only_shows(block, command):
            yield _without(block, command)


def _working(block: str) -> Iterator[Command]:
    """Yield the commands that do, keep or find something."""
    for command in read(block):
        idle = {"", *_SAYING, *_TESTS, *_LEAVING, *(_TEXT if command.before == "|" else ())}
        if command.name not in idle and command.before not in {"while", "until"} and not _is_pattern(block, command):
            yield command


def _without(block: str, command: Command) -> Change:
    if command.before == "|":
        return Change(command.start, command.end, "cat")
    is_first_choice = command.after == "||" and not _LEFT.match(block, command.after_at)
    return Change(command.start, command.end, "false" if is_first_choice else ":")


def _only_shows(block: str, command: Command) -> bool:
    """Whether it reads, and what it answers goes to nobody but the reader."""
    if command.is_inside or command.after in {"|", "||", "&&"} or command.before in {"if", "elif"}:
        return False
    text = " ".join(command.words)
    goes_on = re.search(r"(?<!2)>|-o ?\"?\$", text) or re.match(
        r"[^\n]*(?:\n\s*)?\|", block[command.end :].partition(";")[0]
    )
    return not goes_on and _READING.fullmatch(text) is not None


def guard(block: str) -> Iterator[Change]:
    """Go on where a guard forbids it: without leaving, whatever a test says, with a variable that is empty."""
    for command in read(block):
        if command.name in _LEAVING:
            yield Change(command.start, command.end, ":")
        elif _is_test(command):
            yield from (Change(command.start, command.end, word) for word in _answers(block, command))
    for found in _UNSET.finditer(block):
        yield Change(found.start(), found.end(), f"${{{found[1]}}}")


def chain(block: str) -> Iterator[Change]:
    """Go on although a command failed."""
    for command in read(block):
        idle = command.name in {*_SAYING, *_LEAVING} or command.before in {"while", "until"}
        if command.after == "&&" and not idle and not _is_test(command):
            yield Change(command.after_at, command.after_at + 2, ";")


def _is_test(command: Command) -> bool:
    return command.name in _TESTS or (
        command.name == "grep" and any(re.match(r"-\w*q", word) for word in command.words)
    )


def _answers(block: str, command: Command) -> tuple[str, ...]:
    """What a test may be replaced by, so that what it guards comes to pass."""
    if command.before in {"while", "until"}:
        return ()
    if command.after == "&&":
        return (":",)
    if command.after == "||":
        if not _LEFT.match(block, command.after_at):
            return ("false",)
        return (":",) if command.before in {"&&", "||"} else ()
    return (":", "false") if command.before in {"if", "elif"} else ()


def condition(block: str) -> Iterator[Change]:
    """Leave out one of several conditions of a filter, the whole of a ``select``, or turn an order round."""
    for start, end in _programs(block):
        text = block[start:end]
        for found in re.finditer(r"\bselect\(", text):
            inner = found.end()
            yield Change(start + inner, start + _reach(text, inner, 1, ends=""), "true")
        for found in _CONDITION.finditer(text):
            yield Change(start + found.start(), start + _reach(text, found.end(), 1), "")
            yield Change(start + _reach(text, found.start(), -1), start + found.end(), "")
        for found in _COMPARED.finditer(text):
            yield Change(start + found.start(), start + found.end(), _ORDER[found[0]])
    for command in read(block):
        if command.name in {"[", "test"}:
            for word, at in zip(command.words, command.starts, strict=True):
                if word in _ORDER:
                    yield Change(at, at + len(word), _ORDER[word])


def _programs(block: str) -> Iterator[tuple[int, int]]:
    """Where the programs of jq and awk stand, without their quotes."""
    for command in read(block):
        if command.name in {"awk", "jq"}:
            for word, at in zip(command.words, command.starts, strict=True):
                if word.startswith("'") and len(word) > 2:
                    yield at + 1, at + len(word) - 1


def _reach(text: str, at: int, step: int, ends: str = "|;,{") -> int:
    """Return where the operand ends that begins at ``at`` and goes on forwards (1) or backwards (-1)."""
    opening, closing = ("([{", ")]}") if step > 0 else (")]}", "([{")
    depth, is_quoted = 0, False
    while 0 <= (here := at if step > 0 else at - 1) < len(text):
        character = text[here]
        if character == '"':
            is_quoted = not is_quoted
        elif is_quoted:
            pass
        elif not depth and (character in ends or (ends and _at_word(text, at, step))):
            return at
        elif character in opening:
            depth += 1
        elif character in closing:
            if not depth:
                return at
            depth -= 1
        at += step
    return at


def _at_word(text: str, at: int, step: int) -> bool:
    """Whether another ``and`` or ``or`` comes next."""
    if step > 0:
        return re.match(r" (?:and|or) |&&", text[at:]) is not None
    return re.search(r"(?: (?:and|or) |&&)\Z", text[:at]) is not None


def option(block: str) -> Iterator[Change]:
    """Leave out one option of a command that finds, filters or changes, with its value."""
    for command in _working(block):
        if command.name in _UNTOUCHED or _only_shows(block, command):
            continue
        ends = [at + len(word) for word, at in zip(command.words, command.starts, strict=True)]
        for index, word in enumerate(command.words[1:], 1):
            if not re.match(r"--?[A-Za-z]", word) or _SHOWS.fullmatch(word):
                continue
            following = command.words[index + 1] if index + 1 < len(command.words) else ""
            last = index + 1 if following and _takes(command.name, word, following) else index
            # Without -f, curl takes the vendor's refusal for an answer; the letters before it only keep it quiet.
            yield Change(command.starts[index], ends[last], "-sS" if word == "-sSf" else "")


def _takes(program: str, word: str, following: str) -> bool:
    """Whether the next word is an option's value."""
    if program in {"aws", "crictl"} and word.startswith("--"):
        return "=" not in word and not re.match(r"-|\d?[<>]", following)
    return word in _WITH_VALUE.get(program, frozenset())


def variable(block: str) -> Iterator[Change]:
    """Take another variable of the block, or another of the alert's fields, for the first that a command names."""
    names = list(dict.fromkeys(re.findall(r"(?<![\w$-])([a-z]\w*)=", re.sub(r"'[^']*'", "", block))))
    names = [name for name in names if f"${name}" in block or f"${{{name}" in block]
    fields = [name for name in dict.fromkeys(_FIELD.findall(block)) if not name.startswith("alert.")]
    for command in _working(block):
        yield from _another(block, command, _VARIABLE, [name for name in names if name != "d"])
        yield from _another(block, command, _FIELD, fields)


def _another(block: str, command: Command, pattern: re.Pattern[str], names: list[str]) -> Iterator[Change]:
    own = block[command.start : command.end]
    for found in pattern.finditer(own):
        if found[1] in names and len(names) > 1:
            other = names[(names.index(found[1]) + 1) % len(names)]
            yield Change(command.start + found.start(1), command.start + found.end(1), other)
            return


def _is_pattern(block: str, command: Command) -> bool:
    """Whether what was read as a command is one of a ``case``'s patterns."""
    opened = block[: command.start].rstrip()
    return bool(re.search(r"(?:\bin\s*\(|;;\s*\(|\|)\Z", opened)) and bool(
        re.match(r"(?:\|[^)\n|]*)*\)\s", block[command.end :])
    )


OPERATORS: Mapping[str, Callable[[str], Iterator[Change]]] = {
    "drop": drop,
    "guard": guard,
    "condition": condition,
    "chain": chain,
    "option": option,
    "variable": variable,
    "silence": silence,
}
"""By name, the most telling first."""
