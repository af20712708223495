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

MASK = "[redacted]"

_WHOLE_WORD_BELOW_CHARACTERS = 4
"""Shorter values are masked in the output text as whole words alone: ``0`` stands in every number."""


def make_redaction(settings: Redaction) -> Callable[[Alert], Alert] | None:
    """Return the transformation that the settings ask for; None where they ask for none.

    Raises ConfigError for what is no regular expression.
    """
    if not settings.fields and not settings.patterns:
        return None
    return _Redactor(frozenset(settings.fields), [_compile(pattern) for pattern in settings.patterns])


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise ConfigError(f"redaction.patterns: {pattern!r} is no regular expression: {exc}") from exc


class _Redactor:
    """Masks one alert after another."""

    def __init__(self, fields: frozenset[str], patterns: Sequence[re.Pattern[str]]) -> None:
        self._fields = fields
        self._patterns = patterns

    def __call__(self, alert: Alert) -> Alert:
        """Return the alert with every named field and every match masked; the same alert where nothing was."""
        received = alert.all_fields()
        secrets = {name: value for name, value in received.items() if self._is_named(name)}
        fields = {
            name: value if value in ABSENT else MASK if name in secrets else self._masked(value)
            for name, value in received.items()
        }
        output = self._masked(_without(alert.output, secrets))
        if output == alert.output and fields == received:
            return alert
        return alert.changed(raw_output=output, fields=fields)

    def _is_named(self, field: str) -> bool:
        """Naming ``proc.aname`` names ``proc.aname[2]`` too."""
        return field in self._fields or field.partition("[")[0] in self._fields

    def _masked(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(MASK, text)
        return text


def _without(output: str, secrets: Mapping[str, str]) -> str:
    """Mask the secrets' values where the rule printed them; the longest first, since one may hold another."""
    for value in sorted({*secrets.values()} - ABSENT, key=len, reverse=True):
        if len(value) >= _WHOLE_WORD_BELOW_CHARACTERS:
            output = output.replace(value, MASK)
        else:
            output = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, output)
    return output
