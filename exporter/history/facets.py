"""What a filter asks the full-text index for, besides the reader's words.

Owns the tokens: each fact that can be asked for is one word of the index, so
that any combination of filters and words is one search whose cost is that of
its rarest part. Names become digests, since they may hold anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from exporter.alert import Priority
from exporter.history.facts import NAME_LIMIT_CHARACTERS, Row
from exporter.history.query import Query, phrases_of
from exporter.kept import Made

_DIGEST_BYTES = 8
_TOKENS_KEPT = 1_024
"""Of a kind; hosts and principals of a fleet."""


def _token(kind: str, name: str) -> str:
    """Return one word of letters and digits for a name of any characters."""
    return kind + hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _rule(name: str) -> str:
    return _token("r", name.casefold())


def _host(name: str) -> str:
    return _token("h", name.casefold())


def _namespace(name: str) -> str:
    return _token("n", name)


def _principal(name: str) -> str:
    return _token("p", name)


def _kept(make: Callable[[str], str]) -> Made[str, str]:
    return Made(make, _TOKENS_KEPT, NAME_LIMIT_CHARACTERS)


_RULES, _HOSTS, _NAMESPACES, _PRINCIPALS = map(_kept, (_rule, _host, _namespace, _principal))
_PRIORITIES = tuple([f"q{int(priority)}" for priority in Priority])


def tokens_of(row: Row) -> str:
    """Return every token of an alert, with blanks between them."""
    return (
        f"u{row.uid} v{row.verdict} {_PRIORITIES[row.priority]} {_RULES[row.rule]}"
        f" {_HOSTS[row.host]} {_NAMESPACES[row.namespace]} {_PRINCIPALS[row.principal]}"
    )


def expression_of(query: Query) -> str | None:
    """Return what the index is asked for; empty where every alert fits, None where none can.

    The time is not among it.
    """
    words = list(_words(query.text))
    if query.text and not words:
        return None
    return " AND ".join([*words, *[f"facts : {facet}" for facet in _facets(query)]])


def uid_expression(uid: str) -> str:
    """Return what the index is asked for to find one alert; ``uid`` is 32 hexadecimal digits."""
    return f'facts : "u{uid}"'


def _words(text: str) -> Iterator[str]:
    for phrase in phrases_of(text):
        quoted = phrase.text.replace('"', '""').replace("\0", " ")
        yield f'text : "{quoted}"{" *" if phrase.is_beginning else ""}'


def _facets(query: Query) -> Iterator[str]:
    if query.verdict:
        yield f"v{query.verdict}"
    if query.rule:
        yield _rule(query.rule)
    if query.host:
        yield _host(query.host)
    if query.namespace:
        yield _namespace(query.namespace)
    if query.principal:
        yield _principal(query.principal)
    if query.priority is not None and query.priority is not Priority.UNKNOWN:
        yield "(" + " OR ".join([f"q{number}" for number in range(int(query.priority) + 1)]) + ")"
