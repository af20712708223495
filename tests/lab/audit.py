"""Falco's output fields of a real audit event, as the k8saudit plugin takes them out.

Owns the fields that the official rules print (``ka.…``, ``jevt.…``), in the JSON
form of the plugin's real alerts: texts, lists of texts, None where an event lacks it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

Event = Mapping[str, Any]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _at(event: Any, *keys: str) -> Any:
    for key in keys:
        if isinstance(event, list):
            event = event[int(key)] if key.isdigit() and int(key) < len(event) else None
        else:
            event = event.get(key) if isinstance(event, Mapping) else None
    return event


def _path(*keys: str) -> Callable[[Event], str | None]:
    return lambda event: _text(_at(event, *keys))


def _elements(*keys: str) -> Callable[[Event], list[str] | None]:
    """Each element of an array as text, None where there is no array."""

    def read(event: Event) -> list[str] | None:
        found = _at(event, *keys)
        return [_text(each) or "" for each in found] if isinstance(found, list) else None

    return read


def _images(kind: str) -> Callable[[Event], list[str] | None]:
    def read(event: Event) -> list[str] | None:
        pod = _at(event, "requestObject", "spec", kind) or _at(event, "requestObject", kind)
        return [each.get("image", "") for each in pod] if isinstance(pod, list) else None

    return read


def _ports(event: Event) -> list[str] | None:
    # The plugin gives the whole array as one text; so do its real alerts.
    ports = _at(event, "requestObject", "spec", "ports")
    return [_text(ports) or ""] if ports else None


_FIELDS: Mapping[str, Callable[[Event], Any]] = {
    "ka.auditid": _path("auditID"),
    "ka.stage": _path("stage"),
    "ka.auth.decision": _path("annotations", "authorization.k8s.io/decision"),
    "ka.auth.reason": _path("annotations", "authorization.k8s.io/reason"),
    "ka.user.name": _path("user", "username"),
    "ka.user.groups": _elements("user", "groups"),
    "ka.impuser.name": _path("impersonatedUser", "username"),
    "ka.verb": _path("verb"),
    "ka.uri": _path("requestURI"),
    "ka.target.name": _path("objectRef", "name"),
    "ka.target.namespace": _path("objectRef", "namespace"),
    "ka.target.resource": _path("objectRef", "resource"),
    "ka.target.subresource": _path("objectRef", "subresource"),
    "ka.req.binding.subjects": _elements("requestObject", "subjects"),
    "ka.req.binding.role": _path("requestObject", "roleRef", "name"),
    "ka.req.configmap.name": _path("objectRef", "name"),
    "ka.req.pod.containers.image": _images("containers"),
    "ka.req.pod.initContainers.image": _images("initContainers"),
    "ka.req.pod.ephemeralContainers.image": _images("ephemeralContainers"),
    "ka.req.role.rules": _elements("requestObject", "rules"),
    "ka.req.service.type": _path("requestObject", "spec", "type"),
    "ka.req.service.ports": _ports,
    "ka.resp.name": _path("responseObject", "metadata", "name"),
    "ka.response.code": _path("responseStatus", "code"),
    "ka.response.reason": _path("responseStatus", "reason"),
    "ka.useragent": _path("userAgent"),
    "ka.sourceips": _elements("sourceIPs"),
    "jevt.obj": lambda event: json.dumps(event, separators=(",", ":")),
}


def fields_of(event: Event, names: Iterable[str]) -> dict[str, Any]:
    """Return these output fields of an event. Raises KeyError for a field that the lab does not know."""
    return {name: _field(event, name) for name in names}


def _field(event: Event, name: str) -> Any:
    if name in _FIELDS:
        return _FIELDS[name](event)
    kind, _, argument = name.rstrip("]").partition("[")
    if kind == "jevt.value":
        return _text(_at(event, *argument.strip("/").split("/")))
    if kind == "ka.uri.param":
        found = parse_qs(urlsplit(event.get("requestURI", "")).query).get(argument)
        return found[0] if found else None
    raise KeyError(f"{name}: add it to tests/lab/audit.py, as the plugin's extract.go reads it")


def time_of(event: Event) -> int:
    """Return when the request came, nanoseconds since 1970: the plugin takes ``stageTimestamp``."""
    moment = datetime.strptime(event["stageTimestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000) * 1_000
