"""Who and where we are: constant labels, and the node that a Falco's hostname stands for.

Owns reading ``identity.…`` and putting the node's name into alerts. Refuses to
know metrics and records (they are given the labels).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from exporter.alert import Alert
from exporter.config.model import Identity
from exporter.kept import NAMES_CHARACTERS, Kept

_KEPT_HOSTS = 4_096
ATTRIBUTES: Mapping[str, str] = {
    "cluster": "k8s.cluster.name",
    "environment": "deployment.environment.name",
    "region": "cloud.region",
    "zone": "cloud.availability_zone",
    "account": "cloud.account.id",
}
"""What the usual words for labels, and for Falco's ``static_fields``, are called in semantic conventions."""


def labels_of(settings: Identity) -> Mapping[str, str]:
    """Return the constant labels, name and value."""
    return dict(item.split("=", 1) for item in settings.labels)


def make_hosts(settings: Identity) -> Callable[[Alert], Alert] | None:
    """Return the transformation that puts nodes' names in the place of Falco's hostnames; None where none is set."""
    return _Hosts([_Name(*item.split("=", 1)) for item in settings.hosts]) if settings.hosts else None


class _Name:
    """One pattern with the name that it gives."""

    def __init__(self, pattern: str, name: str) -> None:
        parts = [re.escape(part) for part in pattern.split("*")]
        self._pattern = re.compile("(.*?)".join(parts) + r"\Z", re.DOTALL)
        self._name = name

    def of(self, hostname: str) -> str | None:
        found = self._pattern.match(hostname)
        if found is None:
            return None
        values = dict(enumerate(found.groups(), 1))
        return re.sub(r"\{(\d)\}", lambda place: values.get(int(place[1]), ""), self._name)


class _Hosts:
    """Renames one alert's host after another; the first pattern that fits gives the name."""

    def __init__(self, names: list[_Name]) -> None:
        self._names = names
        self._known: Kept[str, str] = Kept(_KEPT_HOSTS, 1024 * 1024, entry_bytes=NAMES_CHARACTERS)

    def __call__(self, alert: Alert) -> Alert:
        name = self._known.get(alert.hostname)
        if name is None:
            found = (name.of(alert.hostname) for name in self._names)
            name = next((name for name in found if name), alert.hostname)
            self._known.keep(alert.hostname, name, len(alert.hostname) + len(name))
        # The message as it came stays: it is read again through this same transformation.
        return alert if name == alert.hostname else replace(alert, hostname=name)
