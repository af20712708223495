"""Which alerts are asked for, on disk and in memory alike.

Owns the filter and the words of a search: whole words in any case, in the
order given where they are joined by punctuation (``/etc/shadow`` is *etc*
followed by *shadow*), all of them somewhere in the alert; ``ssh*`` stands for
every word that begins so. Refuses to know SQL.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import NamedTuple

from exporter.alert import Alert, Priority
from exporter.escaping import valid_text
from exporter.history.facts import Row, name_of

_ASKED = re.compile(r'"([^"]*)"?(\*?)|([^\s"]+)')
_WORD = re.compile(r"[^\W_]+")
_WORDS_LIMIT = 20


class Phrase(NamedTuple):
    """Words that follow one another."""

    text: str
    """As the reader wrote them, punctuation included."""
    is_beginning: bool
    """Whether the last word may go on."""


def phrases_of(text: str) -> list[Phrase]:
    """Return what a search text asks for: words between blanks, or between double quotes, at most 20."""
    found = []
    for match in itertools.islice(_ASKED.finditer(text), _WORDS_LIMIT):
        quoted, star, word = match.groups()
        if word is None:
            found.append(Phrase(quoted, star == "*"))
        else:
            found.append(Phrase(word.rstrip("*"), word.endswith("*")))
    return [phrase for phrase in found if _WORD.search(phrase.text)]


@dataclass(frozen=True, slots=True)
class Query:
    """Which alerts are asked for; an empty part asks for all."""

    text: str = ""
    """Words in the rule, the output, the host or a field's value."""
    verdict: str = ""
    """The verdict that was given when the alert came."""
    rule: str = ""
    """The rule's name, any case."""
    priority: Priority | None = None
    """This priority and above."""
    host: str = ""
    """The host's name, any case."""
    namespace: str = ""
    """The Kubernetes namespace."""
    principal: str = ""
    """Who acted: the API's user, or the login or user of a process."""
    since_ns: int = 0
    """The earliest time of the event, nanoseconds since 1970; 0 for no limit."""
    until_ns: int = 0
    """The time that every event is before; 0 for no limit."""

    def __post_init__(self) -> None:
        for name in ("rule", "host", "namespace", "principal"):
            object.__setattr__(self, name, name_of(getattr(self, name)))
        object.__setattr__(self, "text", valid_text(self.text))

    def admits(self, row: Row, alert: Alert) -> bool:
        """Tell whether the alert, whose facts are in the row, is asked for."""
        return (
            (not self.verdict or row.verdict == self.verdict)
            and (self.priority is None or row.priority <= self.priority)
            and (not self.rule or row.rule.casefold() == self.rule.casefold())
            and (not self.host or row.host.casefold() == self.host.casefold())
            and (not self.namespace or row.namespace == self.namespace)
            and (not self.principal or row.principal == self.principal)
            and (self.since_ns <= row.time_ns)
            and (not self.until_ns or row.time_ns < self.until_ns)
            and (not self.text or finds(self.text, alert))
        )


def finds(text: str, alert: Alert) -> bool:
    """Tell whether every phrase of a search text is in the alert."""
    phrases = phrases_of(text)
    if not phrases:
        return False
    searched = _words(searchable(alert))
    return all(_is_in(phrase, searched) for phrase in phrases)


def _is_in(phrase: Phrase, searched: str) -> bool:
    wanted = _words(phrase.text)
    return (wanted[:-1] if phrase.is_beginning else wanted) in searched


def _words(text: str) -> str:
    """Return the text's words in small letters, a blank before and after each."""
    return " " + "".join([f"{word} " for word in _WORD.findall(text.casefold())])


def searchable(alert: Alert) -> str:
    """Return the text that a search looks through: rule, host, output, and the values that the output does not show."""
    output = alert.output
    hidden = [value for value in alert.all_fields().values() if value not in output]
    return "\n".join([alert.rule, alert.hostname, output, *hidden])
