"""A field's value as a sentence shows it: modes in octal, ages, plain lists, JSON and codes as words.

Owns which fields are not shown as Falco writes them. Refuses commands, where
a value stands as it is, and to lose anything: what is not of the expected
form is shown unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

_MODE_BITS = {
    "S_ISUID": 0o4000, "S_ISGID": 0o2000, "S_ISVTX": 0o1000,
    "S_IRUSR": 0o400, "S_IWUSR": 0o200, "S_IXUSR": 0o100,
    "S_IRGRP": 0o40, "S_IWGRP": 0o20, "S_IXGRP": 0o10,
    "S_IROTH": 0o4, "S_IWOTH": 0o2, "S_IXOTH": 0o1,
}  # fmt: skip
_MINUTE, _HOUR, _DAY, _DIGITS = 60, 3_600, 86_400, 12
_CALLERS = {"private": "within Google", "gce-internal-ip": "a VM of the organization"}
_SPECIAL = ((0o4000, "set-user-id"), (0o2000, "set-group-id"), (0o1000, "sticky"))


def shown(field: str, value: str) -> str:
    """Return the field's value as a sentence shows it, not escaped."""
    reader = _READERS.get(field)
    return value if reader is None else reader(value)


def mode(value: str) -> str:
    """Return a file's mode as chmod takes it, e.g. ``4755 (set-user-id)`` for ``S_ISUID|S_IRUSR|…``."""
    bits = 0
    for name in value.split("|"):
        bit = _MODE_BITS.get(name)
        if bit is None:
            return value
        bits |= bit
    words = ", ".join([word for bit, word in _SPECIAL if bits & bit])
    return f"{bits:04o} ({words})" if words else f"{bits:04o}"


def age(value: str) -> str:
    """Return seconds as a duration, e.g. ``under 1 s``, ``40 s``, ``14 min``, ``12 days``."""
    if not value.isascii() or not value.isdigit() or len(value) > _DIGITS:
        return value
    seconds = int(value)
    if seconds < _MINUTE * 2:
        return f"{seconds} s" if seconds else "under 1 s"
    if seconds < _HOUR * 2:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h" if seconds < _DAY * 2 else f"{seconds // _DAY} days"


def listed(value: str) -> str:
    """Return a list of Falco's, ``(a,b)``, as ``a, b``."""
    inner = value[1:-1]
    if not (value.startswith("(") and value.endswith(")")) or "(" in inner or '"' in inner:
        return value
    return inner.replace(",", ", ")


def subjects(value: str) -> str:
    """Return the subjects of a binding as ``ServiceAccount ops/deployer``."""
    return _told(value, _subject)


def rules(value: str) -> str:
    """Return the rules of a role as ``get, list pods, secrets``."""
    return _told(value, _rule)


def ports(value: str) -> str:
    """Return the ports of a Service as ``80 (node port 30080)``."""
    return _told(value, _port)


def grants(value: str) -> str:
    """Return the changes of a policy of Google Cloud as ``ADD roles/owner for user:a@example.com``."""
    return _told(value, _grant)


def caller_address(value: str) -> str:
    """Return a caller's address of Google Cloud, with what its two codes stand for (AuditLog's RequestMetadata)."""
    meaning = _CALLERS.get(value)
    return value if meaning is None else f"{value} ({meaning})"


def _told(value: str, tell: Callable[[dict[str, object]], str]) -> str:
    inner = value[1:-1] if value.startswith("(") and value.endswith(")") else value
    try:
        objects = json.loads(inner if inner.startswith("[") else f"[{inner}]")
        told = [tell(each) for each in objects]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return value
    return "; ".join(told) or value


def _subject(subject: dict[str, object]) -> str:
    namespace = subject.get("namespace")
    return f"{subject['kind']} {namespace}/{subject['name']}" if namespace else f"{subject['kind']} {subject['name']}"


def _rule(rule: dict[str, object]) -> str:
    what = [*_words(rule, "resources"), *_words(rule, "nonResourceURLs")]
    names = _words(rule, "resourceNames")
    groups = [group for group in _words(rule, "apiGroups") if group not in {"", "*"}]
    if not rule["verbs"] or not what:
        raise KeyError("verbs")
    told = f"{', '.join(_words(rule, 'verbs'))} {', '.join(what)}"
    told += f" named {', '.join(names)}" if names else ""
    return told + (f" of {', '.join(groups)}" if groups else "")


def _port(port: dict[str, object]) -> str:
    told = f"{port['port']}/{port['protocol']}" if port.get("protocol", "TCP") != "TCP" else f"{port['port']}"
    return f"{told} (node port {port['nodePort']})" if port.get("nodePort") else told


def _grant(grant: dict[str, object]) -> str:
    return f"{grant['action']} {grant['role']} for {grant['member']}"


def _words(rule: dict[str, object], key: str) -> list[str]:
    found = rule.get(key) or []
    if not isinstance(found, list):
        raise TypeError(key)
    return [str(word) for word in found]


_READERS: Mapping[str, Callable[[str], str]] = {
    "evt.arg.mode": mode,
    "exe.age.seconds": age,
    "ka.req.pod.containers.image": listed,
    "ka.req.pod.initContainers.image": listed,
    "images.names": listed,
    "ka.req.binding.subjects": subjects,
    "ka.req.role.rules": rules,
    "ka.req.service.ports": ports,
    "gcp.policyDelta": grants,
    "gcp.callerIP": caller_address,
}
