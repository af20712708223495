"""What a request asks for: the filter, place and number in its query.

Owns the names of query parameters and what each may be; a value that is none
ends the request with HTTP 400 and one line saying what was expected.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import urlencode

from aiohttp import web

from exporter.alert import Priority
from exporter.history.query import Query
from exporter.times import time_from_text
from exporter.verdict.judgement import VERDICTS
from exporter.web.listing import LAST_PAGE, Place

API_LIMIT = 1_000
PAGE_LIMIT = 100_000
_NUMBER = re.compile(r"[1-9][0-9]{0,17}\Z")
_TEXTS = ("rule", "host", "namespace", "principal", "text")
_TIMES = ("since", "until")
PARAMETERS = ("verdict", "priority", *_TEXTS, *_TIMES)
"""Every name of a filter."""
_LAST = "last"


def query_from(query: Mapping[str, str]) -> Query:
    """Read which reports are asked for; HTTP 400 for a priority, a verdict or a time that is none."""
    word = query.get("priority", "").strip()
    priority = Priority.from_label(word) if word else None
    if priority is Priority.UNKNOWN and word.lower() != "unknown":
        _refuse("priority", f"one of {', '.join([known.label for known in Priority])}")
    verdict = query.get("verdict", "").strip().lower()
    if verdict and verdict not in VERDICTS:
        _refuse("verdict", f"one of {', '.join(VERDICTS)}")
    since_ns, until_ns = (time_from(query, name, time.time_ns()) for name in _TIMES)
    texts = {name: query.get(name, "").strip() for name in _TEXTS}
    return Query(verdict=verdict, priority=priority, since_ns=since_ns, until_ns=until_ns, **texts)


def time_from(query: Mapping[str, str], name: str, now_ns: int, *, default: str = "") -> int:
    """Read a time, nanoseconds since 1970, 0 where none is given; HTTP 400 for what is none."""
    text = query.get(name, "").strip() or default
    if not text:
        return 0
    try:
        return time_from_text(text, now_ns)
    except ValueError as exc:
        raise web.HTTPBadRequest(text=f"{name}: {exc}\n") from exc


def place_from(query: Mapping[str, str]) -> Place:
    """Read which page of the list is asked for; HTTP 400 for what is no number."""
    after = number_from(query, "after", default=0, most=2**62)
    word = query.get("page", "")
    number = LAST_PAGE if word == _LAST else number_from(query, "page", default=1, most=PAGE_LIMIT)
    return Place(number, number_from(query, "before", default=0, most=2**62), after)


def number_from(query: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    """Read a number from 1 to ``most``; HTTP 400 for anything else."""
    text = query.get(name, "")
    if not text:
        return default
    if not _NUMBER.match(text) or int(text) > most:
        _refuse(name, f"a number from 1 to {most:,}")
    return int(text)


def address_of(query: Mapping[str, str], place: Place) -> str:
    """Return the query of another page of the same list, without a question mark."""
    asked = {name: query[name] for name in PARAMETERS if query.get(name)}
    if place.before:
        asked["before"] = str(place.before)
    if place.after:
        asked["after"] = str(place.after)
    if place.number != 1:
        asked["page"] = _LAST if place.number == LAST_PAGE else str(place.number)
    return urlencode(asked, errors="replace")


def _refuse(name: str, expected: str) -> NoReturn:
    raise web.HTTPBadRequest(text=f"{name}: expected {expected}\n")
