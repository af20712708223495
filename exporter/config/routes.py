"""Endpoints and routes in the configuration file.

Owns their form and what can be known to be wrong with them. Refuses to decide
where an alert's record goes (see ``sinks/otel/routes.py``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from exporter.config.model import Config, OtlpEndpoint, Queue, Route, TlsClient
from exporter.yaml_nodes import Node

DEFAULT = "default"
"""What routes call the endpoint of ``otlp.endpoint`` and ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
PRIORITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
VERDICTS = ("attack", "undecided", "benign", "test")
_ENDPOINT_KEYS = frozenset(field.name for field in fields(OtlpEndpoint))
_TLS_KEYS = frozenset(field.name for field in fields(TlsClient))
_ROUTE_KEYS = frozenset(field.name for field in fields(Route))
_LISTS = ("to", "verdicts", "rules", "sources", "namespaces", "tags")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")


def to_endpoint(node: Node) -> OtlpEndpoint:
    """Read one of ``endpoints``. Raises ConfigError naming file, line and key."""
    keys = node.mapping(_ENDPOINT_KEYS, frozenset({"name", "endpoint"}))
    tls = keys["tls"].mapping(_TLS_KEYS) if "tls" in keys else {}
    return OtlpEndpoint(
        keys["name"].text(),
        keys["endpoint"].text(),
        keys["protocol"].text() if "protocol" in keys else "",
        Path(keys["headers_file"].text()).expanduser() if "headers_file" in keys else None,
        TlsClient(**{key: Path(child.text()).expanduser() for key, child in tls.items()}),
    )


def to_route(node: Node, number: int) -> Route:
    """Read one of ``routes``; ``number`` is its place, from 1. Raises ConfigError naming file, line and key."""
    keys = node.mapping(_ROUTE_KEYS)
    lists = {name: _texts(keys[name]) for name in _LISTS if name in keys}
    drop = keys["drop"].text().strip().lower() if "drop" in keys else "false"
    if drop not in {"true", "false"}:
        raise keys["drop"].error(f"found {drop!r}, expected true or false")
    return Route(
        keys["name"].text() if "name" in keys else str(number),
        drop=drop == "true",
        priority=keys["priority"].text().strip().lower() if "priority" in keys else "",
        **lists,
    )


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(item.text() for item in node.items()) if node.is_list() else (node.text(),)


def queue_of(queue: Queue, name: str) -> Queue:
    """Return the queue's settings for one endpoint: each has a directory of its own below the queue's."""
    if name == DEFAULT or queue.directory is None:
        return queue
    return replace(queue, directory=queue.directory / "endpoints" / name)


def problems_of(config: Config) -> Iterator[str]:
    """Yield what is wrong with endpoints and routes, a line each."""
    names = [endpoint.name for endpoint in config.endpoints]
    for name, count in Counter(names).items():
        if not _NAME.match(name) or name == DEFAULT:
            yield f"endpoints: found the name {name!r}, expected letters, digits, - and _, and not {DEFAULT!r}"
        if count > 1:
            yield f"endpoints: {name!r} is listed twice"
    for endpoint in config.endpoints:
        if endpoint.protocol not in {"", "grpc", "http/protobuf"}:
            yield f"endpoints: {endpoint.name}: protocol: found {endpoint.protocol!r}, expected grpc or http/protobuf"
        if (endpoint.tls.cert_file is None) != (endpoint.tls.key_file is None):
            yield f"endpoints: {endpoint.name}: tls: cert_file and key_file go together; only one is set"
    for number, route in enumerate(config.routes, 1):
        where = f"routes#{number}" + (f" ({route.name})" if route.name != str(number) else "")
        yield from (f"{where}: {problem}" for problem in _problems_of_route(route, {*names, DEFAULT}))
    unused = set(names) - {name for route in config.routes for name in route.to}
    for name in sorted(unused):
        yield f"endpoints: no route leads to {name!r}; add it to a route's `to`"


def _problems_of_route(route: Route, known: set[str]) -> Iterator[str]:
    if route.drop == bool(route.to):
        yield "expected either `to` with names of endpoints or `drop: true`"
    for name in route.to:
        if name not in known:
            yield f"to: found {name!r}, expected one of: {', '.join(sorted(known))}"
    if route.priority not in {"", *PRIORITIES}:
        yield f"priority: found {route.priority!r}, expected one of: {', '.join(PRIORITIES)}"
    for verdict in route.verdicts:
        if verdict not in VERDICTS:
            yield f"verdicts: found {verdict!r}, expected one of: {', '.join(VERDICTS)}"
