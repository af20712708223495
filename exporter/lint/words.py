"""The simple commands in a piece of bash: which programs it runs, with which words.

Owns reading far enough for that: quotes, substitutions, pipelines, bodies of
loops. Refuses to expand anything; a word with an expansion keeps its text.
"""

from __future__ import annotations

import re

_RESERVED = frozenset(
    {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "{", "}", "!", "time", "esac"}
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\[[^\]]*\])?\+?=")
_REDIRECTION = re.compile(r"\d*(?:>>?[|&]?|<>?|<<<|>&|<&|&>>?)\Z")
_PATTERN = re.compile(r"(\bcase\s+[^\n]*?\s+in|;;)\s+(?!esac)\(?[^()]*?\)")
"""``case X in PATTERN)`` and ``;; PATTERN)``: patterns are no commands."""
_HEREDOC = re.compile(r"<<-?[ \t]*(['\"\\]?)([\w.]+)['\"]?")


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[list[str]] = []
        self._heredocs: list[str] = []
        self._closing = ""

    def read(self, closing: str = "") -> None:
        """Read commands up to ``closing`` or the end."""
        outer, self._closing = self._closing, closing
        words: list[str] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == closing:
                break
            if character in " \t" or self.text.startswith("\\\n", self.at):
                self.at += 2 if character == "\\" else 1
            elif character in "\n;&|()":
                self._separator(character, words)
                words = words if self._in_redirection(character) else []
            elif character == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                words.append(self._word())
        self._end(words)
        self.at += 1
        self._closing = outer

    def _in_redirection(self, character: str) -> bool:
        return character == "&" and self.text[self.at - 2 : self.at - 1] in {">", "<"}

    def _separator(self, character: str, words: list[str]) -> None:
        self.at += 1
        if self._in_redirection(character):
            return
        self._end(words)
        if character == "\n":
            for delimiter in self._heredocs:
                end = re.compile(rf"^\t*{re.escape(delimiter)}$", re.MULTILINE).search(self.text, self.at)
                self.at = len(self.text) if end is None else end.end()
            self._heredocs = []

    def _end(self, words: list[str]) -> None:
        command = _command(words)
        if command:
            self.found.append(command)

    def _word(self) -> str:
        word = ""
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;&|()" + self._closing:
            word += self._piece()
        if self.text[self.at : self.at + 1] == "(" and word[-1:] in {"<", ">", "="}:
            self.at += 1
            self.read(")")
            return word + "()"
        if self.text[self.at : self.at + 1] == "&" and word[-1:] in {"<", ">"}:
            self.at += 1
            return word + "&" + self._word()
        return word

    def _piece(self) -> str:
        character, start = self.text[self.at], self.at
        if character == "\\":
            self.at += 2
            return self.text[start + 1 : self.at].replace("\n", "")
        if character in "'\"":
            return self._single(start + 1) if character == "'" else self._double()
        if character in "$`" and (match := re.compile(r"\$'|\$[({]|`").match(self.text, start)):
            return self._ansi() if match[0] == "$'" else self._substitution()
        if (match := _HEREDOC.match(self.text, start)) and not self.text.startswith("<<<", start):
            self._heredocs.append(match[2])
            self.at = match.end()
            return "<<" + match[2]
        self.at += 1
        return character

    def _single(self, start: int) -> str:
        end = self.text.find("'", start)
        end = len(self.text) if end < 0 else end
        self.at = end + 1
        return self.text[start:end]

    def _ansi(self) -> str:
        match = re.compile(r"\$'((?:\\.|[^'\\])*)'", re.DOTALL).match(self.text, self.at)
        self.at = match.end() if match else len(self.text)
        return match[1] if match else ""

    def _double(self) -> str:
        self.at += 1
        inside = ""
        while self.at < len(self.text) and self.text[self.at] != '"':
            if self.text[self.at] == "\\":
                inside += self.text[self.at + 1 : self.at + 2]
                self.at += 2
            elif self.text.startswith(("$(", "${"), self.at) or self.text[self.at] == "`":
                inside += self._substitution()
            else:
                inside += self.text[self.at]
                self.at += 1
        self.at += 1
        return inside

    def _substitution(self) -> str:
        start = self.at
        if self.text.startswith("$((", start):
            self.at = self.text.find("))", start) + 2
        elif self.text.startswith("${", start):
            self.at = self.text.find("}", start) + 1
        elif self.text.startswith("$(", start):
            self.at += 2
            self.read(")")
        else:
            self.at += 1
            self.read("`")
        return self.text[start : self.at]


def _command(words: list[str]) -> list[str]:
    """Take off what stands before a command's name, and redirections."""
    while words and (words[0] in _RESERVED or _ASSIGNMENT.match(words[0])):
        words = words[1:]
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif _REDIRECTION.fullmatch(word):
            skip = True
        elif not re.match(r"\d*[<>]|&>", word):
            kept.append(word)
    return kept


def simple_commands(text: str) -> list[list[str]]:
    """Return each simple command's words, its name first, those in substitutions included."""
    reader = _Reader(_PATTERN.sub(r"\1;", text) if "esac" in text else text)
    while reader.at < len(reader.text):
        reader.read()
    return reader.found
