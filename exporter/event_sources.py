"""What is known of each of Falco's event sources: where its events happen and what they say by themselves.

Owns the one table. A source that it does not name is a plugin's, whose events
come from elsewhere: the machine that Falco runs on is not what they are about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventSource:
    """One event source."""

    on_falcos_host: bool = False
    """Whether its events happen on the machine that Falco runs on, so that the alert's hostname is theirs."""
    attributes: tuple[tuple[str, str], ...] = ()
    """OpenTelemetry attributes that every alert of it has."""


EVENT_SOURCES: Mapping[str, EventSource] = {
    "syscall": EventSource(on_falcos_host=True),
    "internal": EventSource(on_falcos_host=True),
    "k8s_audit": EventSource(),
    "aws_cloudtrail": EventSource(attributes=(("cloud.provider", "aws"),)),
    "gcp_auditlog": EventSource(attributes=(("cloud.provider", "gcp"),)),
    "okta": EventSource(),
    "github": EventSource(attributes=(("vcs.provider.name", "github"),)),
}
_ELSEWHERE = EventSource()


def event_source(name: str) -> EventSource:
    """Return what is known of a source."""
    return EVENT_SOURCES.get(name, _ELSEWHERE)
