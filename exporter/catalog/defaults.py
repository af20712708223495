"""What an entry says where its author left it to its event source.

Owns the default sentences for closing and escalating: each names a check that
an intruder cannot fake. Refuses anything about a particular rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.prose import ProseTemplate


class _Defaults(NamedTuple):
    ask: str
    close_if: ProseTemplate
    escalate_if: ProseTemplate


_WHAT = ProseTemplate("%{alert.rule} in %{alert.place}")
_SYSCALL = _Defaults(
    "ask who did it",
    ProseTemplate(
        "a named person confirms this command and hour over another channel, or the log of the job that runs it "
        "shows this run."
    ),
    ProseTemplate("nobody claims it, or the same host or container raises another alert."),
)
_API = _Defaults(
    "ask the caller",
    ProseTemplate("%{alert.principal|'the account'}'s owner confirms this request and its time over another channel."),
    ProseTemplate("nobody claims it, the address is new for the caller, or the same account raises another alert."),
)
_BY_SOURCE: Mapping[str, _Defaults] = {
    "syscall": _SYSCALL,
    "internal": _Defaults(
        "check Falco itself",
        ProseTemplate("Falco's own log and metrics show that it sees every event again."),
        ProseTemplate("it repeats, or an alert of another rule came from the same host shortly before."),
    ),
}


def with_defaults(parts: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return an entry's parts with the source's defaults in the place of empty ones."""
    defaults = _BY_SOURCE.get(source, _API)
    fallbacks = {"what": _WHAT, **defaults._asdict()}
    return {
        name: fallbacks[name] if name in fallbacks and not (getattr(value, "text", value)) else value
        for name, value in parts.items()
    }
