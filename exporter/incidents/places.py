"""Which fact each of the latest alerts went to, until somebody asks what its incident is called.

Owns how many are remembered. Most alerts' incidents are never asked for, so that what is noted is three words in a row;
it can be looked for from the first question on.
"""

from __future__ import annotations

from array import array

from exporter.alert import Alert
from exporter.incidents.fact import Fact
from exporter.incidents.incident import name_of

PLACES_LIMIT = 10_000
"""Alerts, times two, of which it is remembered where they belong."""

_Key = tuple[int, str, str]


class Places:
    """Called by one thread at a time."""

    def __init__(self) -> None:
        self._newer, self._older = _Noted(), _Noted()

    def note(self, alert: Alert, fact: Fact) -> None:
        """Remember that the alert went to the fact, which is one of the alert's rule."""
        newer = self._newer
        if len(newer.facts) >= PLACES_LIMIT:
            self._older = newer
            self._newer = newer = _Noted()
        newer.times_ns.append(alert.time_ns)
        newer.hostnames.append(alert.hostname)
        newer.facts.append(fact)

    def name_of(self, alert: Alert) -> str:
        """Return what the incident is called that the alert went to; empty for one that is not remembered."""
        key = alert.time_ns, alert.rule, alert.hostname
        return self._newer.name_of(key) or self._older.name_of(key)


class _Noted:
    """Alerts by their time and host, in the order in which they came, and the fact of each."""

    def __init__(self) -> None:
        self.times_ns = array("q")
        self.hostnames: list[str] = []
        self.facts: list[Fact] = []
        self._found: dict[_Key, Fact | str] = {}
        """By time, rule and host; a name once somebody asked."""
        self._are_found = 0
        """How many of those in a row are there, too."""

    def name_of(self, key: _Key) -> str:
        """Return the name; empty for an alert that is not there."""
        known = self._are_found
        if known < len(self.facts):
            facts = self.facts[known:]
            rules = [fact.rule for fact in facts]
            self._found.update(
                zip(zip(self.times_ns[known:], rules, self.hostnames[known:], strict=True), facts, strict=True)
            )
            self._are_found = len(self.facts)
        found = self._found.get(key)
        if isinstance(found, Fact):
            found = self._found[key] = name_of(found.group)
        return found or ""
