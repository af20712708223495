"""Masking what must not leave this machine.

Owns the masking of fields and patterns in an alert, before any sink sees it.
Refuses to guess what is secret: the operator names it. Rule, priority, source,
host and tags stay, since every metric is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from exporter.alert import ABSENT, Alert
from exporter.config.model import Redaction
from exporter.errors import ConfigError
from exporter.patterns import Pattern

MASK = "[redacted]"

_WHOLE_WORD_BELOW_CHARACTERS = 4
"""Shorter values are masked in the output text only as whole words: ``0`` is part of many numbers."""

_TRANSFORMED = re.compile(r"[a-z0-9_]+\((.*)\)\Z", re.DOTALL)
"""A field through one of Falco's transformers, e.g. ``tolower(proc.cmdline)``."""


def make_redaction(settings: Redaction) -> Callable[[Alert], Alert] | None:
    """Return the transformation that the settings ask for; None where they ask for none.

    Raises ConfigError for what is not a valid regular expression.
    """
    if not settings.fields and not settings.patterns:
        return None
    return _Redactor(frozenset(settings.fields), [_compile(pattern) for pattern in settings.patterns])


def _compile(pattern: str) -> Pattern:
    try:
        return Pattern(pattern)
    except ValueError as exc:
        raise ConfigError(f"redaction.patterns: {exc}") from exc


class _Redactor:
    """Masks one alert after another."""

    def __init__(self, fields: frozenset[str], patterns: Sequence[Pattern]) -> None:
        self._fields = fields
        self._patterns = patterns

    def __call__(self, alert: Alert) -> Alert:
        """Return the alert with every named field and every match masked.

        The message that it came in is forgotten even where nothing was masked: it can hold what no field shows,
        such as members that we do not read, a ``message`` that differs from the output, or a key given twice.
        """
        received = alert.all_fields()
        secrets = {name: value for name, value in received.items() if self._is_named(name)}
        fields: dict[str, str] = {}
        for name, value in received.items():
            shown = value if value in ABSENT else MASK if name in secrets else self._masked(value)
            fields[_free(self._masked(name), fields)] = shown
        return alert.changed(raw_output=self._masked_output(alert, secrets), fields=fields)

    def _masked_output(self, alert: Alert, secrets: Mapping[str, str]) -> str:
        """Mask the text; the time and priority that Falco puts before it stay where nothing is masked."""
        output = self._masked(_without(alert.output, secrets))
        return alert.raw_output if output == alert.output else output

    def _is_named(self, field: str) -> bool:
        """Naming ``proc.aname`` names ``proc.aname[2]`` and ``tolower(proc.aname)`` too."""
        while field not in self._fields:
            inner = _TRANSFORMED.match(field)
            if inner is None:
                return field.partition("[")[0] in self._fields
            field = inner[1]
        return True

    def _masked(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.replaced(text, MASK)
        return text


def _free(name: str, taken: Mapping[str, str]) -> str:
    """Return a name that no other field has: two may be the same once masked."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free


def _without(output: str, secrets: Mapping[str, str]) -> str:
    """Mask the secrets' values where the rule printed them; the longest first, since one may hold another."""
    for value in sorted({*secrets.values()} - ABSENT, key=len, reverse=True):
        if len(value) >= _WHOLE_WORD_BELOW_CHARACTERS:
            output = output.replace(value, MASK)
        else:
            output = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, output)
    return output
