"""The labels that an operator adds to ``falco_events_total``.

Owns how a Falco field becomes a label's name and which names are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from exporter.config.validate import FIELD_NAME
from exporter.errors import ConfigError

_RESERVED = frozenset({"le", "quantile"})


def label_name(field: str) -> str:
    """Return the label's name for a Falco field: every character outside ``[a-zA-Z0-9_]`` becomes ``_``."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", field)


def label_names(fields: Sequence[str], taken: Sequence[str]) -> tuple[str, ...]:
    """Return the label names of the fields, in order.

    Raises ConfigError for what is no field name, and for a name that is in
    ``taken`` or comes twice.
    """
    owner = dict.fromkeys(taken, "")
    for field in fields:
        name = label_name(field)
        _check(field, name)
        if name in owner:
            first = f"the field {owner[name]}" if owner[name] else "a label that falco_events_total always has"
            raise ConfigError(
                f"metrics.extra_labels: {field} would become the label {name}, which is already taken by {first}; "
                "remove one of them"
            )
        owner[name] = field
    return tuple(label_name(field) for field in fields)


def _check(field: str, name: str) -> None:
    if not FIELD_NAME.match(field) or name.startswith("__") or name in _RESERVED:
        raise ConfigError(
            f"metrics.extra_labels: expected the names of Falco output fields such as k8s.pod.name or "
            f"proc.aname[2], found {field!r}"
        )
