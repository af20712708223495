"""Where in a command line a value may stand, decided once, when the catalog loads.

Owns reading an author's bash far enough to know that every placeholder is a
whole or partial word in plain code: there, and only there, a quoted value
stays one inert word. What this reading does not understand, it refuses.
Refuses to know the notation of placeholders (see ``template.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exporter.catalog.shell_options import takes_literally
from exporter.errors import CatalogError

PLACE, PROGRAM, TEXT = "\ue000", "\ue001", "\ue002"
"""Stand in the scanned text for a placeholder or a word in another language, a ``%[sh:…]`` and a ``%[text:…]``."""
_PLACES = PLACE + PROGRAM + TEXT
_ANY = re.compile(f"[{_PLACES}]")
_EXPANSION = re.compile(r"\$\{[A-Za-z0-9_#!@*?:%/.\[\]=+,^~-]*\}")
_HEREDOC = re.compile(r"<<(-?)[ \t]*(?:'([^'\n]+)'|\"([^\"\n]+)\"|\\?([A-Za-z0-9_]+))")
ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
BEFORE_COMMAND = frozenset({"!", "{", "do", "elif", "else", "if", "then", "time", "until", "while"})
"""Words after which a command begins."""
_EVALUATING = frozenset({".", "[[", "eval", "let", "source", "ssh", "watch"})
_SHELLS = frozenset({"ash", "bash", "busybox", "dash", "flock", "ksh", "runuser", "script", "sh", "su", "zsh"})
_INTERPRETERS = frozenset(
    {"awk", "gawk", "jq", "mawk", "mysql", "node", "perl", "psql", "python", "python3", "ruby", "sed", "sqlite3", "yq"}
)


_IN_QUOTES = (
    "a placeholder stands inside {} quotes; leave it bare (the renderer quotes it), "
    "or write the whole word as %[LANGUAGE:…]"
)


@dataclass(slots=True)
class _Segment:
    """One simple command, as far as it has been read."""

    words: list[str]
    word: str = ""
    options_ended: bool = False

    def end_word(self) -> None:
        if self.word:
            self.words.append(self.word)
            self.options_ended = self.options_ended or self.word == "--"
            self.word = ""

    @property
    def command(self) -> list[str]:
        """The command from its own name on; empty before that has been read."""
        for index, word in enumerate(self.words):
            if word not in BEFORE_COMMAND and not ASSIGNMENT.match(word):
                return self.words[index:]
        return []


class _Reader:
    """Reads bash left to right; ``alone`` gets one truth for each place."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.alone: list[bool] = []
        self._open: list[_Segment] = []
        """Segments outside the brackets that are open here."""
        self._segment = _Segment([])
        self._heredocs: list[tuple[str, bool]] = []

    def read(self) -> list[bool]:
        while self.at < len(self.text):
            self._step(self.text[self.at])
        if self._open:
            raise CatalogError("a bracket is not closed")
        if self._heredocs:
            raise CatalogError("a here-document has no body")
        return self.alone

    def _step(self, character: str) -> None:
        if character in _PLACES:
            self._place(character)
        elif character in "\\'\"`$#<":
            self._special(character)
        elif character in "()":
            self._bracket(character)
        elif character in "|;&\n":
            self._separator(character)
        elif character in " \t":
            self._segment.end_word()
            self.at += 1
        else:
            self._word(1)

    def _special(self, character: str) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if character == "\\":
            self._backslash(following)
        elif character == "'":
            self._quoted("'", self.at + 1, escapes=False)
        elif character == '"':
            self._double_quoted()
        elif character == "`":
            raise CatalogError("backticks evaluate what is quoted inside them; write $(…)")
        elif character == "$":
            self._dollar(following)
        elif character == "#" and not self._segment.word:
            self._comment()
        elif character == "<" and following == "<":
            self._here()
        else:
            self._word(1)

    def _backslash(self, following: str) -> None:
        if following and following in _PLACES:
            raise CatalogError("a placeholder stands after a backslash, which would undo its quotes")
        if following == "\n":
            self._segment.end_word()
            self.at += 2
        else:
            self._word(2)

    def _dollar(self, following: str) -> None:
        if following == "'":
            self._quoted("'", self.at + 2, escapes=True)
        elif following == "(" and not self.text.startswith("$((", self.at):
            self._word(1)
            self._bracket("(")
        elif following == "{":
            match = _EXPANSION.match(self.text, self.at)
            if match is None:
                raise CatalogError("a ${…} with quotes, spaces or a placeholder in it; use a variable or plain words")
            self._word(match.end() - self.at)
        elif following in {"(", "["}:
            raise CatalogError("arithmetic evaluates what is quoted inside it; leave it to a tool")
        elif following and following in _PLACES:
            raise CatalogError("a placeholder stands after $, which would change its quotes")
        else:
            self._word(1)

    def _quoted(self, quote: str, start: int, *, escapes: bool) -> None:
        end = start
        while end < len(self.text) and self.text[end] != quote:
            end += 2 if escapes and self.text[end] == "\\" else 1
        if end >= len(self.text):
            raise CatalogError(f"a {quote} is not closed")
        if _ANY.search(self.text, start, end):
            raise CatalogError(_IN_QUOTES.format(quote))
        self._word(end + 1 - self.at)

    def _double_quoted(self) -> None:
        self._word(1)
        while self.at < len(self.text) and (character := self.text[self.at]) != '"':
            if character in _PLACES:
                raise CatalogError(_IN_QUOTES.format('"'))
            if self.text.startswith("$(", self.at):
                self._substitution()
            elif character in "\\`" or self.text.startswith("${", self.at):
                self._special(character)
            else:
                self._word(1)
        if self.at >= len(self.text):
            raise CatalogError('a " is not closed')
        self._word(1)

    def _substitution(self) -> None:
        """Read a $(…) inside double quotes: plain code again, up to its own bracket."""
        depth = len(self._open)
        self._dollar("(")
        while len(self._open) > depth and self.at < len(self.text):
            self._step(self.text[self.at])

    def _word(self, length: int) -> None:
        self._segment.word += self.text[self.at : self.at + length]
        self.at += length

    def _comment(self) -> None:
        end = self.text.find("\n", self.at)
        end = len(self.text) if end < 0 else end
        self.alone += [False] * len(_ANY.findall(self.text, self.at, end))
        self.at = end

    def _here(self) -> None:
        if self.text.startswith("<<<", self.at):
            self._segment.end_word()
            self.at += 3
            return
        match = _HEREDOC.match(self.text, self.at)
        if match is None:
            raise CatalogError("a here-document without a plain delimiter; write <<'EOF'")
        self._heredocs.append((match[2] or match[3] or match[4], match[1] == "-"))
        self.at = match.end()

    def _bracket(self, character: str) -> None:
        if character == "(":
            if self.text.startswith("((", self.at):
                raise CatalogError("(( evaluates what is quoted inside it; leave arithmetic to a tool")
            self._open.append(self._segment)
            self._segment = _Segment([])
        elif not self._open:
            raise CatalogError("a ) closes nothing")
        else:
            self._segment = self._open.pop()
            self._segment.word += ")"
        self.at += 1

    def _separator(self, character: str) -> None:
        around = self.text[self.at - 1 : self.at] + self.text[self.at + 1 : self.at + 2]
        if (character == "&" and set(around) & set("<>")) or (character == "|" and around[:1] == ">"):
            self._word(1)
            return
        self._segment = _Segment([])
        self.at += 1
        if character == "\n":
            for delimiter, tabs in self._heredocs:
                self._body(delimiter, tabs=tabs)
            self._heredocs = []

    def _body(self, delimiter: str, *, tabs: bool) -> None:
        indent = r"\t*" if tabs else ""
        end = re.compile(rf"^{indent}{re.escape(delimiter)}$", re.MULTILINE).search(self.text, self.at)
        if end is None:
            raise CatalogError(f"a here-document does not end; expected a line {delimiter}")
        if _ANY.search(self.text, self.at, end.end()):
            raise CatalogError(
                "a placeholder stands in a here-document, which knows no quotes; use a file or an option"
            )
        self.at = end.end()

    def _place(self, kind: str) -> None:
        segment = self._segment
        before = segment.word
        if not before and not segment.command:
            raise CatalogError("a placeholder stands where the command's name does: the alert would choose the program")
        last = before or (segment.words[-1] if segment.words else "")
        if re.search(r">[>|&]?\Z", last):
            raise CatalogError("a placeholder is the target of >: the alert would choose the file; begin its name")
        _refuse_programs(kind, segment)
        self.alone.append(not before and not segment.options_ended and not takes_literally(segment.command))
        self._word(1)


def _refuse_programs(kind: str, segment: _Segment) -> None:
    """Refuse values where a program or another shell would read them a second time."""
    names = {word.rsplit("/", 1)[-1] for word in segment.words}
    if kind == PROGRAM:
        return
    if found := names & _EVALUATING:
        raise CatalogError(f"{min(found)} evaluates its words again; write them as one %[sh:…]")
    last = segment.words[-1] if segment.words else ""
    program = (names & _SHELLS and re.fullmatch(r"-[a-z]*c", last)) or last == "--command"
    if program or segment.word.endswith("--command="):
        raise CatalogError("a placeholder is a shell's program: the alert would choose what runs; write %[sh:…]")
    if kind == TEXT and (found := names & _INTERPRETERS):
        raise CatalogError(f"{min(found)} may read %[text:…] as its program; pass values as arguments of their own")


def check_places(text: str) -> list[bool]:
    """Return for each place, in order, whether it begins a word that could be taken for an option.

    ``text`` is bash with ``PLACE``, ``PROGRAM`` and ``TEXT`` where values go. Raises
    CatalogError where a value could be read as anything but a word.
    """
    return _Reader(text).read()
