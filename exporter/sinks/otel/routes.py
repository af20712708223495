"""Which alerts' records go to which endpoint.

Owns the conditions and their order: the first route that fits decides; without
one it is the default endpoint. Refuses to send (see ``sink.py``).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence

from exporter.alert import Alert, Priority
from exporter.config.model import Route
from exporter.config.routes import DEFAULT
from exporter.kept import NAMES_CHARACTERS, Kept

_KEPT_DECISIONS = 4_096
_Key = tuple[str, Priority, str, str, tuple[str, ...]]


class Router:
    """Decide alert by alert. ``verdict_of`` is asked only where a route names verdicts."""

    def __init__(self, routes: Sequence[Route], verdict_of: Callable[[Alert], str]) -> None:
        self._routes = [_Matcher(route) for route in routes]
        self._verdict_of = verdict_of
        self._candidates: Kept[_Key, list[_Matcher]] = Kept(
            _KEPT_DECISIONS, 4 * 1024 * 1024, entry_bytes=NAMES_CHARACTERS
        )
        self._default = Route(DEFAULT, (DEFAULT,))

    @property
    def has_routes(self) -> bool:
        """Whether there is anything to decide."""
        return bool(self._routes)

    def route_of(self, alert: Alert) -> Route:
        """Return the route that fits first; one to the default endpoint where none does."""
        if not self._routes:
            return self._default
        key = (alert.rule, alert.priority, alert.source, alert.namespace, tuple(alert.tags))
        candidates = self._candidates.get(key)
        if candidates is None:
            candidates = [matcher for matcher in self._routes if matcher.fits(*key)]
            size = sum(map(len, (alert.rule, alert.source, alert.namespace, *alert.tags)))
            self._candidates.keep(key, candidates, size)
        verdict: str | None = None
        for matcher in candidates:
            verdicts = matcher.route.verdicts
            if verdicts and verdict is None:
                verdict = self._verdict_of(alert)
            if not verdicts or verdict in verdicts:
                return matcher.route
        return self._default


class _Matcher:
    """One route's conditions but for the verdict."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._least = Priority.from_label(route.priority) if route.priority else Priority.UNKNOWN
        self._rules = _globs(route.rules)
        self._namespaces = _globs(route.namespaces)
        self._sources = frozenset(route.sources)
        self._tags = frozenset(route.tags)

    def fits(self, rule: str, priority: Priority, source: str, namespace: str, tags: tuple[str, ...]) -> bool:
        """Say whether an alert with these fits."""
        return (
            priority <= self._least
            and (self._rules is None or self._rules.match(rule) is not None)
            and (self._namespaces is None or self._namespaces.match(namespace) is not None)
            and (not self._sources or source in self._sources)
            and (not self._tags or not self._tags.isdisjoint(tags))
        )


def _globs(patterns: Sequence[str]) -> re.Pattern[str] | None:
    """Return one expression for several patterns; None for none. ``[`` is not special: rules' names hold it."""
    if not patterns:
        return None
    return re.compile("|".join(fnmatch.translate(pattern.replace("[", "[[]")) for pattern in patterns))
