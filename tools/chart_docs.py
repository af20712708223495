"""Write the Helm chart's values.schema.json and README.md from the comments and defaults of its values.yaml.

python tools/chart_docs.py            write them
python tools/chart_docs.py --check    exit 1 where one is stale
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHART = Path(__file__).parents[1] / "deploy" / "helm" / "falco-report-exporter"
CHOICES = {
    "mode": ["receive", "file", "socket"],
    "image.pullPolicy": ["Always", "IfNotPresent", "Never"],
    "otlp.protocol": ["grpc", "http/protobuf"],
    "receiver.tls.mode": ["none", "secret", "certManager", "generate"],
    "service.type": ["ClusterIP", "NodePort", "LoadBalancer"],
}
FREE = frozenset({"resources", "dashboards.labels", "dashboards.annotations"})
"""Mappings with defaults that take any key; those that are empty by default do as well."""
_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array"}


class Value(NamedTuple):
    """One key of values.yaml."""

    path: str
    default: Any
    comment: str


def values_in(node: yaml.MappingNode, default: dict[str, Any], lines: list[str], prefix: str = "") -> Iterator[Value]:
    """Yield every key, a mapping before what is in it, with the comment lines right above it."""
    for key, child in node.value:
        path = prefix + key.value
        yield Value(path, default[key.value], _comment(lines, key.start_mark.line))
        if isinstance(child, yaml.MappingNode) and child.value and path not in FREE:
            yield from values_in(child, default[key.value], lines, path + ".")


def _comment(lines: list[str], line: int) -> str:
    found: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].lstrip()[1:].strip())
    return " ".join(found)


def schema_of(values: list[Value]) -> dict[str, Any]:
    """Return the JSON schema: every key with its type, and no other."""
    root: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    objects = {"": root}
    for value in values:
        above, _, name = value.path.rpartition(".")
        schema: dict[str, Any] = {"description": value.comment} if value.comment else {}
        if isinstance(value.default, dict):
            schema["type"] = "object"
            if value.default and value.path not in FREE:
                schema |= {"properties": {}, "additionalProperties": False}
                objects[value.path] = schema
        else:
            schema["type"] = _TYPES[type(value.default)]
        if value.path in CHOICES:
            schema["enum"] = CHOICES[value.path]
        objects[above]["properties"][name] = schema
    # Helm adds `global` where the chart is a part of another.
    root["properties"]["global"] = {"type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **root}


def readme_of(values: list[Value]) -> str:
    """Return README.md: how to install, and a table of the values."""
    rows = [
        f"| `{value.path}` | `{json.dumps(value.default)}` | {value.comment.replace('|', chr(92) + '|')} |"
        for value in values
        if not (isinstance(value.default, dict) and value.default and value.path not in FREE)
    ]
    head = (CHART / "README.md.tpl").read_text("utf-8")
    return head.rstrip() + "\n\n## Values\n\n| value | default | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def main() -> int:
    """Write or check; return the exit code."""
    text = (CHART / "values.yaml").read_text("utf-8")
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    values = list(values_in(node, yaml.safe_load(text), text.split("\n")))
    files = {
        "values.schema.json": json.dumps(schema_of(values), indent=2) + "\n",
        "README.md": readme_of(values),
    }
    stale = [name for name, content in files.items() if _text(CHART / name) != content]
    if "--check" in sys.argv:
        for name in stale:
            print(f"{CHART.name}/{name} is stale; run `make docs`", file=sys.stderr)
        return bool(stale)
    for name in stale:
        (CHART / name).write_text(files[name], encoding="utf-8")
    return 0


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
