"""Values of an alert as ties want them: present or empty, bounded, in one spelling.

Owns the bound on what is read of a value: senders choose its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from exporter.alert import ABSENT, Alert
from exporter.incidents.words import COMMON_PATHS
from exporter.verdict.places import address_kind, path_kind

VALUE_LIMIT_CHARACTERS = 256
"""A longer value ties nothing: it is not a name."""
TEXT_LIMIT_CHARACTERS = 2_048
"""How much of a command line is searched for addresses and paths."""
FOUND_LIMIT = 4
"""Addresses, and paths, that are taken of one alert."""
_NO_LOGIN = frozenset({"-1", "4294967295", ""})
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)|\[[0-9a-fA-F:]{3,45}\]")
_PATH = re.compile(r"/(?:tmp|var/tmp|dev/shm|dev/mqueue|run/shm|root|home)/[^\s\"';|&<>()`$*]{1,200}")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\Z")
_WRITABLE = frozenset({"tmp", "tmp-hidden", "shm"})
_POD_SUFFIX = re.compile(
    r"(?:-(?=[a-z]*\d)[a-z0-9]{1,10})?-(?=[a-z]*\d|[b-df-hj-np-tv-z]{5}\Z)[a-z0-9]{5}\Z|-\d{1,5}\Z"
)
"""A controller's random letters: they have a digit, or no vowel."""

Values = Callable[[str], str]


def values_of(alert: Alert) -> Values:
    """Return what gives a field's value; empty where it is absent or too long to be a name."""
    get = alert.all_fields().get

    def value(field: str) -> str:
        found = get(field)
        return "" if found is None or found in ABSENT or len(found) > VALUE_LIMIT_CHARACTERS else found

    return value


def container_of(fields: Mapping[str, str]) -> str:
    """Return the container's id; empty on the host."""
    found = fields.get("container.id", "")
    return "" if found in ABSENT or found == "host" or len(found) > VALUE_LIMIT_CHARACTERS else found


def login_of(value: Values) -> tuple[str, str]:
    """Return login id and terminal; empty texts where there is none."""
    login, terminal = value("user.loginuid"), value("proc.tty")
    return ("" if login in _NO_LOGIN else login, "" if terminal in {"", "0", "-1"} else terminal)


def public_addresses(texts: list[str]) -> Iterator[str]:
    """Yield the public addresses that stand in the texts."""
    found: dict[str, None] = {}
    for text in texts:
        for match in _ADDRESS.finditer(text[:TEXT_LIMIT_CHARACTERS]):
            address = match[0].strip("[]")
            if len(found) < FOUND_LIMIT and is_public(address):
                found[address] = None
    yield from found


def is_public(text: str) -> bool:
    """Whether the text is an address that belongs to somebody outside."""
    return address_kind(text) == "public"


def unusual_paths(texts: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield paths in directories where nothing is installed, and whether everybody may write there."""
    found: dict[str, bool] = {}
    for text in texts:
        for match in _PATH.finditer(text[:TEXT_LIMIT_CHARACTERS]):
            path = match[0].rstrip("/.,:)]}")
            if path.startswith(COMMON_PATHS) or len(found) >= FOUND_LIMIT:
                continue
            kind = path_kind(path)
            if kind in _WRITABLE or kind == "hidden":
                found[path] = kind in _WRITABLE
    yield from found.items()


def stem_of(pod: str) -> str:
    """Return a pod's name without what its controller appended."""
    return _POD_SUFFIX.sub("", pod)


def person_of(name: str) -> str:
    """Return the address in a principal's name, e.g. of ``oidc:alex@example.com`` or ``AROA…:dana@example.com``."""
    last = name.rpartition(":")[2]
    return last.lower() if "@" in last and _EMAIL.match(last) and not last.endswith("gserviceaccount.com") else ""
