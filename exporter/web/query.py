"""What a request asks for: the filter, verdict, page and number in its query.

Owns the names of query parameters and what each may be; a value that is none
ends the request with HTTP 400 and one line saying what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, NoReturn
from urllib.parse import urlencode

from aiohttp import web

from exporter.alert import Priority
from exporter.sinks.recent import Filter
from exporter.verdict.judgement import VERDICTS

API_LIMIT = 1_000
_NUMBER = re.compile(r"[1-9][0-9]{0,5}\Z")
_TEXTS = ("rule", "host", "namespace", "text")
_PARAMETERS = ("verdict", "priority", *_TEXTS)


class Wanted(NamedTuple):
    """Which reports are asked for."""

    filter: Filter
    verdict: str
    """Empty for every verdict."""

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return not self.verdict and self.filter == Filter()


def wanted_from(query: Mapping[str, str]) -> Wanted:
    """Read which reports are asked for; HTTP 400 for a priority or a verdict that does not exist."""
    word = query.get("priority", "").strip()
    priority = Priority.from_label(word) if word else None
    if priority is Priority.UNKNOWN and word.lower() != "unknown":
        _refuse("priority", f"one of {', '.join([known.label for known in Priority])}")
    verdict = query.get("verdict", "").strip().lower()
    if verdict and verdict not in VERDICTS:
        _refuse("verdict", f"one of {', '.join(VERDICTS)}")
    texts = {name: query.get(name, "").strip() for name in _TEXTS}
    return Wanted(Filter(priority=priority, **texts), verdict)


def number_from(query: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    """Read a number from 1 to ``most``; HTTP 400 for anything else."""
    text = query.get(name, "")
    if not text:
        return default
    if not _NUMBER.match(text) or int(text) > most:
        _refuse(name, f"a number from 1 to {most:,}")
    return int(text)


def address_of(query: Mapping[str, str], page: int) -> str:
    """Return the query of another page of the same list, without a question mark."""
    kept = {name: query[name] for name in _PARAMETERS if query.get(name)}
    return urlencode(kept | ({"page": str(page)} if page > 1 else {}), errors="replace")


def _refuse(name: str, expected: str) -> NoReturn:
    raise web.HTTPBadRequest(text=f"{name}: expected {expected}\n")
