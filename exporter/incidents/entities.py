"""Who and what an incident is about, for people: containers, pods, principals, addresses, hosts.

Owns the words for each. Refuses to decide who belongs to whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from exporter.alert import Alert
from exporter.derived import DERIVED
from exporter.incidents.incident import Incident
from exporter.incidents.tie import Key

ENTITIES_LIMIT = 12
"""Entities that are named; the others are in the alerts."""


class Entity(NamedTuple):
    """Something that the alerts share."""

    label: str
    """E.g. ``Pod``."""
    value: str
    preposition: str = "in"
    """For a title: ``in`` a pod, ``by`` a principal, ``from`` an address, ``on`` a host."""


_WORDS = {
    "pod": ("Pod", "in"), "container": ("Container", "in"), "session": ("Session", "in"),
    "person": ("Principal", "by"), "user": ("Principal", "by"), "key": ("Key", "with"), "address": ("Address", "from"),
    "path": ("File", "with"), "ancestor": ("Ancestor process", "under"), "process": ("Process", "by"),
    "process session": ("Process session", "in"), "daemon user": ("User", "by"), "object": ("API object", "with"),
    "thing": ("Object", "with"),
}  # fmt: skip
_ORDER = {kind: rank for rank, kind in enumerate(_WORDS)}


def entities_of(incident: Incident) -> tuple[Entity, ...]:
    """Return what the incident is about, what tells most first; hosts last."""
    found: dict[tuple[str, str], Entity] = {}
    terminals = _terminals(incident)
    known = [key for key in incident.entities if key[0] in _ORDER and _value(key, terminals)]
    for key in sorted(known, key=lambda key: _ORDER[key[0]]):
        label, preposition = _WORDS[key[0]]
        value = _value(key, terminals)
        found.setdefault((label, value), Entity(label, value, preposition))
    named = list(found.values())[:ENTITIES_LIMIT]
    hosts = dict.fromkeys(member.alert.hostname for member in incident.members if member.alert.hostname)
    return (*named, *[Entity("Host", host, "on") for host in list(hosts)[:ENTITIES_LIMIT]])


def _terminals(incident: Incident) -> Mapping[str, str]:
    """Terminals as people call them, e.g. ``pts/0``, by Falco's number."""
    alerts = [member.alert for member in incident.members]
    return {number: DERIVED["alert.terminal"](alert) or number for alert in alerts if (number := alert.get("proc.tty"))}


def _value(key: Key, terminals: Mapping[str, str]) -> str:
    kind, *values = key
    if kind == "pod":
        return "/".join(value for value in values if value)
    if kind == "session":
        return f"login id {values[1]}, terminal {terminals.get(values[2], values[2])}, on {values[0]}"
    if kind in {"path", "ancestor", "process", "process session", "daemon user"}:
        return f"{values[1]} on {values[0]}"
    return values[-1]


def place_of(alert: Alert) -> str:
    """Return where the alert happened, in a few words; empty where it does not say."""
    place, host = DERIVED["alert.place"](alert) or "", DERIVED["alert.place_host"](alert)
    return f"{place} on {host}" if host else place
