"""What an entry says where its author left it to its event source.

Owns the default sentences for closing and escalating: each names a check that
an intruder cannot fake. Refuses anything about a particular rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.prose import ProseTemplate


class _Defaults(NamedTuple):
    ask: str
    close_if: ProseTemplate
    escalate_if: ProseTemplate


_SYSCALL = _Defaults(
    "ask who did it",
    ProseTemplate(
        "a named person confirms command and hour over another channel, or the job's own log shows this run."
    ),
    ProseTemplate("nobody does, or another alert comes from %{alert.place}."),
)
_API = _Defaults(
    "ask the caller",
    ProseTemplate(
        "the person or team behind %{alert.principal|'the account'} confirms this request and its time "
        "over another channel."
    ),
    ProseTemplate("nobody does, the address is new for the caller, or the account raises another alert."),
)
_BY_SOURCE: Mapping[str, _Defaults] = {
    "syscall": _SYSCALL,
    "internal": _Defaults(
        "check Falco itself",
        ProseTemplate("Falco's own log and metrics show that it sees every event again."),
        ProseTemplate("it repeats, or an alert of another rule came from the same host shortly before."),
    ),
}


def defaults_of(source: str) -> tuple[str, ProseTemplate, ProseTemplate]:
    """Return what is asked, when to close and when to escalate, for rules of an event source."""
    return _BY_SOURCE.get(source, _API)


def with_defaults(parts: Mapping[str, Any], rule: str, source: str) -> dict[str, Any]:
    """Return an entry's parts with the source's defaults in the place of empty ones."""
    fallbacks = {"what": _what(rule), **_BY_SOURCE.get(source, _API)._asdict()}
    return {
        name: fallbacks[name] if name in fallbacks and not (getattr(value, "text", value)) else value
        for name, value in parts.items()
    }


def _what(rule: str) -> ProseTemplate:
    """The rule's own name, as words where the notation lets it."""
    name = "%{alert.rule}" if re.search(r"[`%\[\]]", rule) else rule
    return ProseTemplate(f"{name} %{{alert.in}} %{{alert.place}}")
