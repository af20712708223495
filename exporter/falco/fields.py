"""Which fields each event source has, and which operators fit them.

Owns the table made from falcosecurity/libs and its plugins
(``tools/index_fields.py``) and libsinsp's table of operators
(``filter_compare.cpp``). Refuses to know what the fields mean.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

_EQUALITY = frozenset({"=", "==", "!=", "in", "intersects", "exists"})
_ORDER = frozenset({"<", "<=", ">", ">="})
FITTING: Mapping[str, frozenset[str]] = {
    "string": _EQUALITY
    | _ORDER
    | {"glob", "iglob", "contains", "icontains", "startswith", "endswith", "regex", "pmatch"},
    "number": _EQUALITY | _ORDER,
    "bool": _EQUALITY,
    "ip": _EQUALITY,
    "buffer": _EQUALITY | {"contains", "bcontains", "startswith", "bstartswith", "endswith"},
    "list": frozenset({"in", "intersects", "exists"}),
}
"""Kind of a field's values to the operators that libsinsp compares them with."""
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+\Z|[+-]?[0-9]+\Z")


@lru_cache(maxsize=1)
def falco_fields() -> Mapping[str, Mapping[str, str]]:
    """Return for each event source its fields and their kind: ``string``, ``number``, …, ``[]`` after a list's."""
    text = resources.files("exporter.falco").joinpath("data/falco_fields.json").read_text(encoding="utf-8")
    table: Mapping[str, Mapping[str, str]] = json.loads(text)
    return table


def kind_of_field(field: str, source: str) -> str | None:
    """Return the kind of a source's field, ``list`` for a list's; None where the source has no such field.

    A source that the table does not know has every field, as texts.
    """
    fields = falco_fields().get(source)
    if fields is None:
        return "string"
    name = field.partition("[")[0]
    kind = fields.get(name, "string" if name.startswith("evt.arg.") else "")
    return "list" if kind.endswith("[]") else kind or None


def fits_kind(value: str, kind: str) -> bool:
    """Whether Falco can read the value for a field of this kind when it loads the rule."""
    if kind == "number":
        return _NUMBER.match(value) is not None
    if kind == "bool":
        return value in {"true", "false"}
    if kind == "ip":
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            return False
    return True
