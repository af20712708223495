"""The simple commands of a block, with where each stands.

Reads as much of the shell as the catalog's blocks use; what it takes for a
command and is none makes a mutant that no shell parses, which is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exporter.catalog.shell_places import ASSIGNMENT, BEFORE_COMMAND
from exporter.catalog.template import PLACEHOLDER

_EXPANSION = re.compile(r"\$\{[^}]*\}")
_OPERATOR = re.compile(r"&&|\|\||;;|[;|&\n]")
_NO_COMMAND = frozenset({"}", "case", "done", "esac", "fi", "for", "in"})


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command in a block."""

    words: tuple[str, ...]
    """Its own name first; redirections are words too, assignments before it are none."""
    starts: tuple[int, ...]
    """Where each word begins."""
    start: int
    """Where it begins, assignments before it included."""
    end: int
    before: str
    """The operator or reserved word before it; empty at a list's beginning."""
    after: str
    """The operator after it; empty at a list's end."""
    after_at: int
    """Where that operator begins."""
    is_inside: bool
    """Whether what it answers is a word of another command, by ``$(…)``."""

    @property
    def name(self) -> str:
        """What it runs; empty where it only assigns."""
        return self.words[0] if self.words else ""


def read(text: str) -> list[Command]:
    """Return the block's simple commands in the order in which they begin, those within ``$(…)`` and ``(…)`` too."""
    reader = _Reader(text)
    while reader.at < len(text):
        reader.list_of_commands()
    return sorted(reader.found, key=lambda command: (command.start, -command.end))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[Command] = []
        self._substitutions = 0

    def list_of_commands(self) -> None:
        """Read up to the bracket that ends this list, or the text's end."""
        words: list[tuple[int, int]] = []
        before = ""
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in " \t":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif character == ")":
                self._command(words, before, "")
                self.at += 1
                return
            elif character == "(":
                self._bracket(words)
            elif (operator := _OPERATOR.match(self.text, self.at)) and not self.text.startswith("&>", self.at):
                self._command(words, before, operator[0])
                words, before = [], operator[0]
                self.at = operator.end()
            else:
                start = self.at
                self._word()
                words.append((start, self.at))
        self._command(words, before, "")

    def _bracket(self, words: list[tuple[int, int]]) -> None:
        if self.text.startswith("()", self.at):  # A function's name, no command.
            words.clear()
            self.at += 2
            return
        self.at += 1
        self.list_of_commands()

    def _command(self, spans: list[tuple[int, int]], before: str, after: str) -> None:
        left = list(spans)
        while left and self.text[slice(*left[0])] in BEFORE_COMMAND:
            before = self.text[slice(*left.pop(0))]
        if not left or self.text[slice(*left[0])] in _NO_COMMAND:
            return
        start = left[0][0]
        while left and ASSIGNMENT.match(self.text, left[0][0]):
            end = left.pop(0)[1]
        if left:
            end = left[-1][1]
        words = tuple(self.text[slice(*span)] for span in left)
        starts = tuple(span[0] for span in left)
        self.found.append(Command(words, starts, start, end, before, after, self.at, self._substitutions > 0))

    def _word(self) -> None:
        while self.at < len(self.text) and (character := self.text[self.at]) not in " \t\n;|)(":
            if character == "&" and self.text[self.at - 1] not in "<>" and self.text[self.at + 1 : self.at + 2] != ">":
                return
            self._piece(character)
            if self.at < len(self.text) and self.text[self.at] == "(" and self.text[self.at - 1] in "<>":
                self._substitution(1)

    def _piece(self, character: str) -> None:
        """Read one piece of a word: something quoted, expanded or a single character."""
        if character == "'":
            self.at = self._after("'", self.at + 1)
        elif character == '"':
            self._double_quoted()
        elif character == "\\":
            self.at += 2
        elif self.text.startswith("$(", self.at):
            self._substitution(2)
        elif found := _EXPANSION.match(self.text, self.at) or PLACEHOLDER.match(self.text, self.at):
            self.at = found.end()
        else:
            self.at += 1

    def _substitution(self, length: int) -> None:
        self.at += length
        self._substitutions += 1
        self.list_of_commands()
        self._substitutions -= 1

    def _double_quoted(self) -> None:
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            self._piece("" if self.text[self.at] == "'" else self.text[self.at])
        self.at += 1

    def _after(self, quote: str, start: int) -> int:
        end = self.text.find(quote, start)
        return len(self.text) if end < 0 else end + 1
